# SPDX-License-Identifier: Apache-2.0
"""Corrections of moto's core that concern every service."""

from __future__ import annotations

import functools
import types
import typing as t


def install() -> None:
    """Once a process."""
    _keep_no_objects()
    _list_services_once()
    _look_for_models_once()
    _look_for_methods_once()
    _look_for_hosts_once()


def _look_for_models_once() -> None:
    """moto looks through all of botocore's folders for each service that it answers for the first time."""
    from moto.core import utils

    _answer_once(utils, "create_loader")


def _look_for_methods_once() -> None:
    """moto asks a class for its methods in each request, which takes as long as to parse it."""
    from moto.core import responses

    _answer_once(responses, "method_names_from_class")


def _look_for_hosts_once() -> None:
    """moto tries 200 patterns on the host of each request, twice. Hosts are the callers' choice: so many are kept."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

    kept = functools.lru_cache(maxsize=1024)(DomainDispatcherApplication.get_backend_for_host)

    def found(dispatcher: t.Any, host: str | None) -> t.Any:
        return kept(dispatcher, host)

    setattr(DomainDispatcherApplication, "get_backend_for_host", found)


def _answer_once(module: types.ModuleType, function: str) -> None:
    """Let a function of moto keep its answers."""
    setattr(module, function, functools.cache(getattr(module, function)))


def _list_services_once() -> None:
    """moto lists its own folder for each request, which takes longer than most answers."""
    from moto import backends

    listed = getattr(backends.list_of_moto_modules, "__wrapped__", backends.list_of_moto_modules)
    setattr(backends, "list_of_moto_modules", functools.wraps(listed)(functools.cache(lambda: tuple(listed()))))


def _keep_no_objects() -> None:
    """Stop moto from keeping every object it ever made: a server that runs for days would leak them all."""
    from moto.core.common_models import BaseModel

    def untracked(cls: t.Any, *_args: t.Any, **_kwargs: t.Any) -> t.Any:
        """Make the object and keep no reference to it."""
        return object.__new__(cls)

    setattr(BaseModel, "__new__", untracked)

# SPDX-License-Identifier: Apache-2.0
"""Parameters carry the world's time: whoever waits for a lock to expire reads LastModifiedDate."""

from __future__ import annotations

import functools
import typing as t

from local_aws import store


def install() -> None:
    """Stamp every write with the world's clock instead of the machine's."""
    from moto.ssm.models import SimpleSystemManagerBackend as Backend

    original = Backend.put_parameter
    if getattr(original, "__wrapped__", None) is None:
        setattr(Backend, "put_parameter", _stamped(original))


def _stamped(original: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    @functools.wraps(original)
    def put_parameter(*args: t.Any, **kwargs: t.Any) -> t.Any:
        parameter = original(*args, **kwargs)
        if parameter is not None:
            parameter.last_modified_date = store.bound().now()
        return parameter

    return put_parameter

# SPDX-License-Identifier: Apache-2.0
"""Corrections of moto's core that concern every service."""

from __future__ import annotations

import typing as t


def install() -> None:
    """Stop moto from keeping every object it ever made: a server that runs for days would leak them all."""
    from moto.core.common_models import BaseModel

    def untracked(cls: t.Any, *_args: t.Any, **_kwargs: t.Any) -> t.Any:
        """Make the object and keep no reference to it."""
        return object.__new__(cls)

    setattr(BaseModel, "__new__", untracked)

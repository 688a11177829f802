# SPDX-License-Identifier: Apache-2.0
"""How values of a request are quoted in its refusal: short, whatever they hold."""

from __future__ import annotations

import typing as t

_MOST = 80


def shown(value: t.Any) -> str:
    """The value, as Python writes it, cut off."""
    return clip(repr(value))


def clip(text: str) -> str:
    """The text, cut off."""
    return text if len(text) <= _MOST else text[: _MOST - 3] + "..."

# SPDX-License-Identifier: GPL-3.0-or-later
"""How a campaign meets an error that nobody expected: it is a finding, told with the others."""

from __future__ import annotations

import traceback
import typing as t

R = t.TypeVar("R")


def outcome(function: t.Callable[[], R]) -> tuple[R | None, str]:
    """What it answers, or the traceback of what it raised; one of them is empty."""
    try:
        return function(), ""
    except Exception:  # noqa: BLE001  # the code under test may be wrong in any way, and the other cases must still be tried
        return None, traceback.format_exc()

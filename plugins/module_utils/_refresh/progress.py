# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""How far a refresh is, in a sentence."""

from __future__ import annotations

from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.options import Document


def line_of(refresh: Document) -> str:
    """What to tell somebody who waits: status, share, what is left, and AWS's reason."""
    said = f"{refresh.get('Status')}{share(refresh)}"
    reason = str(refresh.get("StatusReason") or "").strip()
    return f"{said}. {reason}" if reason else said


def share(refresh: Document) -> str:
    """How much is done; with a warm pool, in the group and in the pool."""
    if refresh.get("PercentageComplete") is None:
        return ""
    pools = refresh.get("ProgressDetails") or {}
    warm = pools.get("WarmPoolProgress")
    if not warm:
        return f": {counted(refresh, refresh.get('Status') == 'RollbackInProgress')}"
    live = counted(pools.get("LivePoolProgress") or refresh, False)
    return f": in the group {live}; in the warm pool {counted(warm, False)}"


def counted(progress: Document, back: bool) -> str:
    """Percentage and instances; a rollback runs back to 0."""
    percentage, left = progress.get("PercentageComplete", 0), progress.get("InstancesToUpdate")
    if back:
        return f"{percentage} % still to be undone"
    if left is None:
        return f"{percentage} % done"
    return f"{percentage} % done, {left} instance{'' if left == 1 else 's'} to go"

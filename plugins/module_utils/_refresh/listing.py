# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The use case behind module ``instance_refresh_info``."""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh import api, states
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.transform import refresh_result


def list_refreshes(
    aws: Aws, group: str, ids: t.Sequence[str], outcomes: t.Sequence[str], limit: int | None
) -> dict[str, t.Any]:
    """The refreshes of a group, newest first, those of the given outcomes only; and the active one or None."""
    client = aws.client("autoscaling")
    api.describe_group(client, group)  # so that a wrong name is told from a group without refreshes
    if limit is not None and limit < 1:
        raise InvalidInput(f"limit is {limit}. Give 1 or more, or leave it out for all.")
    found = api.describe_refreshes(client, group, ids)
    # A group has one active refresh at most, and it is the newest.
    active = states.active_of(api.describe_refreshes(client, group, limit=1) if ids else found)
    chosen = [item for item in found if not outcomes or states.outcome_of(item) in outcomes]
    return {
        "refreshes": [refresh_result(item) for item in chosen[:limit]],
        "active": refresh_result(active) if active else None,
    }

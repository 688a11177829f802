# SPDX-License-Identifier: Apache-2.0
"""Spot interruptions: the notice in the instance's metadata, and the end two minutes later."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

from local_aws.store import ACCOUNT, REGION

if t.TYPE_CHECKING:
    from local_aws.world import World

NOTICE_SECONDS = 120
_ends: dict[str, dt.datetime] = {}


def notify(world: World, instance_id: str) -> None:
    """Tell the instance that EC2 takes it back in two minutes."""
    _ends.setdefault(instance_id, world.clock.now() + dt.timedelta(seconds=NOTICE_SECONDS))


def action(instance_id: str) -> str | None:
    """What metadata shows as spot/instance-action."""
    if instance_id not in _ends:
        return None
    return json.dumps({"action": "terminate", "time": f"{_ends[instance_id]:%Y-%m-%dT%H:%M:%SZ}"})


def clear() -> None:
    """Forget every notice."""
    _ends.clear()


def tick(world: World) -> None:
    """Take back the instances whose time is over."""
    from moto.ec2.models import ec2_backends

    for instance_id in [key for key, end in _ends.items() if end <= world.clock.now()]:
        del _ends[instance_id]
        ec2_backends[ACCOUNT][REGION].terminate_instances([instance_id])

# SPDX-License-Identifier: Apache-2.0
"""What AWS has not: health, timeline, calls, faults, killed instances, Spot notices and a reset, under ``/_local/``."""

from __future__ import annotations

import json
import typing as t

from werkzeug.wrappers import Request, Response

from local_aws import spot
from local_aws.faults import FaultError

if t.TYPE_CHECKING:
    from local_aws.world import World


def reply(document: t.Any, status: int = 200) -> Response:
    """A JSON reply."""
    return Response(json.dumps(document, default=str), status=status, content_type="application/json")


def answer(world: World, request: Request) -> Response:
    """Route one administrative request."""
    parts = request.path.strip("/").split("/")[1:]
    match request.method, parts:
        case "GET", ["health"]:
            return reply({"status": "ok"})
        case "GET", ["timeline"]:
            return reply(list(world.timeline.entries))
        case "GET", ["calls"]:
            return reply(world.calls.entries())
        case "POST", ["faults"]:
            return _faults(world, request)
        case "POST", ["reset"]:
            return _reset(world)
        case "POST", ["instances", instance_id, action]:
            return _instance(world, instance_id, action)
    return reply({"message": f"local_aws has no {request.method} {request.path}"}, 404)


def _faults(world: World, request: Request) -> Response:
    try:
        documents = json.loads(request.get_data() or b"[]")
        world.faults.replace(documents)
    except (ValueError, FaultError, TypeError) as problem:
        return reply({"message": f"the fault list was not accepted: {problem}"}, 400)
    return reply({"faults": len(documents)})


def _reset(world: World) -> Response:
    from local_aws.server import reset_world

    reset_world(world)
    return reply({"status": "reset"})


def _instance(world: World, instance_id: str, action: str) -> Response:
    if action == "kill":
        world.runner.kill(instance_id)
        return reply({"instance": instance_id, "action": action})
    if action == "restart":
        world.runner.restart(instance_id)
        return reply({"instance": instance_id, "action": action})
    if action == "spot-notice":
        with world.lock:
            spot.notify(world, instance_id)
        return reply({"instance": instance_id, "action": action})
    return reply({"message": f"an instance can be sent kill, restart or spot-notice, not {action}"}, 404)

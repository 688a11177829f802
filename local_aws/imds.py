# SPDX-License-Identifier: Apache-2.0
"""Instance metadata, version 2, for every instance under its own path: ``/imds/<instance id>/latest/…``."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
import threading
import typing as t

from werkzeug.wrappers import Request, Response

from local_aws import spot
from local_aws.store import ACCOUNT, REGION

if t.TYPE_CHECKING:
    from local_aws.world import World

_CREDENTIAL_HOURS = 6
_tokens: dict[str, tuple[str, dt.datetime]] = {}
_tokens_lock = threading.Lock()


def answer(world: World, request: Request) -> Response:
    """Answer one request of an instance."""
    instance_id, _unused, path = request.path[len("/imds/") :].partition("/latest/")
    with world.lock:
        instance = find_instance(instance_id)
        if instance is None:
            return Response(f"no instance {instance_id}", status=404)
        if path == "api/token":
            return _token(world, instance_id, request)
        if not _authorised(world, instance_id, request):
            return Response("", status=401)
        text = read(world, instance, path.strip("/"))
    if text is None:
        return Response("Not Found", status=404)
    return Response(text, content_type="text/plain")


def find_instance(instance_id: str) -> t.Any:
    """moto's instance of that id, unless it is terminated."""
    from moto.ec2.models import ec2_backends

    for reservation in list(ec2_backends[ACCOUNT][REGION].reservations.values()):
        for instance in reservation.instances:
            if instance.id == instance_id and instance.state != "terminated":
                return instance
    return None


def _token(world: World, instance_id: str, request: Request) -> Response:
    seconds = request.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
    if request.method != "PUT" or "X-Forwarded-For" in request.headers:
        return Response("", status=403 if request.method == "PUT" else 405)
    if not seconds.isdigit() or not 1 <= int(seconds) <= 21600:
        return Response("", status=400)
    token = secrets.token_urlsafe(40)
    now = world.clock.now()
    with _tokens_lock:
        for old in [key for key, (_unused, until) in _tokens.items() if until <= now]:
            del _tokens[old]
        _tokens[token] = (instance_id, now + dt.timedelta(seconds=int(seconds)))
    return Response(token, headers={"X-aws-ec2-metadata-token-ttl-seconds": seconds})


def _authorised(world: World, instance_id: str, request: Request) -> bool:
    owner, until = _tokens.get(request.headers.get("X-aws-ec2-metadata-token", ""), ("", world.clock.now()))
    return owner == instance_id and until > world.clock.now()


def read(world: World, instance: t.Any, path: str) -> str | None:
    """The value of one item, None when it does not exist."""
    if path == "dynamic/instance-identity/document":
        return json.dumps(identity(world, instance))
    if path == "user-data":
        return str(instance.user_data.decode()) if instance.user_data else None
    if not path.startswith("meta-data"):
        return None
    item = path.removeprefix("meta-data").strip("/")
    if item.startswith("iam/"):
        return _iam(world, instance, item)
    if item.startswith("tags/instance"):
        return _tags(instance, item.removeprefix("tags/instance").strip("/"))
    plain = _plain_items(world, instance)
    return "\n".join(plain) if item == "" else plain.get(item)


def _plain_items(world: World, instance: t.Any) -> dict[str, str]:
    zone = instance.placement if isinstance(instance.placement, str) else instance.placement.zone
    items = {
        "ami-id": instance.image_id,
        "instance-id": instance.id,
        "instance-type": instance.instance_type,
        "instance-life-cycle": getattr(instance, "lifecycle", None) or "on-demand",
        "local-ipv4": instance.private_ip or "",
        "placement/availability-zone": zone,
        "placement/region": REGION,
    }
    dynamic = {
        "autoscaling/target-lifecycle-state": world.target_lifecycle_state(instance.id),
        "spot/instance-action": spot.action(instance.id),
    }
    return items | {name: value for name, value in dynamic.items() if value is not None}


def _tags(instance: t.Any, key: str) -> str | None:
    tags = {tag["key"]: tag["value"] for tag in instance.get_tags() if not tag["key"].startswith("aws:")}
    return "\n".join(tags) if key == "" else tags.get(key)


def role_name(instance: t.Any) -> str | None:
    """The role behind the instance's profile."""
    from moto.iam.models import iam_backends

    profile = getattr(instance, "iam_instance_profile", None)
    reference = profile.get("Arn") or profile.get("Name") if isinstance(profile, dict) else profile
    if not reference:
        return None
    name = str(reference).rsplit("/", 1)[-1]
    for known in iam_backends[ACCOUNT]["aws"].instance_profiles.values():
        if known.name == name and known.roles:
            return str(known.roles[0].name)
    return None


def _iam(world: World, instance: t.Any, item: str) -> str | None:
    role = role_name(instance)
    if role is None:
        return None
    if item == "iam/security-credentials":
        return role
    return json.dumps(credentials(world, instance.id, role)) if item == f"iam/security-credentials/{role}" else None


def credentials(world: World, instance_id: str, role: str) -> dict[str, str]:
    """Temporary keys of the role, stable within their hours as IMDS keeps them."""
    now = world.clock.now()
    seed = hashlib.sha256(f"{instance_id} {role} {now:%Y%m%d%H}".encode()).hexdigest()
    expiry = now.replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=_CREDENTIAL_HOURS)
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": f"{now:%Y-%m-%dT%H:00:00Z}",
        "AccessKeyId": "ASIA" + seed[:16].upper(),
        "SecretAccessKey": seed[:40],
        "Token": f"local{seed}",
        "Expiration": f"{expiry:%Y-%m-%dT%H:%M:%SZ}",
    }


def identity(world: World, instance: t.Any) -> dict[str, t.Any]:
    """The instance identity document."""
    return {
        "accountId": ACCOUNT,
        "architecture": "x86_64",
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "availabilityZone": _plain_items(world, instance)["placement/availability-zone"],
        "instanceType": instance.instance_type,
        "privateIp": instance.private_ip,
        "region": REGION,
        "version": "2017-09-30",
    }

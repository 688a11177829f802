# SPDX-License-Identifier: Apache-2.0
"""Instances: started from the right template version, switched off, recorded."""

from __future__ import annotations

import base64
import datetime as dt
import typing as t
import uuid

from moto.core.exceptions import ServiceException
from moto.core.types import Base64EncodedString
from moto.ec2.utils import convert_tag_spec

from local_aws.autoscaling import templates
from local_aws.autoscaling.errors import ValidationError
from local_aws.autoscaling.model import Activity, Group, Member, Params, Template
from local_aws.runner.base import Instance

if t.TYPE_CHECKING:
    from local_aws.world import World


class LaunchFailed(Exception):
    """EC2 did not give an instance; the message is the activity's status message."""


def stamp(at: dt.datetime) -> str:
    """A time as the texts of activities write it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def new_activity(world: World, group: Group, description: str, cause: str) -> Activity:
    """Open an activity."""
    now = world.now()
    activity = Activity(str(uuid.uuid4()), description, f"At {stamp(now)} {cause}", now)
    group.activities.insert(0, activity)
    return activity


def close_activity(world: World, activity: Activity | None, status: str, message: str | None = None) -> None:
    """End an activity, once."""
    if activity is not None and activity.end is None:
        activity.status, activity.end, activity.message, activity.progress = status, world.now(), message, 100


def record(world: World, group: Group, member: Member, event: str, **fields: t.Any) -> None:
    """Write an instance's state on the timeline."""
    world.timeline.record(
        world.now(),
        group.name,
        event,
        instance=member.instance_id,
        lifecycle=member.state,
        health=member.health,
        image_version=member.image_version,
        release_id=member.release_id,
        template_version=str(member.template.version),
        **fields,
    )


def set_state(world: World, group: Group, member: Member, state: str) -> None:
    """Move an instance on and write it down."""
    member.state = state
    record(world, group, member, "state")


def set_health(world: World, group: Group, member: Member, health: str) -> None:
    """Change the health of an instance and write it down."""
    if member.health != health:
        member.health = health
        record(world, group, member, "health")


def launch(world: World, group: Group, cause: str, by_policy: bool = False) -> Member | None:
    """Start one instance for the group, or record a failed activity and back off."""
    activity = new_activity(world, group, "Launching a new EC2 instance", cause)
    try:
        member = _start(world, group)
    except (LaunchFailed, ServiceException) as error:
        _launch_failed(world, group, activity, str(getattr(error, "message", error)))
        return None
    activity.description += f": {member.instance_id}"
    member.launch_activity, member.by_policy = activity, by_policy
    refresh = group.refresh
    member.refresh_id = refresh.refresh_id if refresh else None
    group.members[member.instance_id] = member
    record(world, group, member, "launch")
    world.runner.boot(host_view(group, member))
    return member


def _launch_failed(world: World, group: Group, activity: Activity, message: str) -> None:
    """Close the activity as failed and wait before the next try."""
    close_activity(world, activity, "Failed", f"{message} Launching EC2 instance failed.")
    note_failure(world, group, message)
    group.retry_at = world.now() + dt.timedelta(seconds=world.settings.launch_backoff(group.launch_failures))
    group.launch_failures += 1
    world.timeline.record(world.now(), group.name, "launch_failed", reason=message)


def note_failure(world: World, group: Group, message: str) -> None:
    """Start the hour in which a refresh retries what fails."""
    refresh = group.refresh
    if refresh is not None:
        refresh.failing_since = refresh.failing_since or world.now()
        refresh.failure = message


def _start(world: World, group: Group) -> Member:
    """Try each override in turn, in the subnet whose zone has the fewest instances."""
    config = group.launch_config
    template = templates.resolve(group.account, group.region, templates.config_spec(config))
    subnet, zone = _place(group)
    failure = LaunchFailed("There are no instance types to launch.")
    for override in templates.config_overrides(config):
        chosen = template
        if override.get("LaunchTemplateSpecification"):
            chosen = templates.resolve(group.account, group.region, override["LaunchTemplateSpecification"])
        kind = str(override.get("InstanceType") or chosen.data.get("InstanceType") or "m1.small")
        where = {"instance_type": kind, "zone": zone, "group": group.name}
        fault = world.faults.take(["insufficient_capacity"], text=group.name, attributes=where)
        if fault is None:
            return _run(world, group, chosen, override | {"InstanceType": kind}, subnet, zone)
        failure = LaunchFailed(fault.message or _no_capacity(kind, zone))
    raise failure


def _no_capacity(kind: str, zone: str) -> str:
    """EC2's text for insufficient capacity."""
    return (
        f"We currently do not have sufficient {kind} capacity in the Availability Zone you requested ({zone}). "
        "Our system will be working on provisioning additional capacity."
    )


def _place(group: Group) -> tuple[str | None, str]:
    """The least used zone, and a subnet in it."""
    zones = list(group.options["AvailabilityZones"])
    used = {zone: sum(m.active and m.zone == zone for m in group.members.values()) for zone in zones}
    zone = min(zones, key=lambda z: (used[z], zones.index(z)))
    subnets = str(group.options.get("VPCZoneIdentifier") or "").split(",")
    backend = templates.ec2_backend(group.account, group.region)
    fitting = (s for s in filter(None, map(str.strip, subnets)) if backend.get_subnet(s).availability_zone == zone)
    return next(fitting, None), zone


def _run(world: World, group: Group, template: Template, override: Params, subnet: str | None, zone: str) -> Member:
    """Ask EC2 for one instance."""
    backend = templates.ec2_backend(group.account, group.region)
    spot = _wants_spot(group)
    extra = _run_arguments(group, template, override, subnet, zone)
    if spot:
        extra["instance_market_options"] = {"MarketType": "spot"}
    data = template.data
    image = str(override.get("ImageId") or data.get("ImageId") or "")
    user_data = data.get("UserData")
    encoded = Base64EncodedString(str(user_data)) if user_data else None
    ec2 = backend.run_instances(image, 1, encoded, list(data.get("SecurityGroups") or []), **extra).instances[0]
    ec2.launch_time = f"{world.now():%Y-%m-%dT%H:%M:%S.000Z}"  # moto stamps it with the machine's clock
    _attach_profile(backend, ec2.id, data.get("IamInstanceProfile"))
    return Member(
        ec2.id,
        override["InstanceType"],
        ec2.placement.zone,
        image,
        template,
        world.now(),
        spot=spot,
        protected=bool(group.options.get("NewInstancesProtectedFromScaleIn")),
        image_version=_tag(ec2, "ImageVersion"),
        release_id=_tag(ec2, "ReleaseId"),
    )


def _run_arguments(group: Group, template: Template, override: Params, subnet: str | None, zone: str) -> Params:
    """The keyword arguments of moto's run_instances."""
    data = template.data
    interfaces = [dict(nic) for nic in data.get("NetworkInterfaces") or []]
    security = list(data.get("SecurityGroupIds") or [])
    for nic in interfaces:
        security += [g for g in nic.get("Groups") or [] if g not in security]
    arguments: Params = {
        "instance_type": override["InstanceType"],
        "is_instance_type_default": False,
        "region_name": group.region,
        "security_group_ids": security,
        "key_name": data.get("KeyName"),
        "tags": _tags(group, template),
        "subnet_id": subnet,
        "placement": None if subnet else zone,
        "metadata_options": dict(data.get("MetadataOptions") or {}),
        "ebs_optimized": bool(data.get("EbsOptimized")),
    }
    if data.get("BlockDeviceMappings"):
        arguments["block_device_mappings"] = [{"Ebs": {}} | dict(m) for m in data["BlockDeviceMappings"]]
    return arguments


def _tags(group: Group, template: Template) -> dict[str, dict[str, str]]:
    """The tags of the instance and its volumes: the template's, the group's, and AWS's own."""
    tags: dict[str, dict[str, str]] = convert_tag_spec(list(template.data.get("TagSpecifications") or []))
    propagated = {k: str(tag.get("Value", "")) for k, tag in group.tags.items() if tag.get("PropagateAtLaunch", True)}
    own = {
        "aws:autoscaling:groupName": group.name,
        "aws:ec2launchtemplate:id": template.template_id,
        "aws:ec2launchtemplate:version": str(template.version),
    }
    return {"instance": dict(tags.get("instance", {})) | propagated | own, "volume": dict(tags.get("volume", {}))}


def _tag(ec2: t.Any, key: str) -> str | None:
    """A tag of an instance."""
    return next((tag["value"] for tag in ec2.get_tags() if tag["key"] == key), None)


def _wants_spot(group: Group) -> bool:
    """True when the distribution of a mixed group asks for a Spot instance next."""
    policy = group.launch_config.get("MixedInstancesPolicy")
    if not policy or not policy.get("InstancesDistribution"):
        return False
    distribution = policy["InstancesDistribution"]
    base = int(distribution.get("OnDemandBaseCapacity") or 0)
    share = int(distribution.get("OnDemandPercentageAboveBaseCapacity", 100))
    active = group.active_members()
    on_demand = sum(not member.spot for member in active)
    above = max(0, len(active) + 1 - base)
    return on_demand >= base + -(-above * share // 100)


def _attach_profile(backend: t.Any, instance_id: str, profile: Params | None) -> None:
    """Associate the instance profile of the template; an unknown profile fails the launch as on AWS."""
    if not profile:
        return
    try:
        backend.associate_iam_instance_profile(instance_id, profile.get("Name"), profile.get("Arn"))
    except Exception as error:
        backend.terminate_instances([instance_id])
        raise LaunchFailed(f"Invalid IAM Instance Profile {profile.get('Name') or profile.get('Arn')}.") from error


def host_view(group: Group, member: Member) -> Instance:
    """The instance as its host sees it."""
    backend = templates.ec2_backend(group.account, group.region)
    ec2 = backend.get_instance(member.instance_id)
    tags = {tag["key"]: str(tag["value"]) for tag in ec2.get_tags()}
    return Instance(member.instance_id, group.account, group.region, group.name, decoded(member.template), tags)


def decoded(template: Template) -> str:
    """The template's user data as text."""
    raw = str(template.data.get("UserData") or "")
    return base64.b64decode(raw).decode("utf-8", "replace")


def ec2_state(group: Group, member: Member) -> str:
    """The state of the instance in EC2."""
    # Asked of each member at each tick: the backend's own search copies every reservation that there ever was.
    reservations = list(templates.ec2_backend(group.account, group.region).reservations.values())
    instances = (instance for reservation in reservations for instance in reservation.instances)
    return next((str(found.state) for found in instances if found.id == member.instance_id), "terminated")


def power_off(world: World, group: Group, member: Member) -> None:
    """Stop the worker, terminate the EC2 instance and forget the member."""
    world.runner.stop(member.instance_id)
    if ec2_state(group, member) != "terminated":
        templates.ec2_backend(group.account, group.region).get_instance(member.instance_id).terminate()
    group.members.pop(member.instance_id, None)
    close_activity(world, member.launch_activity, "Cancelled", "Instance was terminated before it was in service.")
    close_activity(world, member.end_activity, "Successful")
    member.state = "Terminated"
    record(world, group, member, "terminated")


def check_subnets(account: str, region: str, identifiers: str) -> list[str]:
    """The zones of a comma-separated list of subnets; raises for one that does not exist."""
    backend = templates.ec2_backend(account, region)
    zones: list[str] = []
    for subnet in filter(None, map(str.strip, identifiers.split(","))):
        try:
            zone = str(backend.get_subnet(subnet).availability_zone)
        except Exception as error:
            raise ValidationError(f"The subnet ID '{subnet}' does not exist") from error
        zones += [zone] if zone not in zones else []
    return zones

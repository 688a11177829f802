# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Every option of module ``instance_refresh`` beside the member of the API that it becomes.

One tree makes the argument spec, the request, the messages and the table in docs/instance-refresh.md, so that none of
them can leave something out alone.
"""

from __future__ import annotations

import dataclasses
import typing as t

Document = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Option:
    """One option: the member that it becomes, below that of its parent, and how Ansible reads it."""

    member: str
    kind: str = "str"
    inner: t.Mapping[str, Option] = dataclasses.field(default_factory=dict)
    spec: Document = dataclasses.field(default_factory=dict)

    def argument(self) -> dict[str, t.Any]:
        """The entry in an argument spec."""
        if not self.inner:
            return {"type": self.kind, **self.spec}
        options = {"options": arguments(self.inner)}
        elements = {"elements": "dict"} if self.kind == "list" else {}
        return {"type": self.kind, **elements, **options, **self.spec}


Tree = t.Mapping[str, Option]


def structure(member: str, inner: Tree) -> Option:
    """An option with options of its own."""
    return Option(member, "dict", inner)


def structures(member: str, inner: Tree) -> Option:
    """A list of such."""
    return Option(member, "list", inner)


def items(member: str, elements: str = "str", **spec: t.Any) -> Option:
    """A list of plain values."""
    return Option(member, "list", spec={"elements": elements, **spec})


def choice(member: str, *choices: str, **spec: t.Any) -> Option:
    """One of a few words."""
    return Option(member, spec={"choices": list(choices), **spec})


def between(member: str, kind: str) -> Option:
    """A range with an open end."""
    return structure(member, {"min": Option("Min", kind), "max": Option("Max", kind)})


def arguments(tree: Tree) -> dict[str, t.Any]:
    """The argument spec of these options."""
    return {name: option.argument() for name, option in tree.items()}


PREFERENCES: Tree = {
    "min_healthy_percentage": Option("MinHealthyPercentage", "int"),
    "max_healthy_percentage": Option("MaxHealthyPercentage", "int"),
    "instance_warmup": Option("InstanceWarmup", "int"),
    "checkpoint_percentages": items("CheckpointPercentages", "int"),
    "checkpoint_delay": Option("CheckpointDelay", "int"),
    "skip_matching": Option("SkipMatching", "bool"),
    "auto_rollback": Option("AutoRollback", "bool"),
    "alarms": items("AlarmSpecification.Alarms"),
    "scale_in_protected_instances": choice("ScaleInProtectedInstances", "Refresh", "Ignore", "Wait"),
    "standby_instances": choice("StandbyInstances", "Terminate", "Ignore", "Wait"),
    "bake_time": Option("BakeTime", "int"),
}
TEMPLATE: Tree = {
    "id": Option("LaunchTemplateId"),
    "name": Option("LaunchTemplateName"),
    "version": Option("Version", spec={"required": True}),
}
NEED = ("included", "excluded", "required")
REQUIREMENTS: Tree = {
    "vcpu_count": between("VCpuCount", "int"),
    "memory_mib": between("MemoryMiB", "int"),
    "memory_gib_per_vcpu": between("MemoryGiBPerVCpu", "float"),
    "cpu_manufacturers": items("CpuManufacturers"),
    "instance_generations": items("InstanceGenerations"),
    "allowed_instance_types": items("AllowedInstanceTypes"),
    "excluded_instance_types": items("ExcludedInstanceTypes"),
    "spot_max_price_percentage_over_lowest_price": Option("SpotMaxPricePercentageOverLowestPrice", "int"),
    "max_spot_price_as_percentage_of_optimal_on_demand_price": Option(
        "MaxSpotPriceAsPercentageOfOptimalOnDemandPrice", "int"
    ),
    "on_demand_max_price_percentage_over_lowest_price": Option("OnDemandMaxPricePercentageOverLowestPrice", "int"),
    "bare_metal": choice("BareMetal", *NEED),
    "burstable_performance": choice("BurstablePerformance", *NEED),
    "require_hibernate_support": Option("RequireHibernateSupport", "bool"),
    "network_interface_count": between("NetworkInterfaceCount", "int"),
    "network_bandwidth_gbps": between("NetworkBandwidthGbps", "float"),
    "local_storage": choice("LocalStorage", *NEED),
    "local_storage_types": items("LocalStorageTypes"),
    "total_local_storage_gb": between("TotalLocalStorageGB", "float"),
    "baseline_ebs_bandwidth_mbps": between("BaselineEbsBandwidthMbps", "int"),
    "accelerator_types": items("AcceleratorTypes"),
    "accelerator_count": between("AcceleratorCount", "int"),
    "accelerator_manufacturers": items("AcceleratorManufacturers"),
    "accelerator_names": items("AcceleratorNames"),
    "accelerator_total_memory_mib": between("AcceleratorTotalMemoryMiB", "int"),
    "baseline_performance_factors": structures(
        "BaselinePerformanceFactors.Cpu.References", {"instance_family": Option("InstanceFamily")}
    ),
}
OVERRIDE: Tree = {
    "instance_type": Option("InstanceType"),
    "weighted_capacity": Option("WeightedCapacity"),
    "image_id": Option("ImageId"),
    "launch_template": structure("LaunchTemplateSpecification", TEMPLATE),
    "instance_requirements": structure("InstanceRequirements", REQUIREMENTS),
}
DISTRIBUTION: Tree = {
    "on_demand_allocation_strategy": Option("OnDemandAllocationStrategy"),
    "on_demand_base_capacity": Option("OnDemandBaseCapacity", "int"),
    "on_demand_percentage_above_base_capacity": Option("OnDemandPercentageAboveBaseCapacity", "int"),
    "spot_allocation_strategy": Option("SpotAllocationStrategy"),
    "spot_instance_pools": Option("SpotInstancePools", "int"),
    "spot_max_price": Option("SpotMaxPrice"),
    "distribution_segments": structures(
        "DistributionSegments", {"target_capacity_types": items("TargetCapacityTypes")}
    ),
}
POLICY: Tree = {
    "launch_template": structure("LaunchTemplate.LaunchTemplateSpecification", TEMPLATE),
    "overrides": structures("LaunchTemplate.Overrides", OVERRIDE),
    "instances_distribution": structure("InstancesDistribution", DISTRIBUTION),
}
GROUP: Tree = {"name": Option("AutoScalingGroupName", spec={"required": True})}
START: Tree = {
    **GROUP,
    "strategy": choice("Strategy", "Rolling", "ReplaceRootVolume", default="Rolling"),
    "desired_configuration": structure(
        "DesiredConfiguration",
        {
            "launch_template": structure("LaunchTemplate", TEMPLATE),
            "mixed_instances_policy": structure("MixedInstancesPolicy", POLICY),
        },
    ),
    "preferences": structure("Preferences", PREFERENCES),
}
CANCEL: Tree = {
    **GROUP,
    "wait_for_transitioning_instances": Option("WaitForTransitioningInstances", "bool", spec={"default": True}),
}
ROLLBACK: Tree = GROUP


def to_request(tree: Tree, given: Document) -> dict[str, t.Any]:
    """What the API takes. Options that are None, and structures in which everything is, are left to AWS."""
    request: dict[str, t.Any] = {}
    for name, option in tree.items():
        value = given.get(name)
        if value is not None and (sent := member_value(option, value)) != {}:
            put(request, option.member.split("."), sent)
    return request


def member_value(option: Option, value: t.Any) -> t.Any:
    """The value of one option as the API takes it."""
    if option.inner and option.kind == "list":
        return [to_request(option.inner, item) for item in value]
    return to_request(option.inner, value) if option.inner else value


def put(request: dict[str, t.Any], path: t.Sequence[str], value: t.Any) -> None:
    """Set a member below others, which are made where they are not there yet."""
    for name in path[:-1]:
        request = request.setdefault(name, {})
    request[path[-1]] = value


def paths(tree: Tree, option: str = "", member: str = "") -> t.Iterator[tuple[str, str]]:
    """Every option without options of its own, and the member that it becomes; ``[]`` marks the items of a list."""
    for name, one in tree.items():
        here, there = f"{option}{name}", f"{member}{one.member}"
        mark = "[]" if one.kind == "list" else ""
        if one.inner:
            yield from paths(one.inner, f"{here}{mark}.", f"{there}{mark}.")
        else:
            yield f"{here}{mark}", f"{there}{mark}"

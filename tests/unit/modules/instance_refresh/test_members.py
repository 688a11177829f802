# SPDX-License-Identifier: GPL-3.0-or-later
"""The table in docs/instance-refresh.md: all that the API takes, the options it comes from, and that it arrives."""

from __future__ import annotations

import pathlib
import typing as t

import boto3
import pytest
import yaml

from ansible_collections.diffusion.fleet.plugins.modules.instance_refresh import ARGUMENTS, DOCUMENTATION
from tests.support.recorder import Recorder

from .conftest import Account

GUIDE = pathlib.Path(__file__).resolve().parents[4] / "docs" / "instance-refresh.md"
OPERATIONS = ("StartInstanceRefresh", "CancelInstanceRefresh", "RollbackInstanceRefresh")
MODEL = boto3.client("autoscaling", region_name="us-east-1").meta.service_model
# What the module does with a refresh, beside the members of the API.
OWN = {"state", "on_active", "wait", "wait_timeout", "poll_seconds", "context"}
Options = dict[str, t.Any]


def table(operation: str) -> dict[str, tuple[str, str]]:
    """The rows below the heading of an operation: member, then option and limits."""
    section = GUIDE.read_text(encoding="utf-8").split(f"### {operation}\n")[1].split("\n### ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {member.strip(" `"): (option.strip(" `"), limits.strip()) for member, option, limits in rows}


def members(shape: t.Any, path: str = "") -> t.Iterator[tuple[str, str]]:
    """Every member of a shape that has no members of its own, with the limits that the model sets."""
    for name, one in shape.members.items():
        yield from inside(one, f"{path}{name}")


def inside(shape: t.Any, path: str) -> t.Iterator[tuple[str, str]]:
    """A member, or what is in it."""
    if shape.type_name == "structure":
        yield from members(shape, f"{path}.")
    elif shape.type_name == "list":
        yield from inside(shape.member, f"{path}[]")
    else:
        yield path, limits(shape)


def limits(shape: t.Any) -> str:
    """The limits of a value, as the table writes them."""
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if getattr(shape, "enum", None):
        return ", ".join(shape.enum)
    if low is None and high is None:
        return {"boolean": "true, false"}.get(shape.type_name, "")
    unit = " characters" if shape.type_name == "string" else ""
    return f"{low} to {high}{unit}" if high is not None else f"{low} or more{unit}"


def option_paths(spec: Options, path: str = "") -> t.Iterator[str]:
    """Every option without options of its own."""
    for name, one in spec.items():
        where = f"{path}{name}{'[]' if one['type'] == 'list' else ''}"
        if "options" in one:
            yield from option_paths(one["options"], f"{where}.")
        else:
            yield where


def plain(spec: Options) -> Options:
    """What documentation and argument spec both say of options."""
    return {
        name: {
            **{key: one[key] for key in ("type", "elements", "required", "default", "choices") if key in one},
            "options": plain(one.get("options") or one.get("suboptions") or {}),
        }
        for name, one in spec.items()
    }


def test_the_documentation_says_what_the_argument_spec_says() -> None:
    assert plain(yaml.safe_load(DOCUMENTATION)["options"]) == plain(ARGUMENTS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_table_holds_every_member_of_the_installed_model(operation: str) -> None:
    shape = MODEL.operation_model(operation).input_shape
    assert {member: row[1] for member, row in table(operation).items()} == dict(members(shape))


def test_every_option_of_the_table_is_one_of_the_module_and_none_is_left_out() -> None:
    named = {option for operation in OPERATIONS for option, _limits in table(operation).values()}
    assert named == {path for path in option_paths(ARGUMENTS) if path not in OWN}


BY_ID = {"id": "lt-0123456789abcdef0", "version": "7"}
BY_NAME = {"name": "sd-inference-demo", "version": "8"}
LOW, HIGH = {"min": 1, "max": 8}, {"min": 1.5, "max": 16.5}
NEEDS: Options = {
    "vcpu_count": LOW,
    "memory_mib": LOW,
    "memory_gib_per_vcpu": HIGH,
    "cpu_manufacturers": ["intel", "amd"],
    "instance_generations": ["current"],
    "require_hibernate_support": False,
    "bare_metal": "excluded",
    "burstable_performance": "included",
    "network_interface_count": LOW,
    "network_bandwidth_gbps": HIGH,
    "local_storage": "required",
    "local_storage_types": ["ssd"],
    "total_local_storage_gb": HIGH,
    "baseline_ebs_bandwidth_mbps": LOW,
    "accelerator_types": ["gpu"],
    "accelerator_count": LOW,
    "accelerator_manufacturers": ["nvidia"],
    "accelerator_names": ["t4", "a100"],
    "accelerator_total_memory_mib": LOW,
    "baseline_performance_factors": [{"instance_family": "c6i"}],
    "on_demand_max_price_percentage_over_lowest_price": 20,
}
ONE_WAY = {"allowed_instance_types": ["g4dn.*"], "spot_max_price_percentage_over_lowest_price": 50}
OTHER_WAY = {"excluded_instance_types": ["p*"], "max_spot_price_as_percentage_of_optimal_on_demand_price": 60}
PREFERENCES: Options = {
    "min_healthy_percentage": 80,
    "max_healthy_percentage": 150,
    "instance_warmup": 30,
    "checkpoint_percentages": [20, 100],
    "checkpoint_delay": 600,
    "skip_matching": True,
    "auto_rollback": True,
    "alarms": ["gate", "failures"],
    "scale_in_protected_instances": "Refresh",
    "standby_instances": "Ignore",
    "bake_time": 120,
}
DISTRIBUTION: Options = {
    "on_demand_allocation_strategy": "prioritized",
    "on_demand_base_capacity": 1,
    "on_demand_percentage_above_base_capacity": 50,
    "spot_allocation_strategy": "lowest-price",
    "spot_instance_pools": 3,
    "spot_max_price": "0.5",
    "distribution_segments": [{"target_capacity_types": ["capacity-block", "on-demand"]}],
}
TYPED = {"instance_type": "g4dn.xlarge", "weighted_capacity": "2", "image_id": "ami-12345678"}


def policy(template: Options, other: Options, needs: Options) -> Options:
    """A desired configuration that has every option of a policy."""
    overrides = [
        {**TYPED, "launch_template": other},
        {"weighted_capacity": "4", "instance_requirements": {**NEEDS, **needs}},
    ]
    whole = {"launch_template": template, "overrides": overrides, "instances_distribution": DISTRIBUTION}
    return {"desired_configuration": {"mixed_instances_policy": whole}}


CASES: list[tuple[str, Options]] = [
    ("StartInstanceRefresh", {"preferences": PREFERENCES, "desired_configuration": {"launch_template": BY_NAME}}),
    ("StartInstanceRefresh", {"strategy": "Rolling", "desired_configuration": {"launch_template": BY_ID}}),
    ("StartInstanceRefresh", policy(BY_ID, BY_NAME, ONE_WAY)),
    ("StartInstanceRefresh", policy(BY_NAME, BY_ID, OTHER_WAY)),
    ("CancelInstanceRefresh", {"wait_for_transitioning_instances": False}),
    ("RollbackInstanceRefresh", {}),
]


def flat(value: t.Any, path: str) -> t.Iterator[tuple[str, str]]:
    """The plain values in some options, by the paths of the options."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from flat(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from flat(item, f"{path}[]")
    else:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)


def expected(operation: str, options: Options) -> dict[str, list[str]]:
    """What is to arrive according to the table."""
    member_of = {option: member for member, (option, _limits) in table(operation).items()}
    found: dict[str, list[str]] = {}
    for option, value in flat(options, ""):
        found.setdefault(on_the_wire(member_of[option]), []).append(value)
    return found


def on_the_wire(member: str) -> str:
    """The model gives one list another name on the wire."""
    return member.replace("Cpu.References[]", "Cpu.Reference[]")


def test_each_option_arrives_where_the_table_says(account: Account) -> None:
    states = dict(zip(OPERATIONS, ("started", "cancelled", "rolled_back"), strict=True))
    for operation, options in CASES:
        state = states[operation]
        if state != "started":
            account.run(desired_configuration={"launch_template": {"name": "sd-inference-demo", "version": "2"}})
        with Recorder(account.harness.endpoint) as wire:
            account.run(state=state, endpoint_url=wire.endpoint, **options)
        given = {"name": "sd-inference-demo", **({"strategy": "Rolling"} if state == "started" else {}), **options}
        assert wire.sent(operation) == [expected(operation, given)]
        account.harness.advance(60)


def test_the_cases_leave_no_option_out() -> None:
    tried = {(operation, path) for operation, options in CASES for path, _value in flat(options, "")}
    rows = {(name, option) for name in OPERATIONS for option, _limits in table(name).values() if option != "name"}
    assert rows - tried == set()

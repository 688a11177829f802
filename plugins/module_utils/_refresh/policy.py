# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What the API's text says of a mixed instances policy."""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.options import Document

MAX_TEMPLATES = 20
MAX_REQUIREMENTS = 4
ON_DEMAND = ("lowest-price", "prioritized")
SPOT = ("capacity-optimized", "capacity-optimized-prioritized", "lowest-price", "price-capacity-optimized")
# Choices of which the API takes one at most.
ONE_OF = (
    ("allowed_instance_types", "excluded_instance_types"),
    ("spot_max_price_percentage_over_lowest_price", "max_spot_price_as_percentage_of_optimal_on_demand_price"),
)


def check_policy(policy: Document, where: str) -> t.Iterator[tuple[str, Document]]:
    """Check a policy; the templates in it, each by the name of its option. Raises InvalidInput."""
    template = policy.get("launch_template")
    if not template:
        raise InvalidInput(f"{where} is without launch_template. Give the template that the policy is based on.")
    overrides = policy.get("overrides") or []
    check_overrides(overrides, where)
    check_distribution(policy.get("instances_distribution") or {}, f"{where}.instances_distribution")
    yield f"{where}.launch_template", template
    for number, override in enumerate(overrides):
        if override.get("launch_template"):
            yield f"{where}.overrides[{number}].launch_template", override["launch_template"]


def check_overrides(overrides: t.Sequence[Document], where: str) -> None:
    """Each override by type or by requirements, and no more of either than the API takes."""
    for number, override in enumerate(overrides):
        check_override(override, f"{where}.overrides[{number}]")
    weighted = [bool(override.get("weighted_capacity")) for override in overrides]
    if any(weighted) and not all(weighted):
        raise InvalidInput(f"{where}.overrides gives a weighted_capacity to some only. Give it to all or to none.")
    check_count(overrides, "instance_requirements", MAX_REQUIREMENTS, where)
    check_count(overrides, "launch_template", MAX_TEMPLATES - 1, where)


def check_count(overrides: t.Sequence[Document], option: str, most: int, where: str) -> None:
    """No more overrides with that option than the API takes."""
    count = sum(bool(override.get(option)) for override in overrides)
    if count > most:
        raise InvalidInput(f"{where}.overrides has {count} with {option}. Give {most} at most.")


def check_override(override: Document, where: str) -> None:
    """A type or requirements, not both, and a weight from 1 to 999."""
    if override.get("instance_type") and override.get("instance_requirements"):
        raise InvalidInput(f"{where} has both instance_type and instance_requirements. Keep one.")
    weight = override.get("weighted_capacity")
    if weight and not (weight.isdecimal() and 1 <= int(weight) <= 999):
        raise InvalidInput(f"{where}.weighted_capacity is {weight!r}. Give a number from 1 to 999.")
    needs = override.get("instance_requirements") or {}
    for one, other in ONE_OF:
        if needs.get(one) is not None and needs.get(other) is not None:
            raise InvalidInput(f"{where}.instance_requirements has both {one} and {other}. Keep one.")


def check_distribution(distribution: Document, where: str) -> None:
    """Strategies, shares and prices within what the API takes."""
    check_word(distribution, "on_demand_allocation_strategy", ON_DEMAND, where)
    check_word(distribution, "spot_allocation_strategy", SPOT, where)
    check_number(distribution, "on_demand_percentage_above_base_capacity", 0, 100, where)
    check_number(distribution, "on_demand_base_capacity", 0, 2**31 - 1, where)
    check_number(distribution, "spot_instance_pools", 1, 20, where)
    # AWS's default is lowest-price, too.
    if distribution.get("spot_instance_pools") and distribution.get("spot_allocation_strategy") not in (
        None,
        "lowest-price",
    ):
        raise InvalidInput(
            f"{where}.spot_instance_pools is given with {distribution['spot_allocation_strategy']}. Leave it out: it "
            "belongs to spot_allocation_strategy lowest-price."
        )
    check_price(distribution.get("spot_max_price"), where)


def check_word(distribution: Document, option: str, words: t.Sequence[str], where: str) -> None:
    """One of a few words that the model does not list."""
    value = distribution.get(option)
    if value is not None and value not in words:
        raise InvalidInput(f"{where}.{option} is {value!r}. Give one of {', '.join(words)}.")


def check_number(distribution: Document, option: str, low: int, high: int, where: str) -> None:
    """A number within limits that the model does not hold."""
    value = distribution.get(option)
    if value is not None and not low <= value <= high:
        raise InvalidInput(f"{where}.{option} is {value}. Give a number from {low} to {high}.")


def check_price(price: str | None, where: str) -> None:
    """At least a tenth of a cent; empty to remove a price set before."""
    if not price:
        return
    try:
        fine = float(price) >= 0.001
    except ValueError:
        fine = False
    if not fine:
        raise InvalidInput(
            f"{where}.spot_max_price is {price!r}. Give dollars an hour, 0.001 or more, or an empty text to remove it."
        )

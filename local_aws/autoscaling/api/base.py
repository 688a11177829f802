# SPDX-License-Identifier: Apache-2.0
"""What all operations of the API share."""

from __future__ import annotations

import typing as t

from moto.core.responses import ActionResult, BaseResponse

from local_aws import store
from local_aws.autoscaling import groups
from local_aws.autoscaling.errors import ValidationError
from local_aws.autoscaling.model import Group, Params

if t.TYPE_CHECKING:
    from local_aws.world import World


class Operations(BaseResponse):
    """Parameters, the world and paging."""

    def __init__(self) -> None:
        super().__init__(service_name="autoscaling")
        self.automated_parameter_parsing = True

    @property
    def world(self) -> World:
        """The world that this process serves."""
        return store.bound()

    @property
    def given(self) -> Params:
        """The parameters of the request, without those left out."""
        return {key: value for key, value in self._get_params().items() if value is not None}

    def group(self) -> Group:
        """The group that the request names."""
        return groups.find(self.world, self.current_account, self.region, self.given["AutoScalingGroupName"])

    def all_groups(self) -> list[Group]:
        """The groups of the caller's account and region, by name."""
        found = [g for g in self.world.groups.values() if (g.account, g.region) == (self.current_account, self.region)]
        return sorted(found, key=lambda group: group.name)

    def page(self, key: str, items: list[Params], size: int = 100) -> ActionResult:
        """One page of a list; the token is the index of the next item."""
        token = str(self.given.get("NextToken") or "0")
        if not token.isdigit():
            raise ValidationError(f"The token '{token}' is not valid.")
        start, count = int(token), min(size, int(self.given.get("MaxRecords") or size))
        rest = {"NextToken": str(start + count)} if start + count < len(items) else {}
        return ActionResult({key: items[start : start + count]} | rest)

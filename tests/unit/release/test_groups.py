# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups whose desired capacity is not a number of instances. Values in, values out."""

from __future__ import annotations

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._release.groups import refuse_any
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Group


@pytest.mark.parametrize(("weights", "refused"), [(("1", "1"), None), (("1", "4"), "4"), ((None, None), None)])
def test_weights_other_than_one_are_refused(weights: tuple[str | None, ...], refused: str | None) -> None:
    overrides = [
        {"InstanceType": "g5.xlarge", **({"WeightedCapacity": weight} if weight else {})} for weight in weights
    ]
    group = Group("sd", "arn", 4, 8, "1", mixed_policy={"LaunchTemplate": {"Overrides": overrides}})
    failure = refuse_any(group)
    if refused is None:
        assert failure is None
    else:
        assert failure is not None
        assert f"Overrides[1].WeightedCapacity={refused} of group sd: a release counts instances" in failure.message

# SPDX-License-Identifier: GPL-3.0-or-later
"""A candidate whose worker dies in the middle of every job never finishes one: it is judged by its restarts."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from local_aws.harness import Harness
from tests.support.fleet import Fleet


class Crashing(Fleet):
    """A fleet in which every job of 1.1.0 kills its worker, which begins again."""

    def _line(self, instance_id: str, tags: dict[str, str]) -> dict[str, t.Any]:
        event = super()._line(instance_id, tags)
        if tags["ImageVersion"] != "1.1.0":
            return event
        names = {"release_id": tags["ReleaseId"], "instance_id": instance_id}
        return {**event, "message": json.dumps({"event": "state", "state": "warming", **names})}


def test_a_candidate_that_restarts_at_every_job_goes_back_for_that_reason(harness: Harness) -> None:
    fleet = Crashing(harness, 3)
    fleet.build("1.0.0")
    fleet.release(version="1.0.0")
    fleet.build("1.1.0")
    with pytest.raises(FleetError, match=r"1\.1\.0 was rolled back: .* restarted 4 times"):
        fleet.release(version="1.1.0", percentage="40")
    assert fleet.versions() == ["1.0.0"] * 3
    assert fleet.parameter("deployment-status") == "stable"

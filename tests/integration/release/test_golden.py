# SPDX-License-Identifier: GPL-3.0-or-later
"""Smoke pictures of the same seeds, drawn by simulated workers of both releases and compared at each step."""

from __future__ import annotations

import io
import json
import typing as t

import pytest
from PIL import Image

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError
from local_aws.harness import Harness
from tests.support.fleet import ACCOUNT, Fleet

SMOKE = {"count": 3, "payload": {"prompt": "a red three"}}


class Painting(Fleet):
    """A fleet that also draws its smoke requests: each version in a grey of its own, told apart by the queue."""

    greys: t.ClassVar[dict[str, int]] = {"1.0.0": 100, "1.1.0": 100}

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass, and have drawn what was waiting."""
        super().sleep(seconds)
        for url in self.client("sqs").list_queues(QueueNamePrefix="sd-smoke-").get("QueueUrls", ()):
            serving = {tags.get("ReleaseId"): tags["ImageVersion"] for tags in map(self.release_of, self._serving())}
            version = serving.get(url.rsplit("-", 1)[1])
            for message in self._receive(url) if version else ():
                self._paint(json.loads(message["Body"])["id"], self.greys[t.cast(str, version)])

    def _serving(self) -> list[str]:
        return [row["InstanceId"] for row in self.group()["Instances"] if row["LifecycleState"] == "InService"]

    def _receive(self, url: str) -> list[dict[str, t.Any]]:
        sqs = self.client("sqs")
        messages: list[dict[str, t.Any]] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return messages

    def _paint(self, request_id: str, grey: int) -> None:
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), (grey, grey, grey)).save(buffer, "PNG")
        key = f"results/{request_id}/0.png"
        self.client("s3").put_object(Bucket=self.names.bucket(ACCOUNT), Key=key, Body=buffer.getvalue())


@pytest.fixture
def painting(harness: Harness) -> Painting:
    """Three instances of 1.0.0, with 1.1.0 pushed, which draws other pictures."""
    fleet = Painting(harness, 3)
    fleet.greys = {"1.0.0": 100, "1.1.0": 140}
    fleet.build("1.0.0")
    fleet.release(version="1.0.0", smoke=SMOKE)
    fleet.build("1.1.0")
    return fleet


def test_other_pictures_are_told_and_pass(painting: Painting) -> None:
    result = painting.release(version="1.1.0", steps=["40", "100"], percentage=None, smoke=SMOKE)
    passed = [line for line in result["lines"] if ": pass:" in line]
    # At the last step no instance of stable is left to draw: its pictures of the first step are compared again.
    assert len(passed) == 2
    assert all("warning: smoke pictures are 40.0 of 255 from stable's, more than 16" in line for line in passed)


def test_other_pictures_go_back_when_asked(painting: Painting) -> None:
    with pytest.raises(FleetError, match=r"smoke pictures are 40\.0 of 255 from stable's"):
        painting.release(version="1.1.0", steps=["40", "100"], percentage=None, smoke={**SMOKE, "golden": "fail"})
    assert painting.versions() == ["1.0.0"] * 3


def test_the_same_files_are_not_even_read(painting: Painting) -> None:
    painting.greys = {"1.0.0": 100, "1.1.0": 100}
    smoke = {**SMOKE, "golden": "fail", "golden_limit": 0.0}
    result = painting.release(version="1.1.0", percentage="100", smoke=smoke)
    assert any("3 of 3 smoke pictures compared, 0.0 of 255 apart" in line for line in result["lines"])

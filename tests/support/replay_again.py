# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.support.replay_again ENDPOINT DEPLOYMENT BUCKET RELEASE``: sends again what that release failed.

For the worker's tests, whose environment has no collection: what its code keeps must be what this code finds.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
import typing as t

import boto3

from ansible_collections.diffusion.fleet.plugins.module_utils._release import replay
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names


@dataclasses.dataclass(frozen=True)
class Account:
    """Clients of an endpoint."""

    endpoint: str

    def client(self, service: str) -> t.Any:
        """A boto3 client."""
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1", **keys)


def main(endpoint: str, deployment: str, bucket: str, release_id: str) -> None:
    """Send again, and say how many."""
    aws, s3 = Account(endpoint), Account(endpoint).client("s3")
    found = replay.find(s3, bucket, [release_id], dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))
    print(replay.send_again(aws, Names(deployment), bucket, found))
    replay.forget(s3, bucket, found)


if __name__ == "__main__":
    main(*sys.argv[1:])

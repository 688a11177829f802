# SPDX-License-Identifier: Apache-2.0
"""boto3 clients of local_aws."""

from __future__ import annotations

import typing as t

from local_aws import store


def make_client(service: str, endpoint: str, attempts: int, signed: bool = True) -> t.Any:
    """A new client of that service which sends a request that many times at most."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=store.REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(
            signature_version=None if signed else UNSIGNED,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            user_agent="local_aws",  # botocore puts its own together anew for each request, from twenty parts
        ),
    )

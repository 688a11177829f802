# SPDX-License-Identifier: Apache-2.0
"""A host's own access to AWS: the keys of its role from its metadata, and what it asks with them."""

from __future__ import annotations

import base64

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.utils import InstanceMetadataFetcher

from local_aws.runner.base import RunnerError
from local_aws.store import REGION


def registry_password(endpoint: str, instance_id: str) -> str:
    """A token of the registry, got with the instance's role. Raises RunnerError."""
    metadata = InstanceMetadataFetcher(
        timeout=30, num_attempts=2, config={"ec2_metadata_service_endpoint": f"{endpoint}/imds/{instance_id}/"}
    )
    keys = metadata.retrieve_iam_role_credentials()
    if not keys:
        raise RunnerError(f"{instance_id} has no role: its instance profile is missing, so it may pull no image")
    session = boto3.session.Session(keys["access_key"], keys["secret_key"], keys["token"], REGION)
    try:
        reply = session.client("ecr", endpoint_url=endpoint).get_authorization_token()
    except (BotoCoreError, ClientError) as problem:
        raise RunnerError(f"{instance_id} got no token of the registry: {problem}") from None
    token = base64.b64decode(reply["authorizationData"][0]["authorizationToken"]).decode()
    return token.partition(":")[2]

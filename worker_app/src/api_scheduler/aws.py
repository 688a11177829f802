# SPDX-License-Identifier: Apache-2.0
"""The AWS clients. Credentials come from instance metadata only: key variables and profiles are ignored."""

from __future__ import annotations

import dataclasses
import typing as t

import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialResolver, InstanceMetadataProvider
from botocore.exceptions import BotoCoreError, ClientError
from botocore.utils import InstanceMetadataFetcher

Client: t.TypeAlias = t.Any  # botocore makes its clients at run time from JSON models: there is no class to name
AwsFailure = (ClientError, BotoCoreError)
"""What any call may raise after botocore's own retries."""

_CONNECTIONS = 32
"""Kept open to a service: about as many as there are messages in hand."""


@dataclasses.dataclass(frozen=True)
class Clients:
    """One client a service."""

    sqs: Client
    s3: Client
    sns: Client
    ssm: Client
    autoscaling: Client
    cloudwatch: Client


def connect(region: str, metadata_endpoint: str = "", endpoint_url: str = "") -> Clients:
    """Clients for the instance's region with the instance's role."""
    session = botocore.session.Session()
    fetcher = InstanceMetadataFetcher(
        timeout=2,
        num_attempts=3,
        user_agent=session.user_agent(),
        config={
            "ec2_metadata_service_endpoint": metadata_endpoint or None,
            "ec2_metadata_service_endpoint_mode": None,
            "ec2_metadata_v1_disabled": True,
        },
    )
    provider = InstanceMetadataProvider(iam_role_fetcher=fetcher)
    session.register_component("credential_provider", CredentialResolver([provider]))
    # The read timeout is above the longest poll (20 s).
    config = Config(
        region_name=region,
        retries={"mode": "standard", "total_max_attempts": 5},
        connect_timeout=5,
        read_timeout=40,
        max_pool_connections=_CONNECTIONS,
        s3={"addressing_style": "path"} if endpoint_url else None,
    )

    def client(service: str) -> Client:
        return session.create_client(service, region_name=region, config=config, endpoint_url=endpoint_url or None)

    clients = Clients(*(client(field.name) for field in dataclasses.fields(Clients)))
    clients.s3.meta.events.register_last("before-call.s3", _without_asking_first)
    return clients


def _without_asking_first(params: dict[str, t.Any], **_unused: object) -> None:
    """Send a body with its headers. botocore asks first whether S3 will take it (``Expect: 100-continue``), which costs
    a round trip, and reads the answer byte by byte: more than a picture is worth that S3 would not have taken."""
    params["headers"].pop("Expect", None)


def error_code(error: Exception) -> str:
    """AWS's code of a refusal, else the exception's class name."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return type(error).__name__

# SPDX-License-Identifier: Apache-2.0
"""A fleet as an application sees it. Needs boto3 and nothing else of what a worker needs."""

from __future__ import annotations

from api_scheduler.client.errors import (
    BadRequest,
    CallFailed,
    FleetError,
    NoSuccess,
    NotSent,
    NotThere,
    OtherContent,
    Unreadable,
)
from api_scheduler.client.fleet import FleetClient
from api_scheduler.client.requests import Request
from api_scheduler.client.results import Failure, Result, Status
from api_scheduler.documents.result import Image

__all__ = [
    "FleetClient",
    "Request",
    "Result",
    "Status",
    "Image",
    "Failure",
    "FleetError",
    "BadRequest",
    "NotThere",
    "Unreadable",
    "OtherContent",
    "CallFailed",
    "NotSent",
    "NoSuccess",
]

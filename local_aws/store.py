# SPDX-License-Identifier: Apache-2.0
"""moto as the store: its environment, the one version that the corrections were made for, and its reset."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from local_aws.world import World

MOTO_VERSION = "5.2.5"
ACCOUNT = "123456789012"
REGION = "us-east-1"

_ENVIRONMENT = {
    "MOTO_AMIS_PATH": str(Path(__file__).parent / "services" / "amis.json"),
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    "MOTO_ACCOUNT_ID": ACCOUNT,
    "MOTO_SQS_ENFORCE_STRICT_QUEUE_PURGE_BEHAVIOUR": "false",
}
_bound: list[World] = []


class StoreError(RuntimeError):
    """local_aws cannot work with the moto that is installed; the message says what to do."""


def check_version(installed: str | None = None) -> None:
    """Refuse any moto but the one whose internals local_aws corrects."""
    found = installed or importlib.metadata.version("moto")
    if found != MOTO_VERSION:
        raise StoreError(
            f"local_aws needs moto=={MOTO_VERSION}, found {found}: run 'pip install -r requirements-local.txt' "
            f"in the controller's environment"
        )


def prepare() -> None:
    """Set moto's environment (before its EC2 is imported) and install every correction once."""
    check_version()
    os.environ.update(_ENVIRONMENT)
    from local_aws import autoscaling
    from local_aws.alarms import service as alarm_service
    from local_aws.services import (
        base,
        ecr,
        images,
        launch_templates,
        logs,
        machine_images,
        managed_policies,
        parameters,
        xml,
    )
    from local_aws.sqs import service as sqs_service

    for correction in (
        base,
        xml,
        managed_policies,
        images,
        machine_images,
        launch_templates,
        ecr,
        logs,
        parameters,
        sqs_service,
        alarm_service,
        autoscaling,
    ):
        correction.install()


def bind(world: World) -> None:
    """Make ``world`` the one that the corrected services ask for time and settings."""
    _bound[:] = [world]


def bound() -> World:
    """The world that this process serves."""
    if not _bound:
        raise StoreError("no world is bound: call local_aws.server.create_app(world) first")
    return _bound[0]


def world_utcnow() -> dt.datetime:
    """The world's time in moto's form: naive, in UTC. It takes the place of ``utcnow`` in modules of moto."""
    return bound().clock.now().astimezone(dt.UTC).replace(tzinfo=None)


def reset() -> None:
    """Drop everything that moto stores, in every service and region."""
    from moto.core.base_backend import BackendDict
    from moto.core.model_instances import reset_model_data

    BackendDict.reset()
    reset_model_data()

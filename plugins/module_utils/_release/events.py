# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Release events, published to the deployment's topic."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import aws_call, error_code


@aws_call("publish the release event")
def publish(sns: t.Any, topic_arn: str, detail_type: str, detail: t.Mapping[str, t.Any]) -> None:
    """One event; a topic that somebody removed does not stop a release."""
    message = json.dumps(
        {"source": "diffusion.fleet", "detail-type": detail_type, "detail": dict(detail)}, sort_keys=True
    )
    try:
        sns.publish(TopicArn=topic_arn, Subject=detail_type, Message=message)
    except sns.exceptions.ClientError as error:
        if error_code(error) not in ("NotFound", "NotFoundException"):
            raise

# SPDX-License-Identifier: Apache-2.0
"""AWS's own IAM policies: there in each world, attached to nothing at its beginning."""

from __future__ import annotations

import typing as t

from local_aws.harness import Harness

SESSION_MANAGER = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


def attachments(iam: t.Any) -> int:
    return int(iam.get_policy(PolicyArn=SESSION_MANAGER)["Policy"]["AttachmentCount"])


def test_what_one_world_attached_is_not_attached_in_the_next() -> None:
    with Harness(direct=True) as first:
        iam = first.client("iam")
        iam.create_role(RoleName="worker", AssumeRolePolicyDocument="{}")
        iam.attach_role_policy(RoleName="worker", PolicyArn=SESSION_MANAGER)
        assert attachments(iam) == 1
    with Harness(direct=True) as second:
        assert attachments(second.client("iam")) == 0
        assert second.client("iam").list_roles()["Roles"] == []

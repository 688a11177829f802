# SPDX-License-Identifier: Apache-2.0
"""AWS's own IAM policies, read once: moto parses all of them, megabytes, each time its store begins anew."""

from __future__ import annotations

import typing as t


def install() -> None:
    """Let IAM backends that follow each other begin with the same policies."""
    from moto.iam.models import IAMBackend

    read = IAMBackend._init_aws_policies
    kept: dict[tuple[str, str], list[t.Any]] = {}

    def policies(backend: IAMBackend) -> list[t.Any]:
        """The owner's policies, attached to nothing; an earlier backend of the same owner is gone."""
        owner = (backend.account_id, backend.region_name)
        if owner not in kept:
            kept[owner] = read(backend)
        for policy in kept[owner]:
            policy.attachment_count = 0
        return list(kept[owner])

    setattr(IAMBackend, "_init_aws_policies", policies)

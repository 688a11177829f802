# SPDX-License-Identifier: Apache-2.0
"""The API of Auto Scaling, on moto's parsing and serialising of the query protocol."""

from __future__ import annotations

from local_aws.autoscaling.api.groups_api import GroupOperations
from local_aws.autoscaling.api.members_api import HookOperations, MemberOperations, PolicyOperations, RefreshOperations


class AutoScalingApi(GroupOperations, MemberOperations, HookOperations, PolicyOperations, RefreshOperations):
    """All operations; the server holds the world's lock around each call."""


def install_api() -> None:
    """Take the place of moto's Auto Scaling."""
    from moto.autoscaling import urls

    urls.url_paths = {"{0}/$": AutoScalingApi.dispatch}


__all__ = ["AutoScalingApi", "install_api"]

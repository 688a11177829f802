# SPDX-License-Identifier: Apache-2.0
"""EC2 Auto Scaling, whole, in place of moto's."""

from __future__ import annotations


def install() -> None:
    """Serve Auto Scaling's API from here; must run before the first request of that service."""
    from local_aws.autoscaling.api import install_api

    install_api()

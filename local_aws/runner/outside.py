# SPDX-License-Identifier: Apache-2.0
"""Instances whose hosts are somebody else's: the groups, metadata and user data are here, the machines are not."""

from __future__ import annotations

import typing as t

from local_aws.runner.base import HostEvent, Instance


class OutsideRunner:
    """Starts nothing and reports nothing: a host acts through the AWS API alone, as on AWS."""

    def pull(self, ref: str, instance: Instance) -> str:
        """The host pulls for itself."""
        return ref

    def start(self, image: str, env: t.Mapping[str, str], instance: Instance) -> None:
        """The host does."""

    def boot(self, instance: Instance) -> None:
        """Whoever has a machine for the instance boots it."""

    def stop(self, instance_id: str) -> None:
        """Whoever has the machine switches it off."""

    def kill(self, instance_id: str) -> None:
        """Nothing to kill here."""

    def restart(self, instance_id: str) -> None:
        """Nothing to restart here."""

    def poll(self) -> list[HostEvent]:
        """Nothing is noticed from here: the host reports itself."""
        return []

    def close(self) -> None:
        """Nothing to stop."""

# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The names of everything that belongs to a deployment (docs/design: names)."""

from __future__ import annotations

import dataclasses
import re

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput

DEPLOYMENT_ID = re.compile(r"^[a-z][a-z0-9-]{1,19}$")


def check_deployment_id(deployment_id: str) -> str:
    """The id itself when it is valid.

    Raises: InvalidInput.
    """
    if not DEPLOYMENT_ID.match(deployment_id):
        raise InvalidInput(
            f"deployment_id={deployment_id!r} is not valid: use 2 to 20 lower-case letters, digits and hyphens, "
            "beginning with a letter."
        )
    return deployment_id


@dataclasses.dataclass(frozen=True)
class Names:
    """Names derived from the deployment id alone."""

    deployment_id: str

    @property
    def group(self) -> str:
        """Auto Scaling group, launch template, repository and dashboard."""
        return f"sd-inference-{self.deployment_id}"

    @property
    def root(self) -> str:
        """The path above all parameters."""
        return f"/sd-inference/{self.deployment_id}"

    @property
    def ledger(self) -> str:
        """Parameter: the release ledger."""
        return f"{self.root}/release"

    @property
    def host(self) -> str:
        """Parameter: host settings written by provision.yml."""
        return f"{self.root}/host"

    @property
    def ami(self) -> str:
        """Parameter: the machine image that bake_ami.yml has made."""
        return f"{self.root}/ami"

    @property
    def image_version(self) -> str:
        """Parameter: the version that is stable."""
        return f"{self.root}/image-version"

    @property
    def lock_path(self) -> str:
        """The path above the locks, one parameter an epoch."""
        return f"{self.root}/lock/"

    def lock(self, epoch: int) -> str:
        """Parameter: the lock of that epoch."""
        return f"{self.lock_path}{epoch}"

    @property
    def log_group(self) -> str:
        """Log group of the workers' job lines."""
        return f"{self.root}/api-scheduler"

    @property
    def gate_alarm(self) -> str:
        """Alarm that fires when nobody watches an open release."""
        return f"{self.group}-release-gate"

    @property
    def failures_alarm(self) -> str:
        """Alarm on failed jobs of the candidate."""
        return f"{self.group}-release-failures"

    @property
    def task_queue(self) -> str:
        """Queue of the requests."""
        return f"sd-task-queue-{self.deployment_id}"

    @property
    def dead_letter_queue(self) -> str:
        """Queue of the copies of requests that were given up."""
        return f"sd-task-dlq-{self.deployment_id}"

    @property
    def smoke_prefix(self) -> str:
        """What the names of all smoke queues begin with."""
        return f"sd-smoke-{self.deployment_id}-"

    def smoke_queue(self, release_id: str) -> str:
        """Queue of the smoke requests of one release."""
        return f"{self.smoke_prefix}{release_id}"

    def bucket(self, account_id: str) -> str:
        """Bucket of results, inputs, worker state and release history."""
        return f"sd-images-{self.deployment_id}-{account_id}"

    def releases_topic(self, region: str, account_id: str, partition: str = "aws") -> str:
        """ARN of the topic of release events."""
        return f"arn:{partition}:sns:{region}:{account_id}:sd-releases-{self.deployment_id}"

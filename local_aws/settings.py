# SPDX-License-Identifier: Apache-2.0
"""What can be set in local_aws: its speed, its own delays and the readings of unclear AWS rules."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Rules:
    """Readings of rules of AWS that its documentation leaves open; each has a test for both readings."""

    skip_matching_after_cancel_is_immediate: bool = False
    """A refresh with SkipMatching to the configuration that the group has saved succeeds without counting instances."""
    native_rollback_covers_earlier_refreshes: bool = True
    """RollbackInstanceRefresh also replaces what an earlier, cancelled refresh launched."""
    rollback_while_baking_allowed: bool = True
    """RollbackInstanceRefresh is accepted in Baking; otherwise IrreversibleInstanceRefresh."""
    checkpoints_count_matching: bool = True
    """Instances skipped by SkipMatching count in the percentages of checkpoints."""
    root_volume_target_is_terminated: bool = False
    """Instance metadata say Terminated before a root volume is replaced; otherwise they do not change."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of one local_aws."""

    speed: float = 1.0
    """Divides only the constants of AWS that nobody can set: the hour of retries, history, launch back-off."""
    pending_seconds: float = 1.0
    """From RunInstances to a running instance."""
    registry_token_seconds: float = 12 * 3600
    """How long a token of GetAuthorizationToken is valid; AWS: 12 hours."""
    scratch: Path | None = None
    """The folder on whose disk the bytes of images lie; None: that of the system's temporary files."""
    rules: Rules = Rules()

    @property
    def retry_seconds(self) -> float:
        """How long a refresh retries what fails, or waits for protected and standby instances."""
        return 3600 / self.speed

    @property
    def history_seconds(self) -> float:
        """How long DescribeInstanceRefreshes remembers: six weeks."""
        return 42 * 86400 / self.speed

    def launch_backoff(self, failures: int) -> float:
        """How long to wait after that many failed launches in a row."""
        return float(min(5 * 2 ** min(failures, 6), 300)) / self.speed

# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What a build has to do: decided from values, before anything is written or pushed."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict


@dataclasses.dataclass(frozen=True)
class BuildPlan:
    """Which of the two effects of a build are still missing."""

    push: bool
    write: bool

    @property
    def changed(self) -> bool:
        """Whether carrying the plan out changes anything."""
        return self.push or self.write


def plan_build(*, repository: str, version: str, digest: str, pushed: str | None, written: bool) -> BuildPlan:
    """The plan. Raises Conflict when the version already names another image."""
    if pushed is not None and pushed != digest:
        raise Conflict(
            f"version={version} of {repository} is already pushed with {pushed}, and this source builds {digest}. "
            "A version is never overwritten: choose a new version.",
            pushed_digest=pushed,
            digest=digest,
        )
    return BuildPlan(push=pushed is None, write=not written)


def image_diff(version: str, digest: str, plan: BuildPlan) -> dict[str, t.Any]:
    """Before and after, as ``--diff`` shows them."""
    return {
        "before": {"version": version, "pushed": None if plan.push else digest, "layout_written": not plan.write},
        "after": {"version": version, "pushed": digest, "layout_written": True},
    }

# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What is to be sent, and what came of it: values in, values out."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict
from ansible_collections.diffusion.fleet.plugins.module_utils._requests.body import Request

UNSUCCESSFUL = ("failed", "cancelled", "expired")

Results = t.Mapping[str, t.Mapping[str, t.Any]]


def to_send(requests: t.Sequence[Request], results: Results) -> list[Request]:
    """The requests without a result. Raises Conflict when an id has the result of another body."""
    for request in requests:
        # Null where a client has cancelled the id: that is an answer to any body.
        found = results.get(request.id, {}).get("body_sha256") or request.sha256
        if found != request.sha256:
            raise Conflict(
                f"id={request.id} already has a result, of another body (sha256 {found}, this one {request.sha256}). "
                "Nothing was sent. Choose another id.",
                id=request.id,
            )
    return [request for request in requests if request.id not in results]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Everything that is known at the end of a run."""

    requests: t.Sequence[Request]
    sent: t.Sequence[str]
    results: Results
    files: t.Mapping[str, t.Sequence[str]]
    wrote: bool = False

    @property
    def pending(self) -> list[str]:
        """The ids without a result."""
        return [request.id for request in self.requests if request.id not in self.results]

    def with_status(self, status: str) -> list[str]:
        """The ids whose result has that status."""
        return [each.id for each in self.requests if self.results.get(each.id, {}).get("status") == status]

    @property
    def unsuccessful(self) -> list[str]:
        """The ids whose result is final and not a success."""
        return [each for status in UNSUCCESSFUL for each in self.with_status(status)]

    def as_result(self) -> dict[str, t.Any]:
        """The module's result."""
        return {
            "changed": bool(self.sent) or self.wrote,
            "sent": list(self.sent),
            "succeeded": self.with_status("succeeded"),
            "failed_requests": self.with_status("failed"),  # "failed" alone would fail the task
            "cancelled": self.with_status("cancelled"),
            "expired": self.with_status("expired"),
            "pending": self.pending,
            "files": [path for paths in self.files.values() for path in paths],
            "results": [self._one(each.id) for each in self.requests if each.id in self.results],
        }

    def _one(self, request_id: str) -> dict[str, t.Any]:
        return {**self.results[request_id], "files": list(self.files.get(request_id, ()))}


def failure_sentence(outcome: Outcome, shown: int = 5) -> str:
    """What did not succeed, and why."""
    ids = outcome.unsuccessful
    reasons = "; ".join(_reason(each, outcome.results[each]) for each in ids[:shown])
    more = f"; and {len(ids) - shown} more" if len(ids) > shown else ""
    return f"{len(ids)} of {len(outcome.requests)} requests did not succeed: {reasons}{more}."


def _reason(request_id: str, result: t.Mapping[str, t.Any]) -> str:
    error = result.get("error") or {}
    detail = f" ({error.get('type')}: {error.get('message')})" if error else ""
    return f"{request_id} {result['status']}{detail}"


def timeout_sentence(outcome: Outcome, seconds: float, shown: int = 5) -> str:
    """Which requests have no result yet, and what to do."""
    ids = outcome.pending
    more = f" and {len(ids) - shown} more" if len(ids) > shown else ""
    return (
        f"{len(ids)} of {len(outcome.requests)} requests have no result after {seconds:.0f} s: "
        f"{', '.join(ids[:shown])}{more}. See with status.yml whether workers are in service, then run this again: "
        "what has a result by then is not sent a second time."
    )

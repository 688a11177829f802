# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What a step is judged by: the jobs of both releases, read and put before the judge."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._aws.calls import Aws
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.jobs import Job
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.pictures import weigh
from ansible_collections.diffusion.fleet.plugins.module_utils._judgement.verdict import Stage, Verdict, judge
from ansible_collections.diffusion.fleet.plugins.module_utils._release import golden
from ansible_collections.diffusion.fleet.plugins.module_utils._release.advance import (
    current_stop,
    is_ending,
    window_over,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.jobs import JobLog
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Release, Status
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.values import Observation


def verdict(
    aws: Aws, names: Names, seen: Observation, log: JobLog, before_page: t.Callable[[], None]
) -> Verdict | None:
    """What the jobs since the release began say of the candidate, where a step waits for its verdict."""
    if seen.ledger.status is not Status.IN_PROGRESS or seen.ledger.step_reached_at is None:
        return None
    seen = _with_limits(seen)
    since = dt.datetime.fromisoformat(t.cast(str, seen.ledger.started_at))
    ours = log.jobs(t.cast(Release, seen.ledger.candidate).release_id, since, before_page)
    theirs = _stable_jobs(log, seen, since, before_page)
    found = judge(ours, theirs, seen.options.limits, _stage(seen, since))
    return _with_pictures(aws, names, seen, found) if found.outcome == "pass" and window_over(seen) else found


def _with_limits(seen: Observation) -> Observation:
    """The step that waits for its verdict may ask for more jobs than the run, or for fewer."""
    wanted = current_stop(seen).min_jobs
    if wanted is None:
        return seen
    limits = dataclasses.replace(seen.options.limits, min_jobs=wanted)
    return dataclasses.replace(seen, options=dataclasses.replace(seen.options, limits=limits))


def _with_pictures(aws: Aws, names: Names, seen: Observation, found: Verdict) -> Verdict:
    """A pass is looked at once more, with the pictures that both releases drew from the same seeds."""
    smoke, ledger = seen.options.smoke, seen.ledger
    candidate, stable = t.cast(Release, ledger.candidate), ledger.stable
    if smoke.golden == "off" or not smoke.payload or not smoke.count:
        return found
    if stable is None or stable.release_id == candidate.release_id:
        return found
    bucket = names.bucket(seen.group.account_id)
    pictures = golden.compare_pictures(
        aws.client("s3"), bucket, ledger.sequence, candidate.release_id, stable.release_id, smoke.count
    )
    return weigh(found, pictures, smoke.golden, smoke.golden_limit)


def _stage(seen: Observation, since: dt.datetime) -> Stage:
    reached = dt.datetime.fromisoformat(t.cast(str, seen.ledger.step_reached_at))
    return Stage(
        seen.ledger.step + 1, reached.timestamp(), since.timestamp(), closing=window_over(seen), ending=is_ending(seen)
    )


def _stable_jobs(log: JobLog, seen: Observation, since: dt.datetime, before_page: t.Callable[[], None]) -> list[Job]:
    """Stable's jobs since the release began and before: which of them count is the judge's business."""
    stable, candidate = seen.ledger.stable, t.cast(Release, seen.ledger.candidate)
    if stable is None or stable.release_id == candidate.release_id:
        return []
    lookback = since - dt.timedelta(seconds=seen.options.timing.lookback)
    return log.jobs(stable.release_id, lookback, before_page)

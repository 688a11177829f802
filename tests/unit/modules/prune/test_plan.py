# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes and what stays: whatever was found, nothing that is named goes, and what is left is left alone."""

from __future__ import annotations

import dataclasses
import datetime as dt
import string
import typing as t

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.diffusion.fleet.plugins.module_utils._prune.plan import make_plan, removals
from ansible_collections.diffusion.fleet.plugins.module_utils._prune.values import (
    Ami,
    Image,
    Instance,
    Item,
    Kind,
    Named,
    Observation,
    Rules,
    Snapshot,
    TemplateVersion,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, Rejection, Release

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
OLD = NOW - dt.timedelta(days=400)
STRICT = Rules(keep_versions=1, keep_days=0, keep_amis=0)
"""Keeps next to nothing that is not named."""

# ---------------------------------------------------------------- small worlds, in which everything may name anything

DIGESTS = [f"sha256:{digit * 64}" for digit in string.hexdigits[:10]]
VERSIONS = [f"1.{number}.0" for number in range(8)]
IDS = [f"{digit * 12}" for digit in string.hexdigits[:8]]
NUMBERS = [str(number) for number in range(1, 13)]
AMIS = [f"ami-{number}" for number in range(6)]
SNAPSHOTS = [f"snap-{number}" for number in range(8)]

ages = st.integers(0, 400 * 24).map(lambda hours: NOW - dt.timedelta(hours=hours))
releases = st.builds(
    Release,
    version=st.sampled_from(VERSIONS),
    digest=st.sampled_from(DIGESTS),
    release_id=st.sampled_from(IDS),
    template_version=st.none() | st.sampled_from(NUMBERS),
)
rejections = st.builds(
    Rejection,
    version=st.sampled_from(VERSIONS),
    digest=st.sampled_from(DIGESTS),
    reason=st.just("3 of 3 jobs failed"),
    release_id=st.sampled_from(IDS),
)
ledgers = st.builds(
    Ledger,
    stable=st.none() | releases,
    previous=st.none() | releases,
    candidate=st.none() | releases,
    rejected=st.lists(rejections, max_size=4).map(tuple),
)


def some(values: t.Sequence[str], most: int = 2) -> st.SearchStrategy[frozenset[str]]:
    """A few of them."""
    return st.frozensets(st.sampled_from(values), max_size=most)


def unique(strategy: st.SearchStrategy[t.Any], field: str, most: int) -> st.SearchStrategy[tuple[t.Any, ...]]:
    """Things with different names."""
    return st.lists(strategy, max_size=most, unique_by=lambda row: getattr(row, field)).map(tuple)


attached = st.sampled_from(DIGESTS).map(lambda digest: f"sha256-{digest.removeprefix('sha256:')}.sig")
images = st.builds(
    Image,
    digest=st.sampled_from(DIGESTS),
    pushed=ages,
    tags=st.lists(st.sampled_from([*VERSIONS, "latest"]) | attached, max_size=2).map(tuple),
    children=some(DIGESTS).map(tuple),
    refers_to=st.none() | st.sampled_from(DIGESTS),
)
amis = st.builds(
    Ami,
    image_id=st.sampled_from(AMIS),
    name=st.just("host"),
    created=ages,
    snapshots=some(SNAPSHOTS).map(tuple),
    pending=st.booleans(),
)
template_versions = st.builds(
    TemplateVersion,
    number=st.sampled_from(NUMBERS),
    created=ages,
    release_id=st.none() | st.sampled_from(IDS),
    digests=some(DIGESTS, 1),
    version=st.none() | st.sampled_from(VERSIONS),
    ami=st.none() | st.sampled_from(AMIS),
    default=st.booleans(),
)
instances = st.builds(
    Instance,
    instance_id=st.sampled_from(["i-1", "i-2", "i-3"]),
    ami=st.none() | st.sampled_from(AMIS),
    template_version=st.none() | st.sampled_from(NUMBERS),
    version=st.none() | st.sampled_from(VERSIONS),
    release_id=st.none() | st.sampled_from(IDS),
)
named = st.builds(
    Named,
    why=st.just("somebody names it"),
    template_versions=some(NUMBERS),
    release_ids=some(IDS),
    digests=some(DIGESTS),
    versions=some(VERSIONS),
    amis=some(AMIS),
)
observations = st.builds(
    Observation,
    now=st.just(NOW),
    ledger=ledgers,
    past=st.lists(releases, max_size=3).map(tuple),
    settings=st.lists(named, max_size=2).map(tuple),
    instances=unique(instances, "instance_id", 3),
    template_versions=unique(template_versions, "number", 12),
    images=unique(images, "digest", 10),
    amis=unique(amis, "image_id", 6),
    snapshots=unique(st.builds(Snapshot, st.sampled_from(SNAPSHOTS), ages), "snapshot_id", 8),
    smoke_queues=some(IDS, 8),
)
rules = st.builds(Rules, keep_versions=st.integers(1, 4), keep_days=st.integers(0, 200), keep_amis=st.integers(0, 3))


def gone(items: t.Iterable[Item], kind: Kind) -> set[str]:
    """Names of what goes."""
    return {item.name for item in removals(items) if item.kind is kind}


def carried_out(seen: Observation, items: t.Sequence[Item]) -> Observation:
    """The world after the plan."""
    snapshots = gone(items, Kind.SNAPSHOT) | {
        name for item in removals(items) if item.kind is Kind.AMI for name in item.snapshots
    }
    return dataclasses.replace(
        seen,
        template_versions=tuple(
            row for row in seen.template_versions if row.number not in gone(items, Kind.TEMPLATE_VERSION)
        ),
        images=tuple(row for row in seen.images if row.digest not in gone(items, Kind.IMAGE)),
        amis=tuple(row for row in seen.amis if row.image_id not in gone(items, Kind.AMI)),
        snapshots=tuple(row for row in seen.snapshots if row.snapshot_id not in snapshots),
        smoke_queues=seen.smoke_queues - gone(items, Kind.SMOKE_QUEUE),
    )


@settings(max_examples=100)
@given(observations, rules)
def test_nothing_that_is_named_ever_goes(seen: Observation, rules: Rules) -> None:
    items = make_plan(seen, rules)
    ledger = seen.ledger
    for release in (ledger.stable, ledger.previous, ledger.candidate, *seen.past):
        if release is None:
            continue
        assert release.template_version not in gone(items, Kind.TEMPLATE_VERSION)
        assert release.digest not in gone(items, Kind.IMAGE)
        assert release.release_id not in gone(items, Kind.SMOKE_QUEUE)
    left = carried_out(seen, items)
    digests, numbers = {row.digest for row in left.images}, {row.number for row in left.template_versions}
    for row in seen.instances:
        assert row.ami not in gone(items, Kind.AMI)
        assert row.template_version not in gone(items, Kind.TEMPLATE_VERSION)
        assert row.release_id not in gone(items, Kind.SMOKE_QUEUE)
        assert all(image.digest in digests for image in seen.images if row.version and row.version in image.tags)
    for row in seen.settings:
        assert not row.template_versions & gone(items, Kind.TEMPLATE_VERSION)
        assert not row.digests & gone(items, Kind.IMAGE)
        assert not row.amis & gone(items, Kind.AMI)
    assert {row.number for row in seen.template_versions if row.default} <= numbers


@settings(max_examples=100)
@given(observations, rules)
def test_what_stays_has_everything_that_it_needs(seen: Observation, rules: Rules) -> None:
    items = make_plan(seen, rules)
    left = carried_out(seen, items)
    for template in left.template_versions:
        assert not template.digests & gone(items, Kind.IMAGE)
        assert template.ami not in gone(items, Kind.AMI)
    for image in left.images:
        assert not set(image.children) & gone(items, Kind.IMAGE), "an index lost a part"
    signatures = {row.digest for row in seen.images if row.subjects & {image.digest for image in left.images}}
    assert not signatures & gone(items, Kind.IMAGE), "an image that stays lost what is attached to it"
    held = {name for ami in left.amis for name in ami.snapshots}
    assert not held & {name for item in removals(items) for name in (item.name, *item.snapshots)}


@settings(max_examples=100)
@given(observations, rules)
def test_a_second_run_removes_nothing(seen: Observation, rules: Rules) -> None:
    assert removals(make_plan(carried_out(seen, make_plan(seen, rules)), rules)) == []


@settings(max_examples=50)
@given(observations, rules)
def test_what_names_something_goes_before_it(seen: Observation, rules: Rules) -> None:
    kinds = [list(Kind).index(item.kind) for item in removals(make_plan(seen, rules))]
    assert kinds == sorted(kinds)


# ---------------------------------------------------------------- each rule by itself


def image(number: int, days: int, *tags: str, **fields: t.Any) -> Image:
    """An image of some age."""
    return Image(DIGESTS[number], NOW - dt.timedelta(days=days), tags or (VERSIONS[number],), **fields)


def kept(seen: Observation, kind: Kind, rules: Rules = STRICT) -> dict[str, str]:
    """What stays, and why."""
    return {item.name: item.why for item in make_plan(seen, rules) if item.kind is kind and not item.goes}


def test_keep_versions_counts_images() -> None:
    rows = tuple(image(number, 100 - number) for number in range(6))
    seen = Observation(NOW, images=rows)
    for count in (1, 3):
        rules = dataclasses.replace(STRICT, keep_versions=count)
        assert set(kept(seen, Kind.IMAGE, rules)) == set(DIGESTS[6 - count : 6])


def test_keep_days_keeps_what_is_younger() -> None:
    rows = tuple(image(number, days) for number, days in enumerate((1, 9, 11, 50)))
    machines = tuple(Ami(f"ami-{days}", "host", NOW - dt.timedelta(days=days)) for days in (9, 11))
    seen = Observation(NOW, images=rows, amis=machines)
    rules = dataclasses.replace(STRICT, keep_days=10)
    assert kept(seen, Kind.IMAGE, rules)[DIGESTS[1]] == "younger than 10 days"
    assert set(kept(seen, Kind.IMAGE, rules)) == {DIGESTS[0], DIGESTS[1]}
    assert set(kept(seen, Kind.AMI, rules)) == {"ami-9"}


def test_keep_amis_counts_machine_images_that_are_ready() -> None:
    rows = [Ami(f"ami-{number}", "host", OLD + dt.timedelta(days=number), (f"snap-{number}",)) for number in range(5)]
    rows[4] = dataclasses.replace(rows[4], pending=True)
    seen = Observation(NOW, amis=tuple(rows))
    items = make_plan(seen, dataclasses.replace(STRICT, keep_amis=2))
    assert gone(items, Kind.AMI) == {"ami-0", "ami-1"}
    assert [item.snapshots for item in removals(items)] == [("snap-0",), ("snap-1",)]


def test_a_rejected_image_goes_unless_an_instance_runs_it() -> None:
    rejected = Rejection("1.1.0", DIGESTS[1], "3 of 3 jobs failed", IDS[1])
    stable = Release("1.0.0", DIGESTS[0], IDS[0], "2")
    seen = Observation(
        NOW,
        ledger=Ledger(stable=stable, rejected=(rejected,)),
        images=(image(0, 30), image(1, 20), image(2, 10)),
        smoke_queues=frozenset(IDS[:2]),
    )
    assert set(kept(seen, Kind.IMAGE)) == {DIGESTS[0], DIGESTS[2]}
    runs = Instance("i-1", template_version="3", version="1.1.0", release_id=IDS[1])
    runs_it = dataclasses.replace(seen, instances=(runs,))
    assert kept(runs_it, Kind.IMAGE)[DIGESTS[1]] == "instance i-1 exists"
    assert set(kept(runs_it, Kind.SMOKE_QUEUE)) == set(IDS[:2])


def test_the_image_that_the_next_deploy_would_take_stays() -> None:
    rejected = Rejection("1.2.0", DIGESTS[2], "3 of 3 jobs failed", IDS[2])
    seen = Observation(NOW, ledger=Ledger(rejected=(rejected,)), images=(image(0, 30), image(1, 20), image(2, 10)))
    assert kept(seen, Kind.IMAGE) == {
        DIGESTS[1]: "deploy.yml without a version would release it",
        DIGESTS[2]: "among the newest",
    }


def test_signatures_and_parts_follow_their_image() -> None:
    signature = f"sha256-{DIGESTS[0].removeprefix('sha256:')}.sig"
    rows = (
        image(0, 50, children=(DIGESTS[4],)),
        image(1, 60, children=(DIGESTS[5],)),
        image(2, 50, signature),
        image(3, 60, signature.replace("0" * 64, "1" * 64)),
        Image(DIGESTS[4], OLD),
        Image(DIGESTS[5], OLD),
        Image(DIGESTS[6], OLD, refers_to=DIGESTS[0]),
    )
    seen = Observation(NOW, images=rows)
    assert set(kept(seen, Kind.IMAGE)) == {DIGESTS[0], DIGESTS[2], DIGESTS[4], DIGESTS[6]}
    names = [item.name for item in removals(make_plan(seen, STRICT))]
    assert names.index(DIGESTS[1]) < names.index(DIGESTS[5]), "the registry keeps the parts of an index"


def test_what_is_being_pushed_or_made_is_left_alone() -> None:
    minutes = NOW - dt.timedelta(minutes=5)
    seen = Observation(
        NOW, images=(Image(DIGESTS[0], minutes), Image(DIGESTS[1], OLD)), snapshots=(Snapshot("snap-1", minutes),)
    )
    assert set(kept(seen, Kind.IMAGE)) == {DIGESTS[0]}
    assert set(kept(seen, Kind.SNAPSHOT)) == {"snap-1"}


def test_a_snapshot_without_its_machine_image_goes_and_a_shared_one_stays() -> None:
    stays, goes = (
        Ami("ami-2", "b", OLD + dt.timedelta(days=1), ("snap-1",)),
        Ami("ami-1", "a", OLD, ("snap-1", "snap-2")),
    )
    snapshots = tuple(Snapshot(f"snap-{number}", OLD) for number in (1, 2, 3))
    items = make_plan(
        Observation(NOW, amis=(stays, goes), snapshots=snapshots), dataclasses.replace(STRICT, keep_amis=1)
    )
    assert [(item.name, item.snapshots) for item in removals(items)] == [("ami-1", ("snap-2",)), ("snap-3", ())]

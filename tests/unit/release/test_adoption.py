# SPDX-License-Identifier: GPL-3.0-or-later
"""What is inferred of a fleet without a ledger, from what is known of it."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import typing as t

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._release.adoption import (
    UNKNOWN,
    Facts,
    Host,
    infer,
    template_version_of,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names

NAMES = Names("demo")
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
FACTS = Facts(
    projections={"image-version": "1.1.0", "previous-version": "1.0.0", "deployment-status": "stable"},
    saved="$Latest",
    hosts=tuple(Host("2", launched=NOON) for _unused in range(3)),
    templates={"1": {}, "2": {}},
    named={"$Latest": "2", "$Default": "1"},
    digests={"1.0.0": "sha256:a", "1.1.0": "sha256:b"},
    written=((NOON - dt.timedelta(hours=2), "1.0.0"), (NOON + dt.timedelta(hours=1), "1.1.0")),
)


def facts(**changes: t.Any) -> Facts:
    """The usual fleet with something else about it."""
    return dataclasses.replace(FACTS, **changes)


def stable(found: Facts) -> tuple[str, str | None, str]:
    """(version, template version, digest) of what is inferred to be stable."""
    release = infer(NAMES, found).ledger.stable
    assert release is not None
    return release.version, release.template_version, release.digest


def user_data(text: str) -> str:
    """As a template holds it."""
    return base64.b64encode(text.encode()).decode()


def test_a_host_runs_what_the_parameter_said_when_it_was_launched() -> None:
    assert stable(FACTS) == ("1.0.0", "2", "sha256:a")
    later = tuple(Host("2", launched=NOON + dt.timedelta(hours=2)) for _unused in range(3))
    assert stable(facts(hosts=later)) == ("1.1.0", "2", "sha256:b")


def test_a_tag_counts_more_than_the_template_and_the_template_more_than_the_parameter() -> None:
    data = {"UserData": user_data("docker run 1.dkr.ecr.us-east-1.amazonaws.com/sd-inference-demo:0.9.0\n")}
    assert stable(facts(templates={"2": data}))[0] == "0.9.0"
    tagged = tuple(Host("2", version="0.8.0") for _unused in range(3))
    assert stable(facts(templates={"2": data}, hosts=tagged))[0] == "0.8.0"


def test_user_data_that_ask_at_boot_name_no_version() -> None:
    assert template_version_of(NAMES, {"UserData": user_data("docker run r/sd-inference-demo:$VERSION")}) is None
    assert template_version_of(NAMES, {"UserData": user_data("docker run r/sd-inference-demo-2:1.0.0")}) is None


def test_most_instances_win_and_the_others_are_named() -> None:
    mixed = (*FACTS.hosts, Host("2", launched=NOON + dt.timedelta(hours=2)))
    found = infer(NAMES, facts(hosts=mixed))
    assert found.notes[0].startswith("stable is 1.0.0: 3 of 4 instances in service run it")
    assert found.notes[1] == "1 run 1.1.0 of template version 2: the next release replaces them"


def test_of_as_many_the_older_template_version_wins() -> None:
    hosts = (Host("2", version="2.0.0"), Host("1", version="1.0.0"))
    assert stable(facts(hosts=hosts))[:2] == ("1.0.0", "1")


def test_an_empty_group_is_what_the_parameter_says() -> None:
    found = infer(NAMES, facts(hosts=()))
    assert stable(facts(hosts=())) == ("1.1.0", "2", "sha256:b")
    assert found.pin == "2"
    assert "no instance is in service" in found.notes[0]


def test_a_group_on_a_number_is_not_touched() -> None:
    assert infer(NAMES, facts(saved="2")).pin is None


def test_an_image_that_is_gone_is_said() -> None:
    found = infer(NAMES, facts(digests={}))
    assert stable(facts(digests={}))[2] == UNKNOWN
    assert "the image of 1.0.0 is not in the registry: new instances of it cannot start" in found.notes


@pytest.mark.parametrize(
    ("changes", "version", "note"),
    [
        ({}, None, "previous is none: previous-version says 1.0.0"),
        ({"previous-version": "0.9.0"}, None, "says 0.9.0, but its image is not in the registry"),
        ({"previous-version": "1.1.0"}, None, "says 1.1.0, but no launch template version carries it"),
        ({"previous-version": "none"}, None, "previous is none: previous-version says none"),
    ],
)
def test_previous_is_believed_only_with_image_and_template(
    changes: dict[str, str], version: str | None, note: str
) -> None:
    found = infer(NAMES, facts(projections={**FACTS.projections, **changes}))
    assert (found.ledger.previous.version if found.ledger.previous else None) == version
    assert any(note in line for line in found.notes)


def test_a_take_over_that_was_interrupted_keeps_its_number() -> None:
    assert infer(NAMES, FACTS).ledger.sequence == 1
    first = infer(NAMES, FACTS).record(NAMES, "ada@ci", NOON.isoformat())
    assert infer(NAMES, facts(records=(first,))).ledger.sequence == 1
    deploy = {**first, "kind": "deploy", "sequence": 7}
    assert infer(NAMES, facts(records=(deploy,))).ledger.sequence == 8


def test_the_same_facts_give_the_same_release() -> None:
    assert infer(NAMES, FACTS) == infer(NAMES, FACTS)
    identity = infer(NAMES, FACTS).ledger.stable
    assert identity is not None
    assert len(identity.release_id) == 12


def test_a_template_version_that_is_gone_is_refused() -> None:
    with pytest.raises(InvalidInput, match="run version 2 of launch template sd-inference-demo, which does not exist"):
        infer(NAMES, facts(templates={"1": {}}))


def test_an_instance_of_another_template_is_named_and_never_taken_for_stable() -> None:
    found = infer(NAMES, facts(hosts=(*FACTS.hosts, Host("other:2", version="1.1.0"))))
    assert found.notes[1] == "1 run 1.1.0 of template version other:2: the next release replaces them"
    assert found.ledger.stable is not None
    assert found.ledger.stable.template_version == "2"
    with pytest.raises(InvalidInput, match="instances run version other:2"):
        infer(NAMES, facts(hosts=tuple(Host("other:2", version="1.1.0") for _unused in range(3))))

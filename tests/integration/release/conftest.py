# SPDX-License-Identifier: GPL-3.0-or-later
"""A harness for each test, and fleets in it."""

from __future__ import annotations

import typing as t

import pytest

from local_aws.harness import Harness
from tests.support.fleet import Fleet, make_fleet, make_harness


@pytest.fixture
def harness() -> t.Iterator[Harness]:
    """An empty local AWS on virtual time."""
    with make_harness() as harness:
        yield harness


@pytest.fixture
def fleet(harness: Harness) -> Fleet:
    """A fleet of 5 that runs 1.0.0, with 1.1.0 pushed."""
    return make_fleet(harness, 5)

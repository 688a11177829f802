# SPDX-License-Identifier: GPL-3.0-or-later
"""A provisioned fleet of real `noop` worker processes on a local_aws of its own, kept for all tests."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from tests.e2e.site import Site
from tests.support.playbooks import local_aws
from tests.support.warm.python import warm_modules

FIRST = "1.0.0"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """Two instances that run 1.0.0."""
    state: pathlib.Path = tmp_path_factory.mktemp("local_aws")
    with local_aws(state) as endpoint:
        site = Site(endpoint)
        with warm_modules(tmp_path_factory.mktemp("python")):
            site.play("provision", fleet_initial_capacity=2)
        site.build(FIRST)
        site.play("deploy", version=FIRST)
        yield site


@pytest.fixture(scope="session")
def versions() -> t.Iterator[str]:
    """New version numbers, one after the other."""
    return (f"1.{minor}.0" for minor in range(1, 100))


def pytest_report_header() -> str:
    """What these tests run on."""
    return "end to end: " + json.dumps({"engine": "noop", "processes": True})

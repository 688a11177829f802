# SPDX-License-Identifier: GPL-3.0-or-later
"""A new version of the worker is a small matter: what `bench/image.py` measures, against its limits."""

from __future__ import annotations

import pytest

from bench import image as bench
from tests.containers.conftest import NAME
from tests.support.docker import Docker


@pytest.fixture(scope="module")
def measured(docker: Docker, base: str) -> bench.Measured:
    return bench.measure(NAME, "noop")


def test_it_is_built_from_the_cache_within_15_seconds(measured: bench.Measured) -> None:
    assert measured.second.build <= bench.BUILD_SECONDS


def test_a_host_pulls_one_percent_of_it(measured: bench.Measured) -> None:
    assert measured.second.pulled <= bench.SHARE * measured.first.pulled
    assert measured.second.wire <= bench.SHARE * measured.first.wire

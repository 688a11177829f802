# SPDX-License-Identifier: Apache-2.0
"""The fleet that the tests of Auto Scaling share."""

from __future__ import annotations

import typing as t

import pytest

from tests.support.scaling import Fleet


@pytest.fixture
def fleet() -> t.Iterator[Fleet]:
    """A fleet with the default rules."""
    with Fleet() as running:
        yield running

# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a bucket of models, and an empty cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.harness import Deployment
from tests.worker.models.shelf import Shelf


@pytest.fixture
def shelf(deployment: Deployment, tmp_path: Path) -> Shelf:
    """A shelf with nothing on it."""
    return Shelf(deployment.endpoint, deployment.bucket, tmp_path / "cache")

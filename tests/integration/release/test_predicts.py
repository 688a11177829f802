# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode says is what the run then does: ten of the situations of ``python -m campaign.predicts``."""

from __future__ import annotations

import pytest

from local_aws.harness import Harness
from tests.support.predictions import compare


@pytest.mark.parametrize("seed", range(10))
def test_the_run_does_what_check_mode_said(harness: Harness, seed: int) -> None:
    compared = compare(harness, seed)
    assert compared.differences == [], compared

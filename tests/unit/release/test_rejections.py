# SPDX-License-Identifier: GPL-3.0-or-later
"""What is rejected stays so: what the ledger keeps, and which image is the newest one."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import (
    MAX_BYTES,
    REASON_BYTES,
    Ledger,
    Rejection,
    Release,
    parse_ledger,
)
from ansible_collections.diffusion.fleet.plugins.module_utils._release.registry import choose

STABLE = Release("1.0.0", f"sha256:{0:064}", "0123456789ab", "12", "2026-11-23T17:00:00+00:00")


def rejected(count: int) -> tuple[Rejection, ...]:
    """So many, the oldest first, with long reasons."""
    return tuple(
        Rejection(f"1.{number}.0-build.{number}", f"sha256:{number:064}", "x" * 120, f"{number:012}")
        for number in range(1, count + 1)
    )


def pushed(count: int) -> list[tuple[str, str]]:
    """That many images newer than stable, newest first, and stable."""
    return [(f"1.{number}.0", f"sha256:{number:064}") for number in range(count, -1, -1)]


def test_the_oldest_reasons_give_way_before_a_rejection_is_forgotten() -> None:
    ledger = Ledger(
        stable=STABLE,
        previous=STABLE,
        candidate=STABLE,
        rejected=rejected(10),
        refresh_id="0" * 36,
        started_by="somebody@controller.example.com",
        reason="y" * REASON_BYTES,
    )
    text = ledger.to_json()
    kept = parse_ledger(text)
    assert len(text.encode()) <= MAX_BYTES
    assert [item.digest for item in kept.rejected] == [item.digest for item in ledger.rejected]
    assert (kept.rejected[0].reason, kept.rejected[-1].reason) == ("", "x" * 120)


def test_an_image_behind_all_remembered_rejections_is_not_the_newest() -> None:
    ledger = Ledger(stable=STABLE, rejected=rejected(11)[1:])
    with pytest.raises(InvalidInput, match=r"1\.1\.0 may have been rejected, too"):
        choose(pushed(11), ledger, retry_rejected=False)
    assert choose(pushed(11)[-2:-1], ledger, retry_rejected=False)[0] == "1.1.0"  # by its name
    assert choose(pushed(12), ledger, retry_rejected=False)[0] == "1.12.0"
    without = dataclasses.replace(ledger, rejected=rejected(11)[2:])
    assert choose(pushed(11), without, retry_rejected=False)[0] == "1.2.0"


def test_behind_all_remembered_rejections_stable_is_still_stable() -> None:
    ledger = Ledger(stable=STABLE, rejected=rejected(10))
    assert choose(pushed(10), ledger, retry_rejected=False)[0] == "1.0.0"

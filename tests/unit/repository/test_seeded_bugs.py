# SPDX-License-Identifier: GPL-3.0-or-later
"""The campaign's seeded bugs still fit the tree: it runs too rarely to notice by itself."""

from __future__ import annotations

import pytest

from campaign.seeded_bugs import BUGS, ROOT, Bug


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_text_of_a_seeded_bug_stands_once_in_its_file(bug: Bug) -> None:
    text = (ROOT / bug.file).read_text(encoding="utf-8")
    assert text.count(bug.right) == 1, f"{bug.file} has {text.count(bug.right)} times, not once: {bug.right!r}"


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_seeded_bug_leaves_a_file_that_compiles_and_names_tests_that_exist(bug: Bug) -> None:
    seeded = (ROOT / bug.file).read_text(encoding="utf-8").replace(bug.right, bug.wrong)
    compile(seeded, bug.file, "exec")  # else every test would "catch" it
    assert (ROOT / bug.first).is_file()

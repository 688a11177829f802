# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the role has changed, held against what check mode had said: the files of the callback ``changes``."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

Change = tuple[str, str, str]
"""Host, task, item."""
_INSTALL = "Install the packages"
_SUFFIXES = (" (predicted)", " (apt)", " (dnf)", " (apt, files)", " (dnf, files)")


def read(path: Path) -> set[Change]:
    """The changes of a run; one task stands for installing, as check mode says it."""
    return {_change(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()}


def _change(line: t.Mapping[str, str]) -> Change:
    task = line["task"].removeprefix("gpu_worker : ").removeprefix("diffusion.fleet.gpu_worker : ")
    for suffix in _SUFFIXES:
        task = task.removesuffix(suffix)
    return line["host"], task, "" if task == _INSTALL else line["item"]


def differences(predicted: t.Collection[Change], done: t.Collection[Change]) -> list[str]:
    """One sentence for each change that was not predicted, or that was and did not come."""
    missed = [f"was not predicted: {' '.join(change)}" for change in sorted(set(done) - set(predicted))]
    return missed + [f"did not come: {' '.join(change)}" for change in sorted(set(predicted) - set(done))]

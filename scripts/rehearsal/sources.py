# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's later versions: copies of its source with small changes, as a developer would make them."""

from __future__ import annotations

import dataclasses
import shutil
import typing as t
from pathlib import Path

PACKAGE = Path("src/api_scheduler")
_NEEDED = ("src", "pyproject.toml", "requirements.txt")
_FOR_ENGINES = ("Dockerfile", ".dockerignore", "locks")
"""What a container engine builds from."""


@dataclasses.dataclass(frozen=True)
class Edit:
    """One line of the source, before and after."""

    file: str
    before: str
    after: str


def version_edit(old: str, new: str) -> Edit:
    """The package tells its new version."""
    return Edit("__init__.py", f'__version__ = "{old}"', f'__version__ = "{new}"')


SMALLER_PICTURES = Edit("pictures.py", "compress_level=_FAST", "optimize=True")
# The kind of slip that a code review passes: an option's value in a spelling that the library does not know. It breaks
# one sampler only, so the worker starts, draws its warm-up picture with another one, and says that it is ready.
BROKEN_SAMPLER = Edit("samplers.py", '{"algorithm_type": "dpmsolver++"}', '{"algorithm_type": "dpmsolver_pp"}')

# The same in the engine without a model: it warms up, and every job fails.
BROKEN_JOBS = Edit(
    "engines/noop.py",
    "        self._in_work[key] = _InWork(job, job.all_steps)\n",
    "        raise RuntimeError(f'CUDA error: an illegal memory access was encountered ({key}, {job.width})')\n",
)


class SourceChanged(Exception):
    """The worker's source no longer holds the line that the demo changes."""


def copy_source(source: Path, target: Path, edits: t.Sequence[Edit]) -> None:
    """Copy a worker application and edit the copy. Raises SourceChanged."""
    shutil.rmtree(target, ignore_errors=True)
    for part in (*_NEEDED, *(name for name in _FOR_ENGINES if (source / name).exists())):
        _copy(source / part, target / part)
    for edit in edits:
        apply_edit(target / PACKAGE / edit.file, edit)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def apply_edit(path: Path, edit: Edit) -> None:
    """Change the one place in the file. Raises SourceChanged when there is none, or more than one."""
    text = path.read_text(encoding="utf-8")
    count = text.count(edit.before)
    if count != 1:
        raise SourceChanged(
            f"{path} holds {edit.before!r} {count} times, not once: change scripts/rehearsal/sources.py"
        )
    path.write_text(text.replace(edit.before, edit.after), encoding="utf-8")

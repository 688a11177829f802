# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the repository as a whole: names in step, arrows that do not exist, nothing of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FORBIDDEN_IMPORTS = {
    "plugins": ("api_scheduler", "local_aws", "tests", "ansible_collections.diffusion.fleet.tests"),
    "worker_app/src": ("ansible", "ansible_collections", "local_aws", "tests"),
    "local_aws": ("ansible_collections.diffusion", "api_scheduler", "tests"),
}
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|Users|work|root)/[\w.]+")
TEXT_SUFFIXES = {".cfg", ".j2", ".json", ".md", ".py", ".rst", ".sh", ".toml", ".txt", ".yaml", ".yml", ""}


def tracked(*patterns: str) -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]


def load_yaml(path: str) -> t.Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def modules() -> set[str]:
    return {Path(path).stem for path in tracked("plugins/modules/*.py")} - {"__init__"}


def imported(path: str) -> t.Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_action_group_lists_every_module_that_calls_aws() -> None:
    group = load_yaml("meta/runtime.yml")["action_groups"]["fleet"]
    fragment = "amazon.aws.common.modules"
    calling = {name for name in modules() if fragment in (ROOT / f"plugins/modules/{name}.py").read_text("utf-8")}
    assert {entry for entry in group if isinstance(entry, str)} == calling


def test_the_action_group_extends_both_aws_collections() -> None:
    group = load_yaml("meta/runtime.yml")["action_groups"]["fleet"]
    (metadata,) = [entry["metadata"] for entry in group if isinstance(entry, dict)]
    assert metadata["extend_group"] == ["amazon.aws.aws", "community.aws.aws"]


def test_both_lists_of_collections_have_the_same_lower_bounds() -> None:
    needed = load_yaml("galaxy.yml")["dependencies"]
    offered = {entry["name"]: entry["version"].split(",")[0] for entry in load_yaml("requirements.yml")["collections"]}
    assert offered == needed


@pytest.mark.parametrize("folder", FORBIDDEN_IMPORTS)
def test_no_arrow_between_the_parts(folder: str) -> None:
    forbidden = FORBIDDEN_IMPORTS[folder]
    arrows = [
        f"{path} imports {name}"
        for path in tracked(f"{folder}/*.py")
        for name in imported(path)
        if any(name == part or name.startswith(f"{part}.") for part in forbidden)
    ]
    assert not arrows


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = []
    for path in tracked():
        if Path(path).suffix in TEXT_SUFFIXES and path != "tests/unit/repository/test_layout.py":
            text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
            found += [f"{path}: {match[0]}" for match in MACHINE_PATHS.finditer(text)]
    assert not found


def test_packages_of_the_plugins_are_empty() -> None:
    """What stands in ``__init__`` would be sent to every host with every module."""
    assert not [path for path in tracked("plugins/**/__init__.py") if (ROOT / path).read_text().strip()]


def test_there_are_no_sanity_ignores() -> None:
    assert not tracked("tests/sanity/ignore*")


def underscores(path: str) -> t.Iterator[int]:
    """Lines that use the bare name ``_``, which ansible-test's pylint refuses: it was once gettext's."""
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if (isinstance(node, ast.Name) and node.id == "_") or (isinstance(node, ast.arg) and node.arg == "_"):
            yield node.lineno


def test_what_is_not_used_is_not_named_by_a_bare_underscore() -> None:
    assert not [f"{path}:{line}: say _unused" for path in tracked("*.py") for line in underscores(path)]

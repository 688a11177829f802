# SPDX-License-Identifier: Apache-2.0
"""The table of rules in docs/aws-rules.md names tests that exist."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def rows() -> list[list[str]]:
    """The cells of every row."""
    lines = (ROOT / "docs" / "aws-rules.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def test_every_row_has_a_rule_a_source_and_a_test() -> None:
    """Three cells, none empty, and at least forty rows."""
    assert len(rows()) >= 40
    assert [row for row in rows() if len(row) != 3 or not all(row)] == []


def test_every_named_test_exists() -> None:
    """The file is there and defines the function."""
    missing = [name for *_unused, name in rows() if not exists(name.strip("`"))]
    assert missing == []


def exists(name: str) -> bool:
    """Whether ``file::function`` is a test."""
    path, _separator, function = name.partition("::")
    file = ROOT / path
    if not file.is_file():
        return False
    tree = ast.parse(file.read_text(encoding="utf-8"))
    wanted = function.rpartition("::")[2]
    return any(isinstance(node, ast.FunctionDef) and node.name == wanted for node in ast.walk(tree))

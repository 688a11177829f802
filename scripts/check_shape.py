# SPDX-License-Identifier: GPL-3.0-or-later
"""Fail when the code outgrows its shape: short functions, files that fit in a head, and a small median.

A function's length is its source lines without decorators and docstring; a nested function counts on its own as well.
A file's length is its lines that are neither blank, nor comment, nor a module-level string (Ansible documentation).
"""

from __future__ import annotations

import ast
import dataclasses
import statistics
import subprocess
import sys
import typing as t
from pathlib import Path

FOLDERS = ("plugins", "roles", "worker_app/src", "local_aws")
LONGEST_FUNCTION = 50
LONGEST_FILE = 400
MEDIAN_BELOW = 10
P90_BELOW = 30

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclasses.dataclass(frozen=True)
class Shape:
    """What was measured of one folder."""

    functions: t.Mapping[str, int]
    files: t.Mapping[str, int]

    def median(self) -> float:
        """The median length of a function."""
        return statistics.median(self.functions.values()) if self.functions else 0

    def p90(self) -> int:
        """The length that nine functions of ten do not exceed."""
        lengths = sorted(self.functions.values())
        return lengths[int(0.9 * (len(lengths) - 1))] if lengths else 0


def is_docstring(node: ast.stmt) -> bool:
    """Whether the statement is a bare string."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def function_lines(node: FunctionNode) -> int:
    """The lines of a function's body."""
    body = node.body[1:] if is_docstring(node.body[0]) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def documentation_lines(tree: ast.Module) -> set[int]:
    """The lines taken by strings at module level."""
    values = [(node, getattr(node, "value", None)) for node in tree.body if isinstance(node, ast.Expr | ast.Assign)]
    return {
        line
        for node, value in values
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def file_lines(text: str, tree: ast.Module) -> int:
    """The lines of code in a file."""
    skipped = documentation_lines(tree)
    lines = enumerate(text.splitlines(), 1)
    return sum(1 for number, line in lines if number not in skipped and line.strip() and line.lstrip()[0] != "#")


def measure(paths: t.Iterable[Path]) -> Shape:
    """The shape of these files."""
    functions: dict[str, int] = {}
    files: dict[str, int] = {}
    for path in paths:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, filename=str(path))
        files[str(path)] = file_lines(text, tree)
        for node in ast.walk(tree):
            if isinstance(node, FunctionNode):
                functions[f"{path}:{node.lineno} {node.name}"] = function_lines(node)
    return Shape(functions, files)


def problems(folder: str, shape: Shape) -> t.Iterator[str]:
    """What is out of shape, one sentence each."""
    for name, length in shape.functions.items():
        if length > LONGEST_FUNCTION:
            yield f"{name}: {length} lines, at most {LONGEST_FUNCTION}"
    for name, length in shape.files.items():
        if length >= LONGEST_FILE:
            yield f"{name}: {length} lines of code, must be below {LONGEST_FILE}"
    if shape.median() >= MEDIAN_BELOW:
        yield f"{folder}: the median function has {shape.median():g} lines, must be below {MEDIAN_BELOW}"
    if shape.p90() >= P90_BELOW:
        yield f"{folder}: nine functions of ten reach {shape.p90()} lines, must be below {P90_BELOW}"


def repository_files(folder: str) -> list[Path]:
    """The Python files of a folder that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", f"{folder}/*.py"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for path in map(Path, listed) if path.exists()]


def main() -> int:
    """Print the figures and what is wrong; the exit status."""
    found: list[str] = []
    for folder in FOLDERS:
        shape = measure(repository_files(folder))
        found += problems(folder, shape)
        longest = max(shape.functions.values(), default=0)
        figures = f"median {shape.median():g}, p90 {shape.p90()}, longest {longest}"
        print(f"{folder}: {len(shape.functions)} functions, {figures} lines; {len(shape.files)} files")
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

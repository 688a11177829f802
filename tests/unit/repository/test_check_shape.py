# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape gate fails on what it is there to catch."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "check_shape.py"


@pytest.fixture(scope="module")
def gate() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("check_shape", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def function(name: str, lines: int) -> str:
    return f'def {name}():\n    """Documented,\n    at length."""\n' + "    pass\n" * lines


def judge(gate: types.ModuleType, folder: Path, source: str) -> list[str]:
    path = folder / "module.py"
    path.write_text(source)
    return list(gate.problems("folder", gate.measure([path])))


def test_a_small_file_passes(gate: types.ModuleType, tmp_path: Path) -> None:
    assert judge(gate, tmp_path, function("small", 9)) == []


def test_docstrings_do_not_count(gate: types.ModuleType, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(function("small", 3))
    assert list(gate.measure([tmp_path / "module.py"]).functions.values()) == [3]


def test_a_long_function_fails_by_name(gate: types.ModuleType, tmp_path: Path) -> None:
    source = "".join(function(f"small_{number}", 2) for number in range(20)) + function("huge", 51)
    (found,) = judge(gate, tmp_path, source)
    assert "huge: 51 lines, at most 50" in found


def test_a_long_file_fails_but_documentation_is_free(gate: types.ModuleType, tmp_path: Path) -> None:
    documentation = 'DOCUMENTATION = """' + "text\n" * 500 + '"""\n'
    assert judge(gate, tmp_path, documentation + "x = 1\n" * 399) == []
    assert "must be below 400" in judge(gate, tmp_path, documentation + "x = 1\n" * 400)[0]


def test_a_fat_median_fails(gate: types.ModuleType, tmp_path: Path) -> None:
    source = "".join(function(f"fat_{number}", 10) for number in range(3))
    assert ["median" in text for text in judge(gate, tmp_path, source)] == [True]


def test_a_fat_tail_fails(gate: types.ModuleType, tmp_path: Path) -> None:
    source = "".join(function(f"small_{number}", 2) for number in range(16))
    source += "".join(function(f"fat_{number}", 30) for number in range(4))
    assert ["nine functions of ten" in text for text in judge(gate, tmp_path, source)] == [True]

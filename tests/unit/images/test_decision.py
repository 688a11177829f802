# SPDX-License-Identifier: GPL-3.0-or-later
"""Build, leave alone or refuse: decided from values."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import Conflict
from ansible_collections.diffusion.fleet.plugins.module_utils._images.decision import Pushed, decide, source_sha256

FILES = {"Dockerfile": b"FROM scratch\n", "app/src/api_scheduler/__init__.py": b""}
ARGUMENTS = {"BASE_IMAGE": "python:3.11", "REQUIREMENTS": "noop"}
SOURCE = source_sha256(FILES, ARGUMENTS)
DIGEST = "sha256:" + "a" * 64


def decision(pushed: Pushed | None) -> str:
    return decide(repository="sd-inference-demo", version="1.0.0", source=SOURCE, pushed=pushed)


def test_a_new_version_is_built() -> None:
    assert decision(None) == "build"


def test_the_same_content_is_left_alone() -> None:
    assert decision(Pushed(DIGEST, SOURCE)) == "nothing"


@pytest.mark.parametrize("label", ["", source_sha256(FILES, {**ARGUMENTS, "REQUIREMENTS": "cuda"})])
def test_other_content_is_refused_with_both_names(label: str) -> None:
    with pytest.raises(Conflict) as refused:
        decision(Pushed(DIGEST, label))
    assert "choose a new version" in refused.value.message
    assert refused.value.details == {
        "pushed_digest": DIGEST,
        "pushed_source_sha256": label,
        "source_sha256": SOURCE,
    }


@given(st.dictionaries(st.text(max_size=8), st.binary(max_size=8), max_size=4), st.dictionaries(st.text(), st.text()))
def test_a_name_follows_from_every_file_and_argument(files: dict[str, bytes], arguments: dict[str, str]) -> None:
    same = source_sha256(dict(reversed(files.items())), dict(reversed(arguments.items())))
    assert source_sha256(files, arguments) == same
    for path in files:
        changed: dict[str, t.Any] = {**files, path: files[path] + b"x"}
        assert source_sha256(changed, arguments) != same
        assert source_sha256({name: files[name] for name in files if name != path}, arguments) != same
    for name in arguments:
        assert source_sha256(files, {**arguments, name: arguments[name] + "x"}) != same

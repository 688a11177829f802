# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of images and references, over many inputs."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._images.oci import build_image, gzip_stored, layer_tar
from ansible_collections.diffusion.fleet.plugins.module_utils._images.reference import ImageReference

NAMES = st.from_regex(r"[a-z_]{1,12}(/[a-z_]{1,12}){0,2}\.py", fullmatch=True)
FILES = st.dictionaries(NAMES, st.binary(max_size=200), max_size=8)


@given(st.one_of(st.binary(max_size=300), st.integers(65530, 131080).map(bytes)))
def test_gzip_gives_the_bytes_back(content: bytes) -> None:
    assert gzip.decompress(gzip_stored(content)) == content


@given(FILES)
def test_the_order_of_files_does_not_matter(files: dict[str, bytes]) -> None:
    turned = dict(reversed(files.items()))
    one, other = (build_image(each, version="1", lock_sha256="0") for each in (files, turned))
    assert one == other


@given(FILES)
def test_the_layer_holds_the_files_and_nothing_of_the_machine(files: dict[str, bytes]) -> None:
    with tarfile.open(fileobj=io.BytesIO(layer_tar(files))) as tar:
        members = tar.getmembers()
        found = {each.name: tar.extractfile(each) for each in members if each.isfile()}
        assert {name: handle.read() for name, handle in found.items() if handle} == files
    assert [each.name for each in members] == sorted(each.name for each in members)
    assert {(each.mtime, each.uid, each.gid, each.uname, each.gname) for each in members} <= {(0, 0, 0, "", "")}
    assert {each.mode for each in members} <= {0o644, 0o755}


def test_the_digest_is_the_same_on_every_machine() -> None:
    image = build_image({"app/src/api_scheduler/__init__.py": b"x = 1\n"}, version="1.0.0", lock_sha256="ab" * 32)
    assert image.digest == "sha256:1babeb5bc5b4823d3c3ffba98da7c8a197d38ab3c287772ae5a04af29307c8c9"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sd-inference-demo", ("sd-inference-demo", None, None)),
        ("sd-inference-demo:1.0.0", ("sd-inference-demo", "1.0.0", None)),
        ("localhost:5000/a/b:1", ("localhost:5000/a/b", "1", None)),
        ("reg.example/a@sha256:" + "0" * 64, ("reg.example/a", None, "sha256:" + "0" * 64)),
        ("reg.example/a:1@sha256:" + "0" * 64, ("reg.example/a", "1", "sha256:" + "0" * 64)),
    ],
)
def test_a_reference_is_read_and_written(text: str, parts: tuple[str, str | None, str | None]) -> None:
    reference = ImageReference.parse(text)
    assert (reference.repository, reference.tag, reference.digest) == parts
    assert str(reference) == text


@pytest.mark.parametrize("text", ["", ":1", "a:", "a@", "a@sha256:0", "A/b", "a:b:c", "a//b", "a@sha256:" + "g" * 64])
def test_a_malformed_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="image="):
        ImageReference.parse(text)

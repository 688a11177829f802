# SPDX-License-Identifier: GPL-3.0-or-later
"""A signature as cosign itself has made it (2.5.0, `sign --tlog-upload=false`), with a key that signs nothing else."""

from __future__ import annotations

import base64
import json
import pathlib

import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._release.signatures import Signature, read_key, wrong

PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVohbL84uoxZ5IyhCgsInEIRxPGyb
/v8S0M/EB1JgMxjAEVjR0XWGtIy27EnVcKcVdUdAycq0WS1pA9Fqxmgb5w==
-----END PUBLIC KEY-----
"""
DIGEST = "sha256:2995bfab217733313a1f001284dc8dab4424f2462ecc8b16b7689b059f652fa0"
PAYLOAD = json.dumps(
    {
        "critical": {
            "identity": {"docker-reference": "127.0.0.1:45999/sd-inference-demo"},
            "image": {"docker-manifest-digest": DIGEST},
            "type": "cosign container image signature",
        },
        "optional": None,
    },
    separators=(",", ":"),
).encode()
PROOF = base64.b64decode(
    "MEYCIQDMCbvZdc1CcBxxIYlnbslgrzJTg4Mhm3ZCHzWqjkEG/gIhALtrAEfyDHTeMTgzUZL+kKcX5JXvR20hUX/Neb0d8sdf"
)


@pytest.fixture
def key(tmp_path: pathlib.Path) -> object:
    file = tmp_path / "cosign.pub"
    file.write_text(PUBLIC_KEY)
    return read_key(str(file))


def test_what_cosign_has_signed_counts(key: object) -> None:
    assert wrong(Signature(PAYLOAD, PROOF), key, DIGEST) == ""


def test_it_counts_for_that_image_alone(key: object) -> None:
    assert wrong(Signature(PAYLOAD, PROOF), key, "sha256:" + "0" * 64) == f"its signature is of {DIGEST}"


@pytest.mark.parametrize("place", range(0, len(PAYLOAD), 31))
def test_one_bit_elsewhere_does_not_count(key: object, place: int) -> None:
    changed = bytearray(PAYLOAD)
    changed[place] ^= 1
    assert "has been changed" in wrong(Signature(bytes(changed), PROOF), key, DIGEST)

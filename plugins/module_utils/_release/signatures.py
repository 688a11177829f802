# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Whether an image bears a signature that a public key verifies: cosign's, as it lies beside the image in ECR.

The signature of ``sha256:<hex>`` is an OCI artifact with the tag ``sha256-<hex>.sig``. Each of its layers is a payload
("simple signing" JSON that names the digest), and the layer's annotation is an ECDSA signature over its bytes.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import pathlib
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._images import ecr
from ansible_collections.diffusion.fleet.plugins.module_utils._images.blobs import read_blob
from ansible_collections.diffusion.fleet.plugins.module_utils._images.reference import attachment_tag
from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True

PAYLOAD_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"
CLAIM = "cosign container image signature"


@dataclasses.dataclass(frozen=True)
class Signature:
    """What somebody says of an image, and what is to prove it."""

    payload: bytes
    proof: bytes


def refuse_unsigned(client: t.Any, names: Names, release: Release, key_file: str) -> InvalidInput | None:
    """Why the release must not go out: nobody who has the private key has signed its image.

    Raises: InvalidInput where the key cannot be used, and the errors of the calls.
    """
    key = read_key(key_file)
    found = list(_signatures(client, names.group, release.digest))
    reasons = [wrong(signature, key, release.digest) for signature in found]
    if found and not all(reasons):
        return None
    tag = attachment_tag(release.digest, "sig")
    why = f"there is no {tag} in repository {names.group}" if not found else "; ".join(dict.fromkeys(reasons))
    return InvalidInput(
        f"version={release.version} ({release.digest}) is not signed with the private key of {key_file}: {why}. "
        "Nothing was changed. Have it signed (cosign sign --key …, docs/releases.md), or deploy a version that is."
    )


def read_key(key_file: str) -> t.Any:
    """The public key in that file.

    Raises: InvalidInput.
    """
    if not HAS_CRYPTOGRAPHY:
        raise InvalidInput(
            "require_signature=true needs the Python package cryptography on the controller: install it."
        )
    try:
        key = serialization.load_pem_public_key(pathlib.Path(key_file).read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInput(f"signature_key={key_file} is no readable public key in PEM ({error}).") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidInput(f"signature_key={key_file} is no ECDSA key, as cosign generate-key-pair makes them.")
    return key


def wrong(signature: Signature, key: t.Any, digest: str) -> str:
    """Why a signature does not count for that image; empty where it does."""
    try:
        key.verify(signature.proof, signature.payload, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return "its signature was made with another key, or what was signed has been changed"
    named = _named(signature.payload)
    return "" if named == digest else f"its signature is of {named}"


def _named(payload: bytes) -> str:
    """The digest that a payload is about; what else somebody has signed with the key names none."""
    try:
        critical = json.loads(payload)["critical"]
        digest, kind = critical["image"]["docker-manifest-digest"], critical["type"]
    except (ValueError, KeyError, TypeError):
        return "something else than an image"
    return str(digest) if kind == CLAIM else f"a {kind}"


def _signatures(client: t.Any, repository: str, digest: str) -> t.Iterator[Signature]:
    found = ecr.find_manifest(client, repository, {"imageTag": attachment_tag(digest, "sig")})
    for layer in json.loads(found.text).get("layers", ()) if found else ():
        text = layer.get("annotations", {}).get(ANNOTATION, "")
        if layer.get("mediaType") == PAYLOAD_TYPE and text:
            yield Signature(_payload(client, repository, layer["digest"]), _decoded(text))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""  # proves nothing


def _payload(client: t.Any, repository: str, digest: str) -> bytes:
    try:
        return read_blob(client, repository, digest)
    except NotFound:
        return b""  # what the registry does not give out as it was named proves nothing

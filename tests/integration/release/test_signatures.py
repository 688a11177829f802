# SPDX-License-Identifier: GPL-3.0-or-later
"""require_signature: what a deploy accepts as signed, with real keys and signatures as cosign stores them."""

from __future__ import annotations

import base64
import json
import pathlib
import typing as t

import pytest
from ansible.module_utils.testing import patch_module_args
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ansible_collections.diffusion.fleet.plugins.modules import release
from local_aws.harness import Harness
from tests.support.fleet import CONFIG, MANIFEST, Fleet

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
Deploy = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def fleet(harness: Harness) -> Fleet:
    """An empty fleet with 1.0.0 and 1.1.0 pushed."""
    fleet = Fleet(harness, 1)
    fleet.build("1.0.0")
    harness.advance(1)
    fleet.build("1.1.0")
    return fleet


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    """The key of whoever may sign."""
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def public(key: ec.EllipticCurvePrivateKey, tmp_path: pathlib.Path) -> pathlib.Path:
    """The file that the controller has of it."""
    return written(key.public_key(), tmp_path / "cosign.pub")


def written(key: t.Any, path: pathlib.Path) -> pathlib.Path:
    """A public key in PEM."""
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(key.public_bytes(serialization.Encoding.PEM, kind))
    return path


@pytest.fixture
def deploy(fleet: Fleet, public: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Deploy:
    """What a deploy in check mode says: whether it would begin."""
    fleet.harness.server.start(ticking=False)
    place = {"endpoint_url": fleet.harness.endpoint, "region": "us-east-1", "deployment_id": "demo"}
    keys = {"access_key": "local", "secret_key": "local", "require_signature": True, "signature_key": str(public)}

    def runner(**options: t.Any) -> dict[str, t.Any]:
        given = {**place, **keys, "version": "1.1.0", "_ansible_check_mode": True, **options}
        with patch_module_args(given), pytest.raises(SystemExit):
            release.main()
        return t.cast(dict[str, t.Any], json.loads(capsys.readouterr().out))

    return runner


def payload_of(digest: str, kind: str = "cosign container image signature") -> bytes:
    """What cosign signs."""
    image = {"docker-manifest-digest": digest}
    identity = {"docker-reference": "123456789012.dkr.ecr.us-east-1.amazonaws.com/sd-inference-demo"}
    return json.dumps({"critical": {"identity": identity, "image": image, "type": kind}, "optional": None}).encode()


def digest_of(fleet: Fleet, version: str = "1.1.0") -> str:
    """The digest of a version."""
    found = fleet.client("ecr").describe_images(repositoryName=fleet.names.group, imageIds=[{"imageTag": version}])
    return str(found["imageDetails"][0]["imageDigest"])


def attach(fleet: Fleet, digest: str, *signed: tuple[bytes, bytes], kind: str = PAYLOAD) -> None:
    """Store payloads and their signatures where cosign does."""
    layers = [
        {
            **fleet.upload(payload),
            "mediaType": kind,
            "annotations": {"dev.cosignproject.cosign/signature": base64.b64encode(proof).decode()},
        }
        for payload, proof in signed
    ]
    config = {**fleet.upload(b'{"config": ' + digest.encode() + b"}"), "mediaType": CONFIG}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    fleet.harness.advance(1)
    fleet.put(manifest, digest.replace(":", "-") + ".sig")


def sign(key: ec.EllipticCurvePrivateKey, payload: bytes) -> tuple[bytes, bytes]:
    """A payload and the proof."""
    return payload, key.sign(payload, ec.ECDSA(hashes.SHA256()))


def test_a_signed_image_goes_out_and_an_unsigned_one_changes_nothing(
    fleet: Fleet, deploy: Deploy, key: ec.EllipticCurvePrivateKey, public: pathlib.Path
) -> None:
    before = fleet.ledger
    refused = deploy(_ansible_check_mode=False)
    tag = digest_of(fleet).replace(":", "-") + ".sig"
    assert f"is not signed with the private key of {public}: there is no {tag} in repository" in refused["msg"]
    assert (fleet.ledger, fleet.locks()) == (before, [])
    attach(fleet, digest_of(fleet), sign(key, payload_of(digest_of(fleet))))
    assert deploy()["lines"][0] == "would go from nothing to 1.1.0"
    assert deploy(version=None)["lines"][0] == "would go from nothing to 1.1.0", "the signature is no version"
    wanted = {"require_signature": True, "signature_key": str(public)}
    assert fleet.release(version="1.1.0", percentage="100", **wanted)["outcome"] == "succeeded"


def test_of_several_signatures_one_is_enough(fleet: Fleet, deploy: Deploy, key: ec.EllipticCurvePrivateKey) -> None:
    digest, other = digest_of(fleet), ec.generate_private_key(ec.SECP256R1())
    attach(fleet, digest, sign(other, payload_of(digest)), sign(key, payload_of(digest) + b" "))
    assert deploy()["lines"][0] == "would go from nothing to 1.1.0"


def test_what_does_not_count(fleet: Fleet, deploy: Deploy, key: ec.EllipticCurvePrivateKey) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    stable = digest_of(fleet, "1.0.0")
    cases: dict[str, t.Callable[[str], tuple[bytes, bytes]]] = {
        "another key": lambda digest: sign(other, payload_of(digest)),
        "what was signed has been changed": lambda digest: (payload_of(digest), sign(key, payload_of(stable))[1]),
        f"its signature is of {stable}": lambda digest: sign(key, payload_of(stable)),
        "its signature is of a atomic container signature": lambda digest: sign(
            key, payload_of(digest, "atomic container signature")
        ),
        "something else than an image": lambda digest: sign(key, f"deploy {digest}".encode()),
        "made with another key": lambda digest: (payload_of(digest), b"no signature at all"),
    }
    for number, (reason, make) in enumerate(cases.items()):
        version = f"2.{number}.0"
        fleet.build(version)
        attach(fleet, digest_of(fleet, version), make(digest_of(fleet, version)))
        assert reason in deploy(version=version)["msg"], reason


def test_a_payload_that_was_changed_in_the_registry_does_not_count(
    fleet: Fleet, deploy: Deploy, key: ec.EllipticCurvePrivateKey
) -> None:
    """Whoever can write the registry can swap payloads, but not sign them."""
    digest, stable = digest_of(fleet), digest_of(fleet, "1.0.0")
    _unused, proof = sign(key, payload_of(stable))
    attach(fleet, digest, (payload_of(stable).replace(stable.encode(), digest.encode()), proof))
    assert "what was signed has been changed" in deploy()["msg"]


def test_a_layer_of_another_kind_is_no_signature(fleet: Fleet, deploy: Deploy, key: ec.EllipticCurvePrivateKey) -> None:
    digest = digest_of(fleet)
    attach(fleet, digest, sign(key, payload_of(digest)), kind="application/vnd.oci.image.layer.v1.tar")
    assert "is not signed with the private key of" in deploy()["msg"]


def test_the_key_is_checked_first(fleet: Fleet, deploy: Deploy, tmp_path: pathlib.Path) -> None:
    assert "needs signature_key" in deploy(signature_key=None)["msg"]
    missing = deploy(signature_key=str(tmp_path / "nowhere.pub"))["msg"]
    assert "nowhere.pub is no readable public key in PEM" in missing
    (tmp_path / "text.pub").write_text("not a key")
    assert "text.pub is no readable public key in PEM" in deploy(signature_key=str(tmp_path / "text.pub"))["msg"]
    of_rsa = written(rsa.generate_private_key(65537, 2048).public_key(), tmp_path / "rsa.pub")
    assert "is no ECDSA key" in deploy(signature_key=str(of_rsa))["msg"]
    assert deploy(require_signature=False)["lines"][0] == "would go from nothing to 1.1.0"


def test_what_is_stable_already_and_the_way_back_are_not_refused(fleet: Fleet, deploy: Deploy) -> None:
    fleet.release(version="1.0.0")
    assert deploy(version="1.0.0")["lines"] == ["1.0.0 is stable already; nothing to do"]
    fleet.release(version="1.1.0", percentage="100")
    back = deploy(version=None, state="rolled_back")
    assert back["lines"][0] == "would go from 1.1.0 to 1.0.0"

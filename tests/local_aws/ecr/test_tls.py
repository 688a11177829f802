# SPDX-License-Identifier: Apache-2.0
"""The registry's certificate: kept while it is good, made anew when it is not."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from local_aws.registry import tls

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


def authority(folder: Path, host: str = HOST) -> bytes:
    """What a server for that host leaves there for its clients."""
    tls.context(folder, host)
    return (folder / tls.CA_FILE).read_bytes()


def test_one_for_fewer_hosts_is_made_anew(tmp_path: Path) -> None:
    before = authority(tmp_path)
    tls.context(tmp_path, HOST, "api.ecr.us-east-1.amazonaws.com")
    after = (tmp_path / tls.CA_FILE).read_bytes()
    assert after != before
    assert authority(tmp_path) == after


def with_days_left(folder: Path, days: float) -> None:
    """Let the server's certificate end then."""
    key = serialization.load_pem_private_key((folder / tls.KEY).read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    found = x509.load_pem_x509_certificate((folder / tls.CERTIFICATE).read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(found.issuer, found.subject, found.public_key(), found.serial_number)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(names, critical=False)
    )
    signed = made.sign(key, hashes.SHA256())
    (folder / tls.CERTIFICATE).write_bytes(signed.public_bytes(serialization.Encoding.PEM))


def test_it_is_used_again(tmp_path: Path) -> None:
    assert authority(tmp_path) == authority(tmp_path)


def test_another_host_has_another(tmp_path: Path) -> None:
    assert authority(tmp_path) != authority(tmp_path, "210987654321.dkr.ecr.us-east-1.amazonaws.com")


@pytest.mark.parametrize(("days", "kept"), [(3.0, True), (1.0, False)])
def test_it_is_made_anew_before_it_ends(tmp_path: Path, days: float, kept: bool) -> None:
    before = authority(tmp_path)
    with_days_left(tmp_path, days)
    assert (authority(tmp_path) == before) is kept


def test_the_key_is_the_owners_alone_and_the_authoritys_is_not_kept(tmp_path: Path) -> None:
    tls.context(tmp_path, HOST)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((tls.CA_FILE, tls.CERTIFICATE, tls.KEY))
    assert (tmp_path / tls.KEY).stat().st_mode & 0o077 == 0

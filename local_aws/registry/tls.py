# SPDX-License-Identifier: Apache-2.0
"""The registry's certificate: an authority made here signs it, and whoever is to trust it is given the authority's."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import typing as t
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAYS = 30
_SPARE = dt.timedelta(days=2)
CA_FILE, CERTIFICATE, KEY = "ca.crt", "server.crt", "server.key"


def context(folder: Path, *hosts: str) -> ssl.SSLContext:
    """What a server for those hosts needs; its files in ``folder`` are used again while they are good."""
    if not _is_good(folder, hosts):
        _make(folder, hosts)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return made


def _is_good(folder: Path, hosts: t.Collection[str]) -> bool:
    if not all((folder / name).is_file() for name in (CA_FILE, CERTIFICATE, KEY)):
        return False
    try:
        found = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    left = found.not_valid_after_utc - dt.datetime.now(dt.UTC)
    return set(hosts) <= set(names.get_values_for_type(x509.DNSName)) and left > _SPARE


def _make(folder: Path, hosts: t.Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    signing, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _named("local_aws registry")
    authority = (
        _certificate(issuer, issuer, signing)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(signing.public_key()), critical=False)
        .sign(signing, hashes.SHA256())
    )
    known = [x509.DNSName(host) for host in (*hosts, "localhost")]
    names = [*known, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    server = (
        _certificate(_named(hosts[0]), issuer, own)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        .sign(signing, hashes.SHA256())
    )
    _write(folder, own, server, authority)


def _write(
    folder: Path, key: ec.EllipticCurvePrivateKey, server: x509.Certificate, authority: x509.Certificate
) -> None:
    """The authority's own key is not kept: nothing else is ever to be signed with it."""
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / KEY).touch(mode=0o600)
    (folder / KEY).write_bytes(secret)
    (folder / CERTIFICATE).write_bytes(server.public_bytes(pem))
    (folder / CA_FILE).write_bytes(authority.public_bytes(pem))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
    )

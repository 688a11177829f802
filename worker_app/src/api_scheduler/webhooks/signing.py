# SPDX-License-Identifier: Apache-2.0
"""Signatures as the Standard Webhooks specification has them: HMAC-SHA256 over id, time and body."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import typing as t

_PREFIX = "whsec_"
_FEWEST, _MOST = 24, 64


class InvalidSecret(Exception):
    """The secret is not of the form that the specification asks for. The message does not hold it."""


def secrets(text: str) -> tuple[bytes, ...]:
    """The keys in ``whsec_<base64>``, or in several with spaces between, the newest first, while one is replaced.

    Raises InvalidSecret.
    """
    keys = tuple(_key(word) for word in text.split())
    if not keys:
        raise InvalidSecret("the webhook secret is empty")
    return keys


def _key(word: str) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidSecret(f"a webhook secret must be {_PREFIX} and base64") from None
    if not word.startswith(_PREFIX) or not _FEWEST <= len(key) <= _MOST:
        raise InvalidSecret(f"a webhook secret must be {_PREFIX} and the base64 of {_FEWEST} to {_MOST} bytes")
    return key


def headers(keys: t.Iterable[bytes], message_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """What proves to the receiver who sent this, and when."""
    signed = f"{message_id}.{seconds}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }

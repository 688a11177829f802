# SPDX-License-Identifier: Apache-2.0
"""Tokens of GetAuthorizationToken: signed, good for one registry and until their time, kept nowhere."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import typing as t

from local_aws.registry.errors import RegistryError

USER = "AWS"
EXPIRED = "Your authorization token has expired. Reauthenticate and try again."


def issue(secret: bytes, registry: str, now: dt.datetime, seconds: float) -> tuple[str, dt.datetime]:
    """A password for that registry, and when it ends."""
    expires = now + dt.timedelta(seconds=seconds)
    claims = json.dumps({"registry": registry, "expires": expires.timestamp()}).encode()
    return f"{base64.urlsafe_b64encode(claims).decode()}.{_signature(secret, claims)}", expires


def _signature(secret: bytes, claims: bytes) -> str:
    return hmac.new(secret, claims, hashlib.sha256).hexdigest()


def check(secret: bytes, user: str, password: str, registry: str, now: dt.datetime) -> None:
    """Accept a user and a password, or say why not. Raises RegistryError."""
    if user != USER:
        raise _unauthorized(registry, f"the user of this registry is {USER}, not {user or 'empty'}")
    claims = _claims(secret, password)
    if claims is None:
        raise _unauthorized(registry, "the password is no token that GetAuthorizationToken has given out here")
    if claims["registry"] != registry:
        raise RegistryError(403, "DENIED", f"the token is for registry {claims['registry']}, this is {registry}")
    if now.timestamp() >= claims["expires"]:
        raise RegistryError(403, "DENIED", EXPIRED)


def _claims(secret: bytes, password: str) -> dict[str, t.Any] | None:
    text, _dot, signature = password.partition(".")
    try:
        claims = base64.urlsafe_b64decode(text.encode())
    except ValueError:
        return None
    if not hmac.compare_digest(signature.encode(), _signature(secret, claims).encode()):
        return None
    return t.cast("dict[str, t.Any]", json.loads(claims))


def challenge(host: str) -> dict[str, str]:
    """The header that asks for user and password."""
    return {"WWW-Authenticate": f'Basic realm="https://{host}/",service="ecr.amazonaws.com"'}


def _unauthorized(registry: str, why: str) -> RegistryError:
    return RegistryError(401, "UNAUTHORIZED", f"authentication to registry {registry} failed: {why}")

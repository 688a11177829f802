# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The bytes of a small blob: the configuration of an image, what somebody has signed."""

from __future__ import annotations

import hashlib
import typing as t

from ansible.module_utils.urls import open_url

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import EndpointUnreachable, NotFound
from ansible_collections.diffusion.fleet.plugins.module_utils._images import ecr

LARGEST = 4 * 1024 * 1024
SECONDS = 30


def read_blob(client: t.Any, repository: str, digest: str) -> bytes:
    """The bytes that the digest names, checked against it. Raises EndpointUnreachable, NotFound."""
    url = ecr.download_url(client, repository, digest)
    try:
        with open_url(url, timeout=SECONDS) as response:
            content = t.cast(bytes, response.read(LARGEST))
    except OSError as error:
        raise EndpointUnreachable(
            f"The registry does not give {digest} out: {error}. Check the network, or push the image again."
        ) from error
    if "sha256:" + hashlib.sha256(content).hexdigest() != digest:
        raise NotFound(f"What the registry gives out as {digest} has other bytes. Push the image again.")
    return content

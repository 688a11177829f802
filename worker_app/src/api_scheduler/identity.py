# SPDX-License-Identifier: Apache-2.0
"""What the instance is, from its metadata service (IMDSv2) and from nowhere else."""

from __future__ import annotations

import dataclasses
import http.client
import urllib.error
import urllib.request

_TOKEN_SECONDS = 300
_TIMEOUT_SECONDS = 2.0
_DEFAULT_ENDPOINT = "http://169.254.169.254"


class MetadataUnavailable(Exception):
    """The metadata service did not answer; the message names its address."""


@dataclasses.dataclass(frozen=True)
class Identity:
    """Who this worker is."""

    instance_id: str
    region: str


class Metadata:
    """A client of the instance metadata service, version 2 only."""

    def __init__(self, endpoint: str = "") -> None:
        self._base = (endpoint or _DEFAULT_ENDPOINT).rstrip("/")

    def identity(self) -> Identity:
        """The instance's id and region. Raises MetadataUnavailable."""
        instance_id, region = self._read("instance-id"), self._read("placement/region")
        if not instance_id or not region:
            raise MetadataUnavailable(f"{self._base} knows no instance-id or placement/region")
        return Identity(instance_id, region)

    def target_lifecycle_state(self) -> str | None:
        """The state that Auto Scaling moves this instance to (``Terminated``), None where it never set one."""
        return self._read("autoscaling/target-lifecycle-state")

    def spot_action(self) -> str | None:
        """The Spot interruption notice (JSON), None without one."""
        return self._read("spot/instance-action")

    def _read(self, item: str) -> str | None:
        token = self._request("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_SECONDS)})
        if token is None:
            raise MetadataUnavailable(f"{self._base} gives no IMDSv2 token")
        return self._request("GET", f"/latest/meta-data/{item}", {"X-aws-ec2-metadata-token": token})

    def _request(self, method: str, path: str, headers: dict[str, str]) -> str | None:
        request = urllib.request.Request(self._base + path, method=method, headers=headers)
        # Metadata is link-local: a proxy variable must never send it elsewhere.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
                return str(response.read().decode()).strip()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise MetadataUnavailable(f"{self._base}{path} answered {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise MetadataUnavailable(f"{self._base}{path} did not answer: {error}") from error

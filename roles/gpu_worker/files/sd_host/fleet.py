# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host tells Auto Scaling in the place of a worker that it has given up."""

from __future__ import annotations

import dataclasses
import http.client
import typing as t
import urllib.error
import urllib.request

LAUNCH, TERMINATE = "launch", "terminate"
_METADATA = "http://169.254.169.254"
_TIMEOUT_SECONDS = 2.0


class Unreachable(Exception):
    """Neither told nor refused: to be tried again."""


@dataclasses.dataclass(frozen=True)
class Metadata:
    """The instance's metadata service, version 2."""

    base: str

    def read(self, item: str) -> str:
        """The value of an item, empty where it has none. Raises Unreachable."""
        token = self._request("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        return self._request("GET", f"/latest/meta-data/{item}", {"X-aws-ec2-metadata-token": token})

    def _request(self, method: str, path: str, headers: t.Mapping[str, str]) -> str:
        url = self.base.rstrip("/") + path
        request = urllib.request.Request(url, method=method, headers=dict(headers))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
                return str(response.read().decode()).strip()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return ""
            raise Unreachable(f"{url}: {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{url}: {error}") from error


class Group:
    """This instance in its Auto Scaling group."""

    def __init__(self, env: t.Mapping[str, str]) -> None:
        self._env = env
        self._metadata = Metadata(env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or _METADATA)
        self._id = ""

    @property
    def instance_id(self) -> str:
        """The instance's id. Raises Unreachable."""
        self._id = self._id or self._metadata.read("instance-id")
        if not self._id:
            raise Unreachable("the metadata service does not know this instance")
        return self._id

    def terminating(self) -> bool:
        """Whether the group takes this instance out. Raises Unreachable."""
        return self._metadata.read("autoscaling/target-lifecycle-state") == "Terminated"

    def complete(self, hook: str, result: str) -> bool:
        """Answer a hook; False where it does not wait. Raises Unreachable."""
        names = {"AutoScalingGroupName": self._env["SD_GROUP"], "InstanceId": self.instance_id}
        return self._call("complete_lifecycle_action", LifecycleHookName=hook, LifecycleActionResult=result, **names)

    def report_unhealthy(self) -> bool:
        """SetInstanceHealth, whatever the grace; False where the group does not take it. Raises Unreachable."""
        names = {"InstanceId": self.instance_id, "HealthStatus": "Unhealthy"}
        return self._call("set_instance_health", ShouldRespectGracePeriod=False, **names)

    def _call(self, operation: str, **arguments: t.Any) -> bool:
        # Here and not above: a check that finds nothing, and that is nearly every one, does without it.
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            getattr(self._client(), operation)(**arguments)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ValidationError":
                return False
            raise Unreachable(str(error)) from error
        except BotoCoreError as error:
            raise Unreachable(str(error)) from error
        return True

    def _client(self) -> t.Any:
        import botocore.session
        from botocore.config import Config
        from botocore.credentials import CredentialResolver, InstanceMetadataProvider
        from botocore.utils import InstanceMetadataFetcher

        # Credentials come from the metadata service alone, as the worker's do: key variables and files are ignored.
        session = botocore.session.Session()
        endpoint = {"ec2_metadata_service_endpoint": self._metadata.base, "ec2_metadata_service_endpoint_mode": None}
        fetcher = InstanceMetadataFetcher(timeout=2, num_attempts=2, user_agent=session.user_agent(), config=endpoint)
        provider = InstanceMetadataProvider(iam_role_fetcher=fetcher)
        session.register_component("credential_provider", CredentialResolver([provider]))
        return session.create_client(
            "autoscaling",
            region_name=self._metadata.read("placement/region"),
            endpoint_url=self._env.get("AWS_ENDPOINT_URL") or None,
            config=Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2}),
        )

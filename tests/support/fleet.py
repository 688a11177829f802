# SPDX-License-Identifier: GPL-3.0-or-later
"""A small fleet on virtual time: what provision.yml makes, in boto3 calls, with simulated workers that finish jobs."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Ledger, parse_ledger
from ansible_collections.diffusion.fleet.plugins.module_utils._release.module import ARGUMENT_SPEC, run_release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from local_aws.harness import Harness
from local_aws.runner.simulated import SimulatedRunner
from local_aws.settings import Rules, Settings
from scripts.rehearsal.group import base_image, create_group

ACCOUNT = "123456789012"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
TIMING = {
    "poll": 10,
    "lock_renew": 15,
    "lock_expiry": 60,
    "lock_watch": 20,
    "window": 20,
    "inconclusive_limit": 60,
    "gate_period": 10,
    "gate_periods": 2,
    "alarms_ok": 120,
    "replacement": 30,
    "lookback": 600,
}
QUICK_TIMING = {
    **TIMING,
    "poll": 10,
    "lock_renew": 20,
    "lock_expiry": 40,
    "window": 10,
    "inconclusive_limit": 20,
    "gate_period": 30,
    "gate_periods": 1,
}
"""Few looks in a release: for campaigns that run thousands, and for the release that a fleet begins with."""


@dataclasses.dataclass
class Traffic:
    """How the simulated workers' jobs end."""

    jobs_per_second: float = 0.25
    """Of one instance."""
    failing: set[str] = dataclasses.field(default_factory=set)
    """Versions whose jobs fail."""
    slow: set[str] = dataclasses.field(default_factory=set)
    """Versions that take three times as long."""
    refusing: set[str] = dataclasses.field(default_factory=set)
    """Versions that refuse every request as invalid, for good."""
    most_refused: int = 1000
    """How many of these requests leave a body behind: each of them costs a replay."""
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    """Bodies of the requests that they refused, by request id."""


class Fleet:
    """A provisioned deployment in a harness."""

    def __init__(self, harness: Harness, size: int, deployment_id: str = "demo") -> None:
        self.harness = harness
        self.names = Names(deployment_id)
        self.size = size
        self.timing: t.Mapping[str, int] = TIMING
        self.traffic = Traffic()
        self.skew = dt.timedelta()
        """How far the clock of the machine that runs the module is ahead."""
        self.meanwhile: t.Callable[[], object] | None = None
        """What somebody else does whenever the module sleeps."""
        self._sequence: dict[str, int] = {}
        self._known: dict[str, dict[str, str]] = {}
        self._owed: dict[str, float] = {}
        self._runs = 0
        self._provision()

    # ------------------------------------------------------------ as AWS and as a clock for the code under test

    def client(self, service: str) -> t.Any:
        """A boto3 client of the harness."""
        return self.harness.client(service)

    def now(self) -> dt.datetime:
        """Virtual time, as that machine's clock shows it."""
        return self.harness.clock.now() + self.skew

    def sleep(self, seconds: float) -> None:
        """Let virtual time pass, with jobs finishing meanwhile."""
        finished: list[dict[str, t.Any]] = []
        for _unused in range(max(round(seconds), 1)):
            self.harness.advance(1)
            finished += self._work(1)
        if finished:
            self._log(finished)
        if self.meanwhile is not None:
            self.meanwhile()

    # ------------------------------------------------------------ what users do

    def build(self, version: str) -> str:
        """Push an image; its digest."""
        config = {**self.upload(json.dumps({"version": version}).encode()), "mediaType": CONFIG}
        return self.put({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}, version)

    def put(self, manifest: t.Mapping[str, t.Any], tag: str | None = None) -> str:
        """Push a manifest; its digest."""
        named = {} if tag is None else {"imageTag": tag}
        reply = self.client("ecr").put_image(
            repositoryName=self.names.group,
            imageManifest=json.dumps(manifest),
            imageManifestMediaType=manifest["mediaType"],
            **named,
        )
        return str(reply["image"]["imageId"]["imageDigest"])

    def upload(self, blob: bytes) -> dict[str, t.Any]:
        """Push bytes; how a manifest names them."""
        ecr, where = self.client("ecr"), {"repositoryName": self.names.group}
        digest = "sha256:" + hashlib.sha256(blob).hexdigest()
        upload = ecr.initiate_layer_upload(**where)["uploadId"]
        ecr.upload_layer_part(**where, uploadId=upload, partFirstByte=0, partLastByte=len(blob) - 1, layerPartBlob=blob)
        ecr.complete_layer_upload(**where, uploadId=upload, layerDigests=[digest])
        return {"digest": digest, "size": len(blob)}

    def never_boots(self, version: str) -> None:
        """From now on no instance of that version comes up."""
        self.harness.runner.failing.add(f"SD_IMAGE_VERSION={version}")

    def params(self, **given: t.Any) -> dict[str, t.Any]:
        """Options of the release module with the defaults of its argument spec."""
        self._runs += 1
        defaults = {name: option.get("default") for name, option in ARGUMENT_SPEC.items()}
        own = {
            "deployment_id": self.names.deployment_id,
            "run": f"run-{self._runs}",
            "owner": "tester",
            "initial_capacity": self.size,
            "timing": dict(self.timing),
            "limits": {"min_jobs": 5},
            "hold": 0.0,
        }
        return {**defaults, **own, **given}

    def release(self, limit: int = 400, **given: t.Any) -> dict[str, t.Any]:
        """Run the release module's use case to the end, as the action plugin does."""
        return self.follow(self.params(**given), limit)

    def follow(self, params: dict[str, t.Any], limit: int = 400) -> dict[str, t.Any]:
        """Call it until it is done."""
        lines: list[str] = []
        for _unused in range(limit):
            result = self.call(params)
            lines += [line for line in result["lines"] if line not in lines[-1:]]
            if result["done"]:
                return {**result, "lines": lines}
            params = {**params, "context": result["context"]}
            self.sleep(self.timing["poll"])
        raise TimeoutError("\n".join(lines[-10:]))

    def call(self, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """One call of the module."""
        return run_release(self, params, check_mode=False, clock=self)

    def predict(self, **given: t.Any) -> dict[str, t.Any]:
        """What check mode answers."""
        return run_release(self, self.params(**given), check_mode=True, clock=self)

    def start(self, until: t.Callable[[str], bool], limit: int = 400, **given: t.Any) -> list[str]:
        """Run until a line satisfies ``until``, then die."""
        params, lines = self.params(**given), []
        for _unused in range(limit):
            result = self.call(params)
            lines += result["lines"]
            if any(until(line) for line in result["lines"]):
                return lines
            params = {**params, "context": result["context"]}
            self.sleep(self.timing["poll"])
        raise TimeoutError("\n".join(lines[-10:]))

    # ------------------------------------------------------------ what is there

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        found = self.client("ssm").get_parameters(Names=[self.names.ledger])["Parameters"]
        return parse_ledger(found[0]["Value"]) if found else Ledger()

    def parameter(self, name: str) -> str:
        """A plain parameter."""
        return str(self.client("ssm").get_parameter(Name=f"{self.names.root}/{name}")["Parameter"]["Value"])

    def locks(self) -> list[str]:
        """Names of the locks that exist."""
        path = self.names.lock_path
        return [row["Name"] for row in self.client("ssm").get_parameters_by_path(Path=path)["Parameters"]]

    def group(self) -> dict[str, t.Any]:
        """The group as AWS describes it."""
        groups = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[self.names.group])
        return dict(groups["AutoScalingGroups"][0])

    def versions(self) -> list[str]:
        """Image versions of the instances in service, sorted."""
        serving = [row["InstanceId"] for row in self.group()["Instances"] if row["LifecycleState"] == "InService"]
        return sorted(self._tags(instance)["ImageVersion"] for instance in serving)

    def fail(self, release_id: str, body: str) -> str:
        """Keep the body of a request as a worker of that release does before it fails it; the request's id."""
        digest = hashlib.sha256(body.encode()).hexdigest()
        key = f"state/failed/{release_id}/{self.now():%Y%m%dT%H%M%SZ}/{digest[:20]}/{digest}"
        self.client("s3").put_object(Bucket=self.names.bucket(ACCOUNT), Key=key, Body=body.encode())
        return digest[:20]

    # ------------------------------------------------------------ inside

    def _provision(self) -> None:
        names = self.names
        self.client("s3").create_bucket(Bucket=names.bucket(ACCOUNT))
        self.client("ecr").create_repository(repositoryName=names.group)
        self.client("logs").create_log_group(logGroupName=names.log_group)
        for queue in (names.task_queue, names.dead_letter_queue):
            self.client("sqs").create_queue(QueueName=queue)
        self.client("sns").create_topic(Name=f"sd-releases-{names.deployment_id}")
        data = {"ImageId": base_image(self.client), "InstanceType": "g4dn.xlarge"}
        self.client("ec2").create_launch_template(LaunchTemplateName=names.group, LaunchTemplateData=data)
        self._parameters(data)
        create_group(self.client, names.group, max(self.size * 2, 2), DefaultInstanceWarmup=0)

    def _parameters(self, data: dict[str, t.Any]) -> None:
        host = {"schema": 1, "launch_template_data": data, "worker_env": {"SD_ENGINE": "noop"}}
        values = {"host": json.dumps(host), "image-version": "none", "previous-version": "none"}
        for name, value in {**values, "deployment-status": "stable"}.items():
            self.client("ssm").put_parameter(Name=f"{self.names.root}/{name}", Value=value, Type="String")

    def _tags(self, instance_id: str) -> dict[str, str]:
        filters = [{"Name": "resource-id", "Values": [instance_id]}]
        return {row["Key"]: row["Value"] for row in self.client("ec2").describe_tags(Filters=filters)["Tags"]}

    def _work(self, seconds: float) -> list[dict[str, t.Any]]:
        """Every instance in service finishes its share of jobs; looked up in the world, where it costs nothing."""
        groups = [group for group in self.harness.world.groups.values() if group.name == self.names.group]
        serving = [member.instance_id for group in groups for member in group.in_state("InService")]
        return [event for instance in serving for event in self._jobs_of(instance, seconds)]

    def _jobs_of(self, instance_id: str, seconds: float) -> list[dict[str, t.Any]]:
        owed = self._owed.get(instance_id, 0.0) + self.traffic.jobs_per_second * seconds
        self._owed[instance_id] = owed % 1
        tags = self.release_of(instance_id) if owed >= 1 else {}
        return [self._line(instance_id, tags) for _unused in range(int(owed)) if "ReleaseId" in tags]

    def release_of(self, instance_id: str) -> dict[str, str]:
        """Tags of an instance."""
        if instance_id not in self._known:
            self._known[instance_id] = self._tags(instance_id)
        return self._known[instance_id]

    def _line(self, instance_id: str, tags: dict[str, str]) -> dict[str, t.Any]:
        self._sequence[instance_id] = self._sequence.get(instance_id, 0) + 1
        version = tags["ImageVersion"]
        failed, refused = version in self.traffic.failing, version in self.traffic.refusing
        if refused and len(self.traffic.refused) < self.traffic.most_refused:
            body = f"request {len(self.traffic.refused)}"
            self.traffic.refused[self.fail(tags["ReleaseId"], body)] = body
        line = {
            "event": "job",
            "release_id": tags["ReleaseId"],
            "image_version": version,
            "instance_id": instance_id,
            "outcome": "failed" if refused else "handed_back" if failed else "succeeded",
            "error_type": "invalid_request" if refused else "transient" if failed else None,
            "draw_ms": 3000.0 if version in self.traffic.slow else 1000.0,
            "steps": 20,
            "pixels": 512 * 512,
            "smoke": False,
            "sequence": self._sequence[instance_id],
        }
        return {"timestamp": int(self.now().timestamp() * 1000), "message": json.dumps(line)}

    def _log(self, events: list[dict[str, t.Any]]) -> None:
        logs, stream = self.client("logs"), "simulated"
        try:
            logs.put_log_events(logGroupName=self.names.log_group, logStreamName=stream, logEvents=events)
        except logs.exceptions.ResourceNotFoundException:
            logs.create_log_stream(logGroupName=self.names.log_group, logStreamName=stream)
            logs.put_log_events(logGroupName=self.names.log_group, logStreamName=stream, logEvents=events)


def make_harness(rules: Rules | None = None) -> Harness:
    """A harness whose instances boot in 5 virtual seconds."""
    runner = SimulatedRunner(boot_seconds=5, drain_seconds=1)
    return Harness(runner=runner, settings=Settings(rules=rules or Rules()), direct=True)


def make_fleet(harness: Harness, size: int) -> Fleet:
    """A fleet of that size that runs 1.0.0, with 1.1.0 pushed."""
    fleet = Fleet(harness, size)
    fleet.build("1.0.0")
    fleet.timing = QUICK_TIMING
    fleet.release(version="1.0.0")
    fleet.timing = TIMING
    fleet.build("1.1.0")
    return fleet

# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with systemd, in a container: switched on, made an instance, booted with user data, looked into."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import types
import typing as t
from pathlib import Path

from scripts.rehearsal.images import DockerFailed, docker

from .waiting import until

if t.TYPE_CHECKING:
    from .deployment import Instance

IMAGE = "local/fleet-machine:bookworm"
BASE = "local/systemd-host:bookworm"
FOLDER = Path(__file__).parent / "image"
LABEL = "org.diffusion.fleet.machine"
CAPABILITIES = (
    *("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "MKNOD", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "DAC_READ_SEARCH"),
)
FLAGS = (
    *("--cgroupns", "private", "--security-opt", "seccomp=unconfined", "--volume", "/var/lib/docker"),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"),
)
ENGINE_OPTIONS: t.Mapping[str, t.Any] = {"mtu": 1400, "bip": "172.31.0.1/24", "storage-driver": "overlay2"}
"""``gpu_worker_engine_options`` of an engine inside an engine: a network of its own."""
NO_CARD: t.Mapping[str, t.Any] = {
    "gpu_worker_gpu": False,
    "gpu_worker_agent": False,
    "gpu_worker_engine_options": ENGINE_OPTIONS,
}
"""The role's variables on a machine without a card; Debian's repositories have no CloudWatch agent."""
_SEED = "/var/lib/cloud/seed/nocloud"
_CLOUD_INIT = ("init", "modules --mode config", "modules --mode final")


def prepare() -> None:
    """Build the image of machines. ``engine.sh hosts`` has to be there."""
    docker("buildx", "build", "--quiet", "--tag", IMAGE, str(FOLDER))


class Machine:
    """A container of that name; ``create`` switches a new one on. A context manager: it goes at the end."""

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def create(cls, name: str, image: str = IMAGE, *options: str) -> Machine:
        """Switch on, and wait until systemd has started everything."""
        added = [word for capability in CAPABILITIES for word in ("--cap-add", capability)]
        docker(
            *("run", "--detach", "--name", name, "--hostname", name, "--label", LABEL, *FLAGS, *added), *options, image
        )
        machine = cls(name)
        until(lambda: machine.works("systemctl", "is-system-running", "--quiet"), f"{name} to have started", 60)
        return machine

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Pull the plug; what it had stored goes too."""
        with contextlib.suppress(DockerFailed):
            docker("rm", "--force", "--volumes", self.name)

    def run(self, *command: str, stdin: str = "") -> str:
        """A command as root; what it prints. Raises DockerFailed with what it said."""
        return docker("exec", "--interactive", self.name, *command, stdin=stdin)

    def sh(self, script: str) -> str:
        """A shell script as root; what it prints. Raises DockerFailed."""
        return self.run("sh", "-euc", script)

    def works(self, *command: str) -> bool:
        """Whether the command ends well."""
        quiet = subprocess.run(["docker", "exec", self.name, *command], capture_output=True, check=False)
        return quiet.returncode == 0

    def write(self, path: str, text: str) -> None:
        """Write a file, its folders included."""
        self.run("sh", "-euc", 'mkdir -p "$(dirname "$1")"; cat >"$1"', "write", path, stdin=text)

    def read(self, path: str) -> str:
        """A file's text."""
        return self.run("cat", path)

    def join(self, instance: Instance) -> None:
        """Give the machine the identity of an instance: its metadata service, and the names and certificates of ECR."""
        site = instance.site
        names = f"{site.gateway} {site.registry} {site.api_host}"
        self.sh(f"grep -qF '{names}' /etc/hosts || echo '{names}' >>/etc/hosts")
        authority = Path(site.ca_file).read_text(encoding="utf-8")
        self.write(f"/etc/docker/certs.d/{site.registry}/ca.crt", authority)
        self.write("/usr/local/share/ca-certificates/ecr.crt", authority)
        self.write("/etc/cloud/metadata-url", f"{site.inside}/imds/{instance.instance_id}\n")
        self.sh("update-ca-certificates >/dev/null 2>&1; systemctl enable --quiet --now cloud-metadata.service")
        until(lambda: self.metadata("instance-id") == instance.instance_id, f"the metadata service of {self.name}", 10)

    def metadata(self, item: str) -> str:
        """An item of the metadata service, as the machine sees it; empty where there is none."""
        token = "curl -fsS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $base/api/token"
        script = f'base=http://169.254.169.254/latest; curl -fsS -H "X-aws-ec2-metadata-token: $({token})" $base/$1'
        path = item if item == "user-data" else f"meta-data/{item}"
        try:
            return self.run("sh", "-c", script, "metadata", path).strip()
        except DockerFailed:
            return ""

    def boot(self, *, wait: bool = True) -> None:
        """What cloud-init does at an instance's first boot: write the files and run the commands of the user data.

        It waits for the worker's unit, as at a boot; ``wait=False`` leaves it to go on by itself. Raises DockerFailed.
        """
        self.write(f"{_SEED}/user-data", self.metadata("user-data") + "\n")
        self.write(f"{_SEED}/meta-data", f"instance-id: {self.metadata('instance-id')}\n")
        script = " && ".join(f"cloud-init {stage}" for stage in _CLOUD_INIT)
        if wait:
            self.sh(f"({script}) >/var/log/boot.log 2>&1 || {{ tail -5 /var/log/boot.log >&2; exit 1; }}")
        else:
            docker("exec", "--detach", self.name, "sh", "-c", f"({script}) >/var/log/boot.log 2>&1")

    def answers(self, path: str) -> bool:
        """Whether the worker says 200 there, as ``/health`` or ``/ready``."""
        return self.works("curl", "-fsS", "-o", "/dev/null", "--max-time", "5", f"http://127.0.0.1:8080{path}")

    def unit(self, unit: str = "sd-worker.service") -> str:
        """``active``, ``failed`` …"""
        return self.run("systemctl", "show", "--property", "ActiveState", "--value", unit).strip()

    def log(self, name: str) -> list[dict[str, t.Any]]:
        """The JSON lines of ``worker.log``, ``host.log`` or ``health-check.log``; none before there is such a file."""
        path = f"/var/log/sd-inference/{name}"
        lines = self.sh(f"test ! -e {path} || cat {path}").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def wait_ready(self, seconds: float = 120) -> float:
        """Wait until the worker is ready; the seconds. Raises TimeoutError with the logs."""
        began = time.monotonic()
        until(lambda: self.answers("/ready"), f"the worker on {self.name} to be ready", seconds, self.tell)
        return time.monotonic() - began

    def tell(self) -> str:
        """The last words of everything that may know why something does not work."""
        return self.run(
            "sh", "-c", "tail -n 8 /var/log/sd-inference/*.log /var/log/boot.log 2>&1; journalctl -n 20 2>&1"
        )

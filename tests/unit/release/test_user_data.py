# SPDX-License-Identifier: GPL-3.0-or-later
"""User data: cloud-config of the worker's environment, and of a stock image's way to a host."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.templates import render
from ansible_collections.diffusion.fleet.plugins.module_utils._release.user_data import user_data

FIRST_BOOT = {
    "artifact": "s3://sd-images-demo-123456789012/host/abc/diffusion-fleet-0.1.0.tar.gz",
    "sha256": "0" * 64,
    "python": "python3.11",
    "requirement": "ansible-core>=2.19,<2.20",
    "variables": {"gpu_worker_deployment_id": "demo", "gpu_worker_engine_options": {"mtu": 1400}},
}
START = ["systemctl", "enable", "--now", "sd-worker.service"]


def told(first_boot: t.Mapping[str, t.Any] | None = None, **environment: str) -> dict[str, t.Any]:
    """The user data as cloud-init reads them: files by path, and the commands."""
    text = user_data(environment or {"SD_ENGINE": "noop"}, first_boot)
    assert text.startswith("#cloud-config\n")
    document = yaml.safe_load(text)
    return {"commands": document["runcmd"], **{row["path"]: row for row in document["write_files"]}}


def test_a_baked_image_gets_its_environment_and_starts() -> None:
    assert told(SD_ENGINE="noop", SD_BUCKET="b") == {
        "commands": [START],
        "/etc/sd-inference/worker.env": {
            "path": "/etc/sd-inference/worker.env",
            "permissions": "0640",
            "content": "SD_BUCKET=b\nSD_ENGINE=noop\n",
        },
    }


def test_a_stock_image_becomes_a_host_first() -> None:
    found = told(FIRST_BOOT)
    assert found["commands"] == [["/usr/local/sbin/sd-first-boot"], START]
    assert json.loads(found["/etc/sd-inference/role.json"]["content"]) == FIRST_BOOT["variables"]
    assert "REQUIREMENT='ansible-core>=2.19,<2.20'\n" in found["/etc/sd-inference/first-boot.env"]["content"]
    assert found["/usr/local/sbin/sd-first-boot"]["permissions"] == "0755"


def test_another_artifact_is_another_release() -> None:
    host = {"launch_template_data": {}, "worker_env": {}}
    others = [dict(FIRST_BOOT, sha256=digit * 64) for digit in "01"]
    ids = {render(Names("demo"), {**host, "first_boot": one}, "image", "1.0.0")[0] for one in [*others, others[0], {}]}
    assert len(ids) == 3


def test_the_order_of_variables_makes_no_other_release() -> None:
    variables = t.cast(dict[str, t.Any], FIRST_BOOT["variables"])
    turned = dict(reversed(variables.items()))
    assert user_data({}, {**FIRST_BOOT, "variables": turned}) == user_data({}, FIRST_BOOT)


@pytest.mark.parametrize("field", FIRST_BOOT)
def test_settings_that_lack_something_are_refused(field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        user_data({}, {name: value for name, value in FIRST_BOOT.items() if name != field})


@pytest.mark.parametrize(("name", "value"), [("sd", "1"), ("SD_X", "two\nlines"), ("SD-X", "1")])
def test_what_cannot_stand_in_an_environment_file_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidInput, match="worker_env"):
        user_data({name: value})


def test_user_data_that_ec2_refuses_are_refused_before() -> None:
    with pytest.raises(InvalidInput, match="16384"):
        user_data({"SD_MODELS": "x" * 16384})


class Machine:
    """A stock image as far as the first boot's script goes: its commands only write down how they were called."""

    def __init__(self, root: Path, **environment: str) -> None:
        self.root = root
        (root / "bin").mkdir()
        for name in ("apt-get", "aws", "curl", "python3.11", "sha256sum"):
            self.command(name, "cat >/dev/null" if name == "sha256sum" else "echo value")
        for name in ("cat", "mkdir", "touch"):
            (root / "bin" / name).symlink_to(f"/bin/{name}")
        found = told(FIRST_BOOT, SD_GROUP="sd-inference-demo", **environment)
        for path in (
            "/etc/sd-inference/worker.env",
            "/etc/sd-inference/first-boot.env",
            "/usr/local/sbin/sd-first-boot",
        ):
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self._moved(found[path]["content"]))
        (root / "var/log").mkdir(parents=True)
        (root / "opt/sd-inference/ansible/venv/bin").mkdir(parents=True)
        for name in ("pip", "ansible-galaxy", "ansible-playbook"):
            self.command(name, ":", folder=root / "opt/sd-inference/ansible/venv/bin")

    def _moved(self, script: str) -> str:
        for folder in ("/etc/", "/var/", "/opt/"):
            script = script.replace(f" {folder}", f" {self.root}{folder}").replace(
                f">>{folder}", f">>{self.root}{folder}"
            )
        return script

    def command(self, name: str, script: str, folder: Path | None = None) -> None:
        path = (folder or self.root / "bin") / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.root}/calls\n{script}\n')
        path.chmod(0o755)

    def boot(self) -> int:
        script = self.root / "usr/local/sbin/sd-first-boot"
        # Nothing of the machine's own: a Python that is missing would be installed on it.
        path = str(self.root / "bin")
        return subprocess.run(["/bin/sh", script], env={"PATH": path}, check=False, timeout=60).returncode

    def calls(self, name: str) -> list[str]:
        path = self.root / "calls"
        return [line for line in path.read_text().splitlines() if line.startswith(name)] if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_role_is_applied_from_the_artifact(machine: Machine) -> None:
    assert machine.boot() == 0
    assert f"s3 cp --no-progress {FIRST_BOOT['artifact']}" in machine.calls("aws")[0]
    assert machine.calls("pip") == ["pip install --quiet ansible-core>=2.19,<2.20"]
    assert machine.calls("ansible-playbook")[0].endswith("diffusion.fleet.host")
    assert not [call for call in machine.calls("aws") if "ABANDON" in call]


def test_the_environment_of_the_worker_is_handed_on_word_for_word(tmp_path: Path) -> None:
    given = {"SD_MODELS": "turbo=s3://b/turbo/, sdxl-base=s3://b/base/", "SD_NEGATIVE": "it's $HOME; exit 3"}
    machine = Machine(tmp_path, AWS_ENDPOINT_URL="http://10.0.0.1:4599", **given)
    machine.command("aws", f'printf "%s|%s\n" "$SD_MODELS" "$SD_NEGATIVE" >> {tmp_path}/calls')
    assert machine.boot() == 0
    assert machine.calls("turbo") == ["|".join(given.values())]
    assert machine.calls("aws")[0].startswith("aws --endpoint-url=http://10.0.0.1:4599 s3 cp")


def test_an_image_that_has_the_unit_is_left_alone(machine: Machine) -> None:
    (machine.root / "etc/systemd/system").mkdir(parents=True)
    (machine.root / "etc/systemd/system/sd-worker.service").touch()
    assert machine.boot() == 0
    assert not machine.calls("")


@pytest.mark.parametrize(("tool", "brought"), [("apt-get", "python3.11-venv"), ("dnf", "python3.11 python3.11-pip")])
def test_a_python_that_is_missing_is_installed(machine: Machine, tool: str, brought: str) -> None:
    machine.command("python3.11", f"[ -e {machine.root}/installed ]")
    machine.command(tool, f"touch {machine.root}/installed")
    assert machine.boot() == 0
    assert machine.calls(tool) == [f"{tool} install -y {brought}"]
    assert machine.calls("ansible-playbook")


@pytest.mark.parametrize("broken", ["sha256sum", "python3.11"])
def test_a_first_boot_that_fails_abandons_the_launch(machine: Machine, broken: str) -> None:
    machine.command(broken, "exit 1")
    assert machine.boot() != 0
    assert "ABANDON --auto-scaling-group-name sd-inference-demo --instance-id value" in machine.calls("aws")[-1]
    assert not machine.calls("ansible-playbook")

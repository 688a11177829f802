# SPDX-License-Identifier: GPL-3.0-or-later
"""build.yml with a real engine and a registry under ECR's name: once, again, with another source, signed."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import boto3
import pytest

from ansible_collections.diffusion.fleet.plugins.module_utils._release.ledger import Release
from ansible_collections.diffusion.fleet.plugins.module_utils._release.names import Names
from ansible_collections.diffusion.fleet.plugins.module_utils._release.signatures import refuse_unsigned
from scripts.rehearsal.containers import ca_file
from scripts.rehearsal.images import WORKER
from scripts.rehearsal.images import docker as docker_command
from scripts.rehearsal.sources import copy_source
from tests.support.docker import Docker
from tests.support.playbooks import ROOT, Run, free_port, run_playbook

DEPLOYMENT = "images"
REPOSITORY = f"sd-inference-{DEPLOYMENT}"
PLAYBOOK = ROOT / "playbooks" / "build.yml"
PASSWORD = "canary-of-the-key"


@dataclasses.dataclass
class Site:
    """An account with a repository and its registry, and a worker's source that may be changed."""

    endpoint: str
    registry_ca: str
    source: Path
    base: str

    def __post_init__(self) -> None:
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        self.ecr = boto3.client("ecr", endpoint_url=self.endpoint, region_name="us-east-1", **keys)
        self.ecr.create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")

    def build(self, version: str, *options: str, **variables: t.Any) -> Run:
        """Run the playbook."""
        given = {
            "version": version,
            "deployment_id": DEPLOYMENT,
            "worker_source": str(self.source),
            "engine": "docker",
            "fleet_image_base": self.base,
            "fleet_image_requirements": "noop",
            "fleet_image_ca_file": ca_file(),
            "fleet_image_registry_ca": self.registry_ca,
            **variables,
        }
        return run_playbook(PLAYBOOK, self.endpoint, "-e", json.dumps(given), *options)

    def tags(self) -> dict[str, str]:
        """The digest of each tag."""
        images = self.ecr.describe_images(repositoryName=REPOSITORY)["imageDetails"]
        return {tag: image["imageDigest"] for image in images for tag in image.get("imageTags", ())}


@pytest.fixture(scope="module")
def site(docker: Docker, base: str, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    state, port = tmp_path_factory.mktemp("state"), free_port()
    command = [sys.executable, "-m", "local_aws"]
    place = ["--state-dir", str(state)]
    ports = ["--port", str(port), "--registry-port", str(free_port())]
    subprocess.run([*command, "start", *place, *ports], cwd=ROOT, check=True, timeout=120)
    try:
        registry = json.loads((state / "state.json").read_text())["registry"]
        docker.tell("trust", registry["host"], str(registry["port"]), registry["ca_file"])
        docker_command("logout", registry["host"])
        source = state / "worker"
        copy_source(WORKER, source, ())
        (source / "src" / "stray.py").write_text("# no part of the package\n")
        yield Site(f"http://127.0.0.1:{port}", registry["ca_file"], source, base)
    finally:
        subprocess.run([*command, "stop", *place], cwd=ROOT, check=True, timeout=120)


@pytest.fixture(scope="module")
def first(site: Site) -> Run:
    """1.0.0, built and pushed."""
    run = site.build("1.0.0")
    assert run.code == 0, run.failures() + str(run.results[-1][1].get("stderr", ""))[-3000:]
    return run


def recorded(version: str) -> dict[str, t.Any]:
    return t.cast(dict[str, t.Any], json.loads((ROOT / "build/images" / version / "image.json").read_text()))


def test_it_is_pushed_and_its_digest_recorded(site: Site, first: Run) -> None:
    digest = site.tags()["1.0.0"]
    assert recorded("1.0.0")["digest"] == digest
    assert recorded("1.0.0")["image"].endswith(f"/{REPOSITORY}@{digest}")
    assert "1.0.0 was built and pushed" in first.messages()
    assert "  [libraries 3/3] RUN" in first.text  # on the screen, beside the result


def test_an_engine_pulls_what_is_recorded(site: Site, first: Run) -> None:
    """The labels are those of the build, so what is pushed is what was built."""
    labels = json.loads(docker_command("inspect", f"{recorded('1.0.0')['image'].partition('@')[0]}:1.0.0"))[0][
        "Config"
    ]["Labels"]
    assert labels["org.diffusion.fleet.source-sha256"] == recorded("1.0.0")["source_sha256"]


def test_only_what_names_the_content_is_in_it(site: Site, first: Run) -> None:
    image = recorded("1.0.0")["image"]
    assert docker_command("run", "--rm", "--entrypoint", "ls", image, "/app", "/app/src").split() == [
        *("/app:", "pyproject.toml", "src"),
        *("/app/src:", "api_scheduler"),
    ]


def test_an_option_that_it_does_not_have_is_refused() -> None:
    command = [str(Path(sys.executable).with_name("ansible")), "localhost", "-m", "diffusion.fleet.image_build"]
    done = subprocess.run(
        [*command, "-a", "name=worker:1 path=. tag=2"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and "Unsupported parameters" in done.stdout + done.stderr and "tag" in done.stdout


def test_a_bill_of_materials_is_attached(site: Site, first: Run) -> None:
    tag = f"{site.tags()['1.0.0'].replace(':', '-')}.sbom"
    reply = site.ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": tag}])
    manifest = json.loads(reply["images"][0]["imageManifest"])
    assert manifest["subject"]["digest"] == site.tags()["1.0.0"]
    bill = json.loads((ROOT / "build/images/1.0.0/sbom.cdx.json").read_text())
    names = {part["name"] for part in bill["components"]}
    assert {"debian", "boto3", "pydantic", "numpy", "libc6", "openssl"} <= names


def test_the_second_run_changes_nothing(site: Site, first: Run) -> None:
    before = site.tags()
    second = site.build("1.0.0")
    assert (second.code, second.changed(), site.tags()) == (0, [], before)
    assert "1.0.0 is already pushed, unchanged" in second.messages()


def test_check_mode_predicts_a_build(site: Site, first: Run) -> None:
    before = site.tags()
    predicted = site.build("1.0.9", "--check")
    assert predicted.code == 0, predicted.failures()
    assert predicted.changed() == ["Build 1.0.9"]
    assert site.tags() == before


def test_no_token_is_left(site: Site, first: Run) -> None:
    config = Path(os.environ["DOCKER_CONFIG"]) / "config.json"
    logins = json.loads(config.read_text()).get("auths", {}) if config.exists() else {}
    assert recorded("1.0.0")["image"].partition("/")[0] not in logins


def test_other_content_is_refused_before_it_is_built(site: Site, first: Run) -> None:
    before = site.tags()
    changed = site.source / "src" / "api_scheduler" / "answers.py"
    text = changed.read_text()
    changed.write_text(text + "\n# another\n")
    try:
        refused = site.build("1.0.0")
    finally:
        changed.write_text(text)
    assert refused.code != 0 and "choose a new version" in refused.failures()
    assert "Build 1.0.0" not in [name for name, _unused in refused.results]
    assert site.tags() == before


def test_a_later_run_describes_what_is_pushed_whatever_lies_under_the_tag(site: Site, first: Run, base: str) -> None:
    digest, name = site.tags()["1.0.0"], f"{recorded('1.0.0')['image'].partition('@')[0]}:1.0.0"
    bill = ROOT / "build/images/1.0.0/sbom.cdx.json"
    before = bill.read_text()
    site.ecr.batch_delete_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": f"{digest.replace(':', '-')}.sbom"}])
    docker_command("tag", base, name)
    again = site.build("1.0.0")
    assert again.code == 0, again.failures()
    assert "Attach it to the image" in again.changed()
    assert bill.read_text() == before


def test_a_signature_is_attached_where_a_key_is_given(
    site: Site, first: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", PASSWORD)
    subprocess.run(["cosign", "generate-key-pair"], cwd=tmp_path, check=True, capture_output=True)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    signed = site.build("1.0.0", fleet_image_sign_key=str(tmp_path / "cosign.key"))
    assert signed.code == 0, signed.failures()
    assert [name.split(" ")[0] for name in signed.changed()] == ["Sign"]
    assert f"{site.tags()['1.0.0'].replace(':', '-')}.sig" in site.tags()
    assert not list((tmp_path / "temporary").glob("fleet-docker-*")), "the token is left"
    assert not unsigned(site, tmp_path / "cosign.pub")
    subprocess.run(["cosign", "generate-key-pair", "--output-key-prefix", "other"], cwd=tmp_path, check=True)
    assert unsigned(site, tmp_path / "other.pub")
    assert site.build("1.0.0", fleet_image_sign_key=str(tmp_path / "cosign.key")).changed() == []


def unsigned(site: Site, key: Path) -> str:
    """Why a deploy that requires a signature by this key would refuse the image."""
    image = Release(version="1.0.0", digest=site.tags()["1.0.0"], release_id="", template_version="1", since="")
    refused = refuse_unsigned(site.ecr, Names(DEPLOYMENT), image, str(key))
    return refused.message if refused else ""


def test_without_an_engine_it_says_so_and_makes_the_bundle(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    run = site.build("2.0.0", engine="auto")
    assert run.code == 0, run.failures()
    assert "There is no Docker engine with buildx" in run.messages()
    assert "2.0.0" in site.tags()
    assert "engine=docker, and there is no Docker engine" in site.build("2.0.1", engine="docker").failures()

# SPDX-License-Identifier: GPL-3.0-or-later
"""A real engine against the registry: push, pull by digest, and what is refused with which reason."""

from __future__ import annotations

import base64
import collections.abc
import contextlib
import os
import typing as t
from pathlib import Path

import pytest

from local_aws.harness import Harness
from local_aws.registry.server import RegistryServer
from local_aws.settings import Settings
from tests.support.docker import Docker, Refused

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
HOUR = 3600


class Site:
    """An account on virtual time whose registry the engine reaches under ECR's name."""

    def __init__(self, harness: Harness, docker: Docker) -> None:
        self.harness = harness
        self.docker = docker
        self.ecr = harness.client("ecr")
        for name, mutability in (("worker", "IMMUTABLE"), ("moving", "MUTABLE")):
            self.ecr.create_repository(repositoryName=name, imageTagMutability=mutability)

    def login(self) -> None:
        token = self.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        self.docker.login(HOST, base64.b64decode(token).decode().partition(":")[2])

    def push(self, tag: str, content: bytes, repository: str = "worker") -> str:
        """An image with that content; its digest."""
        name = f"{HOST}/{repository}:{tag}"
        self.docker.import_files(name, {"file": content})
        self.docker.run("push", "--quiet", name)
        return self.docker.digest(name)

    def pulled_again(self, digest: str) -> None:
        """From nothing: what the engine has of it is removed first."""
        with contextlib.suppress(Refused):
            self.docker.run("image", "rm", "--force", *self.docker.run("images", "--quiet", f"{HOST}/worker").split())
        self.docker.run("pull", "--quiet", f"{HOST}/worker@{digest}")


@pytest.fixture
def site(docker: Docker, tmp_path: Path) -> collections.abc.Iterator[Site]:
    settings = Settings(registry_token_seconds=12 * HOUR, scratch=tmp_path)
    with Harness(settings=settings) as harness, RegistryServer(harness.world, tmp_path / "tls") as server:
        docker.tell("trust", HOST, str(server.port), str(server.ca_file))
        made = Site(harness, docker)
        made.login()
        yield made
        docker.run("logout", HOST)


def test_what_docker_pushes_the_api_shows_and_docker_pulls_by_digest(site: Site) -> None:
    content = os.urandom(3_000_000)
    digest = site.push("1.0.0", content)
    shown = site.ecr.describe_images(repositoryName="worker")["imageDetails"]
    assert [(one["imageDigest"], one["imageTags"]) for one in shown] == [(digest, ["1.0.0"])]
    assert shown[0]["imageSizeInBytes"] >= len(content)
    site.pulled_again(digest)
    assert f"{HOST}/worker@{digest}" in site.docker.run(
        "images", "--digests", "--format", "{{.Repository}}@{{.Digest}}"
    )


def test_a_wrong_digest_is_refused(site: Site) -> None:
    site.push("1.0.0", b"one")
    wrong = "sha256:" + "0" * 64
    with pytest.raises(Refused, match="manifest unknown"):
        site.docker.run("pull", f"{HOST}/worker@{wrong}")


def test_an_expired_token_is_refused_and_a_new_one_is_good(site: Site) -> None:
    digest = site.push("1.0.0", b"one")
    site.harness.clock.advance(12 * HOUR)
    with pytest.raises(Refused, match=r"Your authorization token has expired\. Reauthenticate and try again\."):
        site.pulled_again(digest)
    with pytest.raises(Refused, match="Your authorization token has expired"):
        site.push("1.0.1", b"two")
    site.login()
    site.pulled_again(digest)


def test_no_token_is_refused(site: Site) -> None:
    digest = site.push("1.0.0", b"one")
    site.docker.run("logout", HOST)
    with pytest.raises(Refused, match="no basic auth credentials"):
        site.pulled_again(digest)
    with pytest.raises(Refused, match=r"401|given out here"):
        site.docker.login(HOST, "123456789012-auth-token")


def test_an_immutable_tag_does_not_move(site: Site) -> None:
    digest = site.push("1.0.0", b"one")
    with pytest.raises(
        Refused, match=r"tag invalid: The image tag '1\.0\.0' already exists in the 'worker' repository"
    ):
        site.push("1.0.0", b"two")
    assert site.ecr.describe_images(repositoryName="worker")["imageDetails"][0]["imageDigest"] == digest


def test_what_was_pulled_by_digest_stays_when_its_tag_moves(site: Site) -> None:
    first = site.push("1.0.0", b"one", "moving")
    second = site.push("1.0.0", b"two", "moving")
    assert first != second
    for digest in (first, second):
        assert digest in site.docker.run("pull", f"{HOST}/moving@{digest}")


def test_a_push_creates_no_repository(site: Site) -> None:
    with pytest.raises(Refused, match="The repository with name 'nobody' does not exist in the registry"):
        site.push("1", b"one", "nobody")


def test_what_is_denied_is_refused(site: Site) -> None:
    digest = site.push("1.0.0", b"one")
    site.harness.world.faults.replace([{"kind": "denied", "service": "registry", "operation": "BatchGetImage"}])
    with pytest.raises(Refused, match="is not authorized to perform: ecr:BatchGetImage"):
        site.pulled_again(digest)


def test_layers_that_are_there_are_not_sent_again(site: Site) -> None:
    site.push("1.0.0", b"one")
    site.docker.run("tag", f"{HOST}/worker:1.0.0", f"{HOST}/worker:1.0.0-again")
    before = uploads(site)
    site.docker.run("push", "--quiet", f"{HOST}/worker:1.0.0-again")
    assert (before > 0, uploads(site) - before) == (True, 0)


def uploads(site: Site) -> int:
    """How many uploads of layers were completed so far."""
    entries: list[dict[str, t.Any]] = site.harness.world.calls.entries()
    return sum(one["service"] == "registry" and one["operation"] == "CompleteLayerUpload" for one in entries)

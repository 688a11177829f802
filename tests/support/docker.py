# SPDX-License-Identifier: Apache-2.0
"""What the tests of containers ask of an engine."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import typing as t

Command = t.Callable[..., subprocess.CompletedProcess[str]]


class Refused(AssertionError):
    """A command failed; the message is what it said."""


class Docker:
    """Docker's command line, and the script that brought the engine up."""

    def __init__(self, engine: Command) -> None:
        self._engine = engine

    def tell(self, *arguments: str) -> None:
        """A command of engine.sh for this engine."""
        done = self._engine(*arguments)
        if done.returncode:
            raise Refused(done.stderr)

    def run(self, *arguments: str, stdin: bytes = b"") -> str:
        """Its output."""
        done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, check=False)
        if done.returncode:
            raise Refused(done.stderr.decode() + done.stdout.decode())
        return done.stdout.decode()

    def login(self, host: str, password: str) -> str:
        """As the user of ECR."""
        return self.run("login", "--username", "AWS", "--password-stdin", host, stdin=password.encode())

    def import_files(self, name: str, files: t.Mapping[str, bytes]) -> None:
        """The quickest image: one layer with those files."""
        self.run("import", "-", name, stdin=_tar(files))

    def build(self, name: str, files: t.Mapping[str, bytes]) -> None:
        """Build from a Dockerfile among the files."""
        self.run("build", "--quiet", "--tag", name, "-", stdin=_tar(files))

    def digest(self, name: str) -> str:
        """The digest under which a pushed image is known in its registry."""
        found: list[str] = json.loads(self.run("image", "inspect", "--format", "{{json .RepoDigests}}", name))
        return found[0].partition("@")[2]


def _tar(files: t.Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()

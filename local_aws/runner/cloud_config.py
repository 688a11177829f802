# SPDX-License-Identifier: Apache-2.0
"""What cloud-init does with the user data of a worker: the files it writes, and the worker's environment in them."""

from __future__ import annotations

import shlex
import typing as t

import yaml

from local_aws.runner.base import RunnerError

WORKER_ENV = "/etc/sd-inference/worker.env"


def worker_env(user_data: str) -> dict[str, str] | None:
    """The environment of the worker, None for an instance that has none."""
    if not user_data.startswith("#cloud-config"):
        return None
    try:
        document = yaml.safe_load(user_data)
    except yaml.YAMLError as problem:
        raise RunnerError(f"the user data is not valid cloud-config: {problem}") from None
    files = document.get("write_files") or [] if isinstance(document, dict) else []
    for entry in files:
        if isinstance(entry, dict) and entry.get("path") == WORKER_ENV:
            return environment_file(str(entry.get("content", "")))
    return None


def environment_file(text: str) -> dict[str, str]:
    """A systemd EnvironmentFile: KEY=value lines, comments, optional quotes."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and not name.startswith(("#", ";")):
            found[name] = _unquoted(value)
    return found


def _unquoted(value: str) -> str:
    if value[:1] in ("'", '"'):
        parts: t.Sequence[str] = shlex.split(value)
        return parts[0] if parts else ""
    return value

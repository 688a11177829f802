# SPDX-License-Identifier: GPL-3.0-or-later
"""What a health check looks at: the worker's answer, the disks, the card."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request

from sd_host.commands import CommandFailed, run
from sd_host.rules import Finding
from sd_host.settings import Settings


def look(settings: Settings) -> Finding:
    """One health check."""
    return Finding(silent=worker(settings.health_url, settings.timeout_seconds), broken=host(settings))


def worker(url: str, timeout: float) -> str:
    """Why the worker counts as silent; empty where it has answered 200."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout):
            return ""
    except urllib.error.HTTPError as error:
        return f"the worker answered {url} with {error.code}"
    except (OSError, http.client.HTTPException) as error:
        return f"the worker did not answer {url}: {getattr(error, 'reason', error)}"


def host(settings: Settings) -> str:
    """What is wrong with the host itself; empty where nothing is."""
    for path in settings.disk_paths:
        problem = disk(path, settings.disk_free_mib)
        if problem:
            return problem
    return card(settings)


def disk(path: str, wanted_mib: int) -> str:
    """Whether a file system is full, or cannot be asked."""
    try:
        found = os.statvfs(path)
    except OSError as error:
        return f"the disk of {path} cannot be asked: {error}"
    free = found.f_bavail * found.f_frsize // 2**20
    return f"the disk of {path} is full: {free} MiB left of {wanted_mib} wanted" if free < wanted_mib else ""


def card(settings: Settings) -> str:
    """Whether the card has gone."""
    if not settings.gpu_command:
        return ""
    try:
        run(*settings.gpu_command, seconds=settings.timeout_seconds)
    except CommandFailed as error:
        return f"the GPU does not answer: {error}"
    return ""

# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the host: docker and systemctl."""

from __future__ import annotations

import subprocess

CONTAINER = "sd-worker"
UNIT = "sd-worker.service"


class CommandFailed(Exception):
    """A command did not work; the message is what it said."""


def run(*command: str, seconds: float = 30) -> str:
    """What the command prints. Raises CommandFailed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{' '.join(command)}: no end after {seconds:g} s") from None
    except OSError as error:
        raise CommandFailed(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
        raise CommandFailed(f"{' '.join(command)}: {said[-1]}")
    return done.stdout.strip()


def worked(*command: str, seconds: float = 30) -> bool:
    """Whether the command ends well."""
    try:
        run(*command, seconds=seconds)
    except CommandFailed:
        return False
    return True


def start_engine() -> None:
    """The engine runs: one that has died is not waited for, but started. Raises CommandFailed."""
    run("systemctl", "start", "docker.service", seconds=90)


def remove_container() -> None:
    """No container of an earlier start is left; raises CommandFailed where Docker cannot do it."""
    if worked("docker", "container", "inspect", CONTAINER):
        run("docker", "rm", "--force", CONTAINER)


def pull(image: str, seconds: float) -> bool:
    """Fetch an image that is not here yet; whether it had to be fetched. Raises CommandFailed."""
    if worked("docker", "image", "inspect", image):
        return False
    run("docker", "pull", "--quiet", image, seconds=seconds)
    return True


def kill_worker() -> None:
    """End the worker's container at once, paused or not. Raises CommandFailed."""
    run("docker", "kill", CONTAINER)


def stop_is_asked_for() -> bool:
    """Whether somebody wants the worker to stop or to start afresh: then its end is no failure."""
    try:
        words = run("systemctl", "list-jobs", "--no-legend", "--plain", UNIT).split()
    except CommandFailed:
        return False
    return "stop" in words or "restart" in words


def unit_state() -> str:
    """``active``, ``activating``, ``inactive`` …, as systemd has it."""
    try:
        return run("systemctl", "show", "--property", "ActiveState", "--value", UNIT)
    except CommandFailed as error:
        return str(error)

# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What action plugins share that call their module again and again and show its lines as they come."""

from __future__ import annotations

import os
import signal
import threading
import typing as t

from ansible.utils.display import Display

display = Display()
WATCH_SECONDS = 1.0


def show(new: t.Iterable[str], shown: list[str]) -> list[str]:
    """Display what was not the last thing said already."""
    said: list[str] = []
    for line in new:
        if [line] != (said or shown)[-1:]:
            display.display(f"  {line}")
            said.append(line)
    return said


def end_with_the_playbook() -> None:
    """No more calls once the playbook is gone.

    ansible-core gives each worker process a session of its own, so that a playbook that is killed leaves its
    worker behind, and with it work that somebody believes to have stopped.
    """
    if os.getpgrp() == os.getpid():
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(playbook: int) -> None:
    pause = threading.Event()
    while os.getppid() == playbook:
        pause.wait(WATCH_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)

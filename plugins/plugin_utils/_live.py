# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What action plugins share that call their module again and again and show its lines as they come."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import typing as t

from ansible import constants
from ansible.utils.display import Display

display = Display()
WATCH_SECONDS = 1.0
FOLLOW_SECONDS = 0.3


def show(new: t.Iterable[str], shown: list[str]) -> list[str]:
    """Display what was not the last thing said already."""
    said: list[str] = []
    for line in new:
        if [line] != (said or shown)[-1:]:
            display.display(f"  {line}")
            said.append(line)
    return said


class Lines:
    """What has been displayed; with ``follow``, also what a module adds to the file at ``path`` while it works."""

    def __init__(self, follow: bool) -> None:
        self.said: list[str] = []
        self.path: str | None = None
        self._follow = follow
        self._offset = 0
        self._lock = threading.Lock()
        self._over = threading.Event()

    def __enter__(self) -> Lines:
        if self._follow:
            handle, self.path = tempfile.mkstemp(prefix="lines-", dir=constants.DEFAULT_LOCAL_TMP)
            os.close(handle)
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._over.set()
        if self.path:
            with contextlib.suppress(OSError):
                os.unlink(self.path)

    def answered(self, lines: t.Sequence[str]) -> None:
        """A call has ended with these lines: show what is not shown yet."""
        self._read()
        if not self.path or not self.said:
            self.said += show(lines, self.said)

    def _watch(self) -> None:
        while not self._over.wait(FOLLOW_SECONDS):
            self._read()

    def _read(self) -> None:
        """Show the complete lines that were added to the file."""
        with self._lock, contextlib.suppress(OSError):
            if not self.path:
                return
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                text = file.read()
            complete = text[: text.rfind(b"\n") + 1]
            self._offset += len(complete)
            self.said += show(complete.decode("utf-8").splitlines(), self.said)


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

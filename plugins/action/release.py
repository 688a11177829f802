# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repeats the ``release`` module until the release is over, and shows each of its lines as it comes."""

from __future__ import annotations

import os
import signal
import threading
import typing as t
import uuid

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()
WATCH_SECONDS = 1.0


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """The module does all the work; only the run's nonce and what it remembers are kept here."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Call the module until it is done."""
        super().run(tmp, task_vars)
        _end_with_the_playbook()
        arguments = {"run": uuid.uuid4().hex, **self._task.args}
        lines: list[str] = []
        while True:
            result: dict[str, t.Any] = self._execute_module(
                module_name="diffusion.fleet.release", module_args=arguments, task_vars=task_vars
            )
            lines += _show(result.get("lines", ()), lines)
            if result.get("failed") or result.get("done", True):
                return {**result, "lines": lines}
            arguments["context"] = result["context"]


def _show(new: t.Iterable[str], shown: list[str]) -> list[str]:
    """Display what was not the last thing said already."""
    said: list[str] = []
    for line in new:
        if [line] != (said or shown)[-1:]:
            display.display(f"  {line}")
            said.append(line)
    return said


def _end_with_the_playbook() -> None:
    """No more ticks once the playbook is gone.

    ansible-core gives each worker process a session of its own, so that a playbook that is killed leaves its
    worker behind, and with it a release that somebody believes to have stopped.
    """
    if os.getpgrp() == os.getpid():
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(playbook: int) -> None:
    pause = threading.Event()
    while os.getppid() == playbook:
        pause.wait(WATCH_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)

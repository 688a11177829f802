# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes down what a run has changed, or in check mode would change: one JSON object a line, in a file a run."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import typing as t

from ansible import context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: changes
short_description: Notes what each run changes
description:
  - Appends host, task and item of everything that was changed to a file of E(FLEET_CHANGES), named after the playbook.
  - Used by the Molecule scenarios to hold what check mode says against what the run then does.
author: [The diffusion.fleet authors]
type: aggregate
requirements: [enable in configuration]
"""


class CallbackModule(CallbackBase):
    """One file a run: ``converge-0``, ``converge-check-0``, ``converge-1`` …"""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "changes"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        """Begin a file."""
        folder = pathlib.Path(os.environ["FLEET_CHANGES"])
        folder.mkdir(parents=True, exist_ok=True)
        stem = pathlib.Path(playbook._file_name).stem + ("-check" if context.CLIARGS.get("check") else "")
        names = (folder / f"{stem}-{number}.jsonl" for number in itertools.count())
        self._file = next(name for name in names if not name.exists())
        self._file.touch()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """A task without a loop; one with a loop has told its items."""
        if result.task.loop is None:  # "results" alone says nothing: dnf answers with a key of that name
            self._note(result, "")

    def v2_runner_item_on_ok(self, result: t.Any) -> None:
        """An item of a loop."""
        self._note(result, str(result.result.get("_ansible_item_label", "")))

    def _note(self, result: t.Any, item: str) -> None:
        if result.result.get("changed"):
            line = {"host": result.host.get_name(), "task": result.task.get_name(), "item": item}
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

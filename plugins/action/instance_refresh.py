# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repeats the ``instance_refresh`` module while it waits, and shows each news of the refresh as it comes."""

from __future__ import annotations

import typing as t

from ansible_collections.diffusion.fleet.plugins.plugin_utils._live import end_with_the_playbook, show
from ansible_collections.diffusion.fleet.plugins.plugin_utils._module_action import ModuleAction


class ActionModule(ModuleAction):
    """The module does all the work; only what it remembers is kept here."""

    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Call the module until it is done; once, where the task is to run in the background."""
        super().run(tmp, task_vars)
        if self._task.async_val:
            background: dict[str, t.Any] = self._execute_module(task_vars=task_vars, wrap_async=self._task.async_val)
            return background
        end_with_the_playbook()
        arguments = {**self._task.args, "context": {}}
        lines: list[str] = []
        while True:
            result = self.call("instance_refresh", arguments, task_vars)
            lines += show(result.get("lines", ()), lines)
            if result.get("failed") or result.get("done", True):
                return {**result, "lines": lines}
            arguments["context"] = result["context"]

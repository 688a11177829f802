# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the ``release`` module until the release is over, and shows each of its lines as it comes."""

from __future__ import annotations

import typing as t
import uuid

from ansible_collections.diffusion.fleet.plugins.plugin_utils._live import Lines, end_with_the_playbook
from ansible_collections.diffusion.fleet.plugins.plugin_utils._module_action import ModuleAction

WHOLE_RELEASE = 86400.0
"""Seconds that a call may last whose lines are seen while it works: every call starts Python and reads boto3 anew."""


class ActionModule(ModuleAction):
    """The module does all the work; only the run's nonce and what it remembers are kept here."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Call the module until it is done."""
        super().run(tmp, task_vars)
        end_with_the_playbook()
        with Lines(follow=self.is_here()) as lines:
            arguments = {"run": uuid.uuid4().hex, **self._task.args}
            if lines.path:
                arguments = {"hold": WHOLE_RELEASE, "progress": lines.path, **arguments}
            while True:
                result = self.call("release", arguments, task_vars)
                lines.answered(result.get("lines", ()))
                if result.get("failed") or result.get("done", True):
                    return {**result, "lines": lines.said}
                arguments["context"] = result["context"]

# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the ``release_info`` module and shows what it found, as lines for people or as one line of JSON."""

from __future__ import annotations

import json
import typing as t

from ansible.utils.display import Display

from ansible_collections.diffusion.fleet.plugins.plugin_utils._module_action import ModuleAction

display = Display()
NOT_STATUS = frozenset({"changed", "failed", "lines", "invocation", "warnings", "deprecations"})


class ActionModule(ModuleAction):
    """The module does all the work."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Call the module, and show its answer when asked to."""
        super().run(tmp, task_vars)
        result = self.call("release_info", self._task.args, task_vars)
        if not result.get("failed"):
            for line in _shown(result, str(self._task.args.get("show", "none"))):
                display.display(line)
        return result


def _shown(result: t.Mapping[str, t.Any], show: str) -> list[str]:
    if show == "text":
        return [str(line) for line in result["lines"]]
    if show == "json":
        return [json.dumps({name: value for name, value in result.items() if _is_status(name)}, sort_keys=True)]
    return []


def _is_status(name: str) -> bool:
    return name not in NOT_STATUS and not name.startswith("_")

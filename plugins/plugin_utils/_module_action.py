# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The base of the action plugins: each only calls the module of its name, and shows something of it."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase


class ModuleAction(ActionBase):
    """Nothing is transferred: the modules take no files."""

    TRANSFERS_FILES = False

    def call(
        self, module: str, arguments: t.Mapping[str, t.Any], task_vars: dict[str, t.Any] | None
    ) -> dict[str, t.Any]:
        """One call of a module of the collection; its result."""
        result: dict[str, t.Any] = self._execute_module(
            module_name=f"diffusion.fleet.{module}", module_args=dict(arguments), task_vars=task_vars
        )
        return result

    def is_here(self) -> bool:
        """Whether a module will run on this machine as this user, and can write to a file of ours."""
        return self._connection.transport == "local" and not self._play_context.become

# Copyright (c) 2026 The diffusion.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds with community.docker, and shows each step of the builder as it comes."""

from __future__ import annotations

import pathlib
import shlex
import sys
import typing as t

from ansible_collections.diffusion.fleet.plugins.plugin_utils import _told_build
from ansible_collections.diffusion.fleet.plugins.plugin_utils._live import Lines
from ansible_collections.diffusion.fleet.plugins.plugin_utils._module_action import ModuleAction

BUILDER = "community.docker.docker_image_build"
ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "path": {"type": "path", "required": True},
    "args": {"type": "dict"},
    "secrets": {"type": "list", "elements": "dict"},
}


class ActionModule(ModuleAction):
    """The module's command line is one that also writes its progress to a file of ours."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Build."""
        super().run(tmp, task_vars)
        self.validate_argument_spec(ARGUMENTS)
        arguments = dict(self._task.args)
        with Lines(follow=self.is_here()) as lines:
            if lines.path:
                arguments["docker_cli"] = command_line(lines.path)
            result: dict[str, t.Any] = self._execute_module(
                module_name=BUILDER, module_args={**arguments, "rebuild": "always"}, task_vars=task_vars
            )
            lines.answered(())
        return {**result, "lines": lines.said}


def command_line(lines: str) -> str:
    """A program that is docker to its caller; it lies beside the file of lines, and goes with Ansible's own folder."""
    words = [sys.executable, _told_build.__file__, lines, "docker"]
    program = pathlib.Path(f"{lines}.docker")
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    program.chmod(0o700)
    return str(program)

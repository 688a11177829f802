# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""Whoever follows a call that lasts to the end of the release: told each line, and missed when gone."""

from __future__ import annotations

import contextlib
import os

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import FleetError


class Follower:
    """A file that somebody reads, and the process that started this one; without a file nobody follows."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._written = False
        self._parent = os.getppid()

    def tell(self, line: str) -> None:
        """Let them know at once. A file that cannot be written is no reason to stop a release."""
        if self._path:
            with contextlib.suppress(OSError), open(self._path, "a", encoding="utf-8") as file:
                file.write(f"{line}\n")
                self._written = True

    def check(self) -> None:
        """Make sure that the playbook is still there: work that everybody believes to have stopped must stop.

        The playbook's own process kills this one with it, unless it was killed itself: then the file goes when
        Ansible ends. The lock stays and expires, as that of any run that dies.

        Raises: FleetError.
        """
        if not self._path:
            return
        if os.getppid() != self._parent or (self._written and not os.path.exists(self._path)):
            raise FleetError(
                "The playbook that started this run is gone; the run stops here and leaves the release as it is. "
                "Run the same playbook again to go on."
            )

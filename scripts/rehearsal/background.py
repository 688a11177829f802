# SPDX-License-Identifier: GPL-3.0-or-later
"""Work beside the main thread, which is told what became of it."""

from __future__ import annotations

import abc
import threading


class Background(threading.Thread, abc.ABC):
    """Does its ``work``; what that raised is kept. A daemon: it never holds up the end of the program."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.error: Exception | None = None

    def run(self) -> None:
        """The body of the thread."""
        try:
            self.work()
        except Exception as error:  # noqa: BLE001  # a thread's error dies with it: kept, so that the main thread can fail with it
            self.error = error

    @abc.abstractmethod
    def work(self) -> None:
        """What there is to do."""

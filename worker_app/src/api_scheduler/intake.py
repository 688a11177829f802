# SPDX-License-Identifier: Apache-2.0
"""How many messages may be taken: values and decisions, no AWS.

A worker takes what it can begin at once and one more, so that the drawing thread finds the next job decided when it has
room; more would wait here while another worker is idle.
"""

from __future__ import annotations

MOST_AT_ONCE = 10
"""SQS gives no more in one receive."""
MOST_WAITING = 16
"""What waits is in memory, with a thread each: behind a slow network, or in a flood of one id, no more is taken."""


def appetite(room: int, deciding: int, in_line: int, waiting: int) -> int:
    """How many more messages to take now.

    ``room`` is how many could be begun, ``deciding`` how many are on their way to the drawing thread, and ``in_line``
    how many are there and not begun, which shows that there is no room for more of their kind. ``waiting`` are those
    whose pictures wait for the network, and those that wait for another message.
    """
    if in_line or waiting >= MOST_WAITING:
        return 0
    return max(0, room + 1 - deciding)


class Ramp:
    """How many to ask the queue for: one at first, twice as many each time it had all of them.

    A few messages so spread over the workers that wait for them, instead of all going to the first that asks; with many
    in the queue, asking for one at a time soon ends.
    """

    def __init__(self) -> None:
        self._next = 1

    def ask(self, wanted: int) -> int:
        """How many to ask for, when so many are wanted."""
        return max(1, min(wanted, self._next, MOST_AT_ONCE))

    def got(self, asked: int, found: int) -> None:
        """What came of it."""
        if found == 0:
            self._next = 1
        elif found >= asked == self._next:
            self._next = min(MOST_AT_ONCE, self._next * 2)

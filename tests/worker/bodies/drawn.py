# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.worker.bodies.drawn COUNT``: so many bodies that are drawn, one a line, for other checks."""

from __future__ import annotations

import sys

from tests.worker.bodies import many, requests

if __name__ == "__main__":
    for body in many.distinct(int(sys.argv[1]), 11, requests.valid()):
        print(body.data.decode("utf-8"))

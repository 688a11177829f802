# SPDX-License-Identifier: Apache-2.0
"""``python -m api_scheduler``: everything is configured by environment variables, see ``settings``."""

from __future__ import annotations

import os
import sys

from api_scheduler import app
from api_scheduler.settings import InvalidSetting


def main() -> int:
    """Run the worker until it is told to stop; the exit status."""
    try:
        return app.run(os.environ)
    except InvalidSetting as error:
        print(f"api-scheduler: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

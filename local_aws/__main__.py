# SPDX-License-Identifier: Apache-2.0
"""The command line."""

from __future__ import annotations

import sys

from local_aws.cli import main

if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: a fleet on this machine from nothing to its third release, with every claim counted at the end."""

import sys

from rehearsal.story import main

if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does for its worker, and in the place of one that is lost. Python 3.9, its standard library, botocore."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Real hosts for tests: machines with systemd in containers, which are instances of an Auto Scaling group of local_aws.

See README.md beside this file.
"""

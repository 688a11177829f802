# SPDX-License-Identifier: Apache-2.0
"""The AWS API on one machine, with real workers behind its Auto Scaling group. Loopback only."""

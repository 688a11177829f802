# SPDX-License-Identifier: GPL-3.0-or-later
"""Long runs: programs that print a table and end with a status. Their dated figures stand in docs/campaigns.md."""

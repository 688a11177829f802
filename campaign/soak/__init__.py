# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of real worker processes under everything at once, and the count of what became of each request."""

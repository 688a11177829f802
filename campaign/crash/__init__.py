# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that dies, or meets a fault, at each AWS call of each goal; then one more run must converge."""

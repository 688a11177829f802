# SPDX-License-Identifier: Apache-2.0
"""Bodies of messages, good and bad, and what must hold for each of them."""

from __future__ import annotations

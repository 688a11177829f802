# SPDX-License-Identifier: Apache-2.0
"""The documents that clients write and read: requests, payloads, results."""

from __future__ import annotations

# SPDX-License-Identifier: Apache-2.0
"""Why a model cannot be used."""

from __future__ import annotations


class ModelUnusable(Exception):
    """The model cannot be loaded; the message names it, the file and the next step."""

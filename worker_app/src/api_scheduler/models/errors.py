# SPDX-License-Identifier: Apache-2.0
"""Why a model cannot be used."""

from __future__ import annotations

from api_scheduler.errors import Told


class ModelUnusable(Told):
    """The model cannot be loaded; the message names it, the file and the next step."""

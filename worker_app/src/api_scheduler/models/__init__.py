# SPDX-License-Identifier: Apache-2.0
"""Models: where they lie, how they come to this machine, and who may use which."""

from __future__ import annotations

from api_scheduler.models.catalogue import Model, Models
from api_scheduler.models.errors import ModelUnusable

__all__ = ["Model", "ModelUnusable", "Models"]

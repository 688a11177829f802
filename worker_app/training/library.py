# SPDX-License-Identifier: Apache-2.0
"""diffusers without its annotations.

They contradict the library (a pipeline may have no safety checker, a configuration has attributes), and its lazy
imports show type checkers placeholders instead of classes. So its objects are Any here, under names that say what they
are.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import diffusers as _diffusers

Autoencoder: TypeAlias = Any
Pipeline: TypeAlias = Any
Scheduler: TypeAlias = Any
Unet: TypeAlias = Any

diffusers: Any = _diffusers

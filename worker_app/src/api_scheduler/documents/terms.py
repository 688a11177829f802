# SPDX-License-Identifier: Apache-2.0
"""What a deployment offers to requests: limits, models, LoRA, and pictures in its own bucket."""

from __future__ import annotations

import dataclasses
import typing as t

from api_scheduler.settings import Limits

Read = t.Callable[[str, int], bytes | None]
"""The first so many bytes of an object of the deployment's bucket; None where it does not exist."""


def no_bucket(_key: str, _most: int) -> bytes | None:
    """For where there is none."""
    return None


@dataclasses.dataclass(frozen=True)
class Terms:
    """Everything outside a request that decides whether it can be drawn, and how."""

    limits: Limits
    native_side: int
    """Width and height where a request names none."""
    models: t.Sequence[str] = ()
    """The names of the deployment's models; the first is drawn with where a request names none."""
    loras: t.Collection[str] = ()
    bucket: str = ""
    read: Read = no_bucket

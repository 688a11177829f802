# SPDX-License-Identifier: Apache-2.0
"""Steps of training with a rising and falling learning rate, and a line now and then that shows how they go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Course:
    """How one part is trained."""

    name: str
    steps: int
    batch: int
    rate: float


def train(course: Course, parameters: Iterable[torch.nn.Parameter], step: Callable[[], torch.Tensor]) -> None:
    """Lower the loss that `step` returns; `step` is called once for each step of the course."""
    weights = list(parameters)
    optimizer = torch.optim.AdamW(weights, lr=course.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, course.rate, total_steps=course.steps, pct_start=0.1)
    for number in range(1, course.steps + 1):
        loss = step()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        if number % max(1, course.steps // 20) == 0:
            say(f"{course.name}: step {number}/{course.steps}, loss {loss.item():.4f}")


def say(line: str) -> None:
    """Print a line with the CPU seconds used so far."""
    print(f"[{time.process_time():7.1f} CPU-s] {line}", flush=True)

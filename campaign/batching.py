# SPDX-License-Identifier: GPL-3.0-or-later
"""`make batching`: are pictures that are drawn together those that are drawn alone, and what does that save?

Runs in the worker's environment, on the digits model and one thread. For every sampler with every schedule one batch of
five requests that differ in everything: text, picture and mask, steps, guidance, seeds. Each picture is compared with
that of diffusers' own pipelines, drawn alone. Then pictures from text in batches of 1 to 16. It prints two tables and
ends with status 1 where a value of a picture differs by more than 1 of 255.
"""

from __future__ import annotations

import argparse
import functools
import logging
import sys
import time
import typing as t
import warnings

import numpy as np
import torch

from api_scheduler import samplers
from api_scheduler.documents.drawing import Drawing
from api_scheduler.engines.diffusers_engine import DiffusersEngine
from tests.worker.drive import draw
from tests.worker.engine.conftest import DIGITS, started
from tests.worker.engine.drawings import apart, drawing, from_photo, right_half
from tests.worker.engine.stock import Stock

_SIZES = (1, 2, 4, 8, 16)


def requests(sampler: str, schedule: str) -> dict[str, Drawing]:
    """Five requests of one sampler that have nothing else in common."""
    same: dict[str, t.Any] = {"sampler": sampler, "schedule": schedule}
    return {
        "text, two seeds": drawing(**same, seeds=(1, 2), batch_size=2, steps=5),
        "guidance 1": drawing("a blue nine", **same, steps=8, cfg_scale=1.0, negative_prompt="ugly"),
        "img2img": drawing("a green 4", **same, seeds=(5,), steps=9, cfg_scale=6.0, start=from_photo(0.6)),
        "inpaint": drawing("a white 8", **same, seeds=(6,), steps=7, start=from_photo(0.7, right_half())),
        "inpaint, full": drawing("a white 8", **same, seeds=(7,), steps=6, start=from_photo(1.0, right_half())),
    }


def equality() -> int:
    """Print the largest difference of each sampler; the largest of all."""
    engine, stock = started(DIGITS), Stock(DIGITS)
    kinds = list(requests("Euler", "Automatic"))
    print("| sampler | schedules | " + " | ".join(kinds) + " |\n" + "|---" * (len(kinds) + 2) + "|")
    largest = 0
    for sampler in samplers.names():
        rows = [_differences(engine, stock, sampler, schedule) for schedule in samplers.schedules(sampler)]
        worst = [max(column) for column in zip(*rows, strict=True)]
        print(f"| {sampler} | {len(rows)} | " + " | ".join(map(str, worst)) + " |", flush=True)
        largest = max(largest, *worst)
    return largest


def _differences(engine: DiffusersEngine, stock: Stock, sampler: str, schedule: str) -> list[int]:
    jobs = list(requests(sampler, schedule).values())
    pairs = zip(jobs, draw(engine, jobs), strict=True)
    return [max(apart(*both) for both in zip(mine, stock.draw(job), strict=True)) for job, mine in pairs]


def throughput(pictures: int) -> None:
    """Print the time of a picture, by how many are drawn at once."""
    jobs = [drawing(f"a red {seed % 10}", "DPM++ 2M", seeds=(seed,), steps=10) for seed in range(pictures)]
    stock = Stock(DIGITS)
    stock.draw(jobs[0])
    print("\n| drawn by | CPU ms a picture | against the first |\n|---|---|---|")
    first = _cost(lambda: [stock.draw(job) for job in jobs], pictures)
    print(f"| diffusers' pipeline, one after the other | {first:.1f} | 1.00 |", flush=True)
    for size in _SIZES:
        engine = started(DIGITS, size)
        cost = _cost(functools.partial(draw, engine, jobs), pictures)
        print(f"| engine, {size} at once | {cost:.1f} | {first / cost:.2f} |", flush=True)
    chosen = [started(DIGITS, 0).room for _time in range(5)]
    print(f"\nfound at warm-up, five times: {', '.join(map(str, chosen))}")


def _cost(work: t.Callable[[], t.Any], pictures: int) -> float:
    """The least of three runs, in milliseconds of CPU a picture."""
    took: list[float] = []
    for _time in range(3):
        began = time.process_time()
        work()
        took.append((time.process_time() - began) * 1000 / pictures)
    return float(np.min(took))


def main() -> int:
    """Both tables; 1 where a picture differs."""
    parser = argparse.ArgumentParser(prog="python -m campaign.batching", description=__doc__)
    parser.add_argument("--pictures", type=int, default=64, help="for the second table (default 64)")
    parser.add_argument("--only", choices=("equality", "throughput"), help="one of the two tables")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    largest = 0
    if arguments.only != "throughput":
        largest = equality()
        print(f"\nlargest difference of a value: {largest} of 255")
    if arguments.only != "equality":
        throughput(arguments.pictures)
    return 1 if largest > 1 else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""`python -m training --out DIRECTORY`: train the digits model from nothing and save it."""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from training import autoencoder, text, unet
from training.captions import vocabulary
from training.export import save
from training.halves import drawing_half
from training.library import Pipeline, diffusers
from training.pictures import Studio
from training.progress import Course, say
from training.tokens import build_tokenizer


@dataclass(frozen=True)
class Plan:
    """How much training each part gets."""

    text: Course
    autoencoder: Course
    unet: Course
    pictures: int


FULL = Plan(
    text=Course("text", steps=400, batch=64, rate=3e-3),
    autoencoder=Course("autoencoder", steps=1500, batch=12, rate=2e-3),
    unet=Course("unet", steps=1300, batch=48, rate=1e-3),
    pictures=6144,
)


def shortened(plan: Plan) -> Plan:
    """The same plan in seconds, to see that every part runs; what it draws is noise."""
    return Plan(_shortened(plan.text), _shortened(plan.autoencoder), _shortened(plan.unet), pictures=128)


def _shortened(course: Course) -> Course:
    return replace(course, steps=course.steps // 100)


def make(plan: Plan, seed: int) -> Pipeline:
    """Train all parts, one after the other, and put them together."""
    torch.manual_seed(seed)
    studio = Studio(drawing_half(), seed)
    tokenizer = build_tokenizer(vocabulary())
    tower = text.build_tower(tokenizer)
    text.teach(tower, tokenizer, plan.text, random.Random(seed))
    vae = autoencoder.build_autoencoder()
    autoencoder.teach(vae, studio, plan.autoencoder)
    lesson = unet.prepare(studio, vae, tower, tokenizer, plan.pictures)
    denoiser = unet.teach(unet.build_unet(), lesson, plan.unet)
    return diffusers.StableDiffusionPipeline(
        vae=vae,
        text_encoder=tower,
        tokenizer=tokenizer,
        unet=denoiser,
        scheduler=unet.build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def main() -> None:
    """Parse the command line, train, save."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory for the model, for example models/digits")
    parser.add_argument("--seed", type=int, default=1, help="seed of every random choice (default 1)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--smoke", action="store_true", help="a hundredth of the training, to try the script")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    plan = shortened(FULL) if arguments.smoke else FULL
    save(make(plan, arguments.seed), arguments.out)
    say(f"saved in {arguments.out}")


if __name__ == "__main__":
    main()

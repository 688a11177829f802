# SPDX-License-Identifier: Apache-2.0
"""The text tower: a small CLIP text model, taught first to understand captions and then kept as it is.

Training tower and UNet together from noise alone does not get anywhere in minutes.
Classifying captions first takes seconds.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.captions import BACKGROUNDS, COLOURS, DIGIT_WORDS, Caption, describe, describe_nothing, random_subject
from training.progress import Course, say, train

WIDTH = 64
_COLOUR_CLASS = {name: number for number, name in enumerate(COLOURS)}
_BACKGROUND_CLASS = {name: number for number, name in enumerate(BACKGROUNDS)}
_CLASSES = (len(DIGIT_WORDS), len(COLOURS), len(BACKGROUNDS))


def build_tower(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained text tower for the tokenizer."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def encode(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> torch.Tensor:
    """Token numbers, padded to the full length as the pipeline does."""
    tokens = tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt")
    return torch.as_tensor(tokens["input_ids"])


def teach(tower: CLIPTextModel, tokenizer: CLIPTokenizer, course: Course, rng: random.Random) -> None:
    """Train until every position from the end of the text on tells digit, colour and background."""
    heads = torch.nn.ModuleList(torch.nn.Linear(WIDTH, classes + 1) for classes in _CLASSES)

    def step() -> torch.Tensor:
        captions = random_captions(rng, course.batch)
        return _loss(tower, heads, encode(tokenizer, [caption.text for caption in captions]), _labels(captions))

    train(course, [*tower.parameters(), *heads.parameters()], step)
    say(f"text: {_share_right(tower, heads, tokenizer, rng):.1%} of 500 new captions understood")
    tower.requires_grad_(False)


def random_captions(rng: random.Random, count: int) -> list[Caption]:
    """Captions of random subjects, one in ten of nothing."""
    return [_random_caption(rng) for _unused in range(count)]


def _random_caption(rng: random.Random) -> Caption:
    if rng.random() < 0.1:
        return describe_nothing(rng)
    return describe(random_subject(rng, rng.randrange(len(DIGIT_WORDS))), rng)


def _labels(captions: Sequence[Caption]) -> torch.Tensor:
    return torch.tensor([_label(caption) for caption in captions])


def _label(caption: Caption) -> tuple[int, int, int]:
    """Class numbers; the last one of each kind stands for "not said"."""
    return (
        _CLASSES[0] if caption.digit is None else caption.digit,
        _CLASSES[1] if caption.colour is None else _COLOUR_CLASS[caption.colour],
        _CLASSES[2] if caption.background is None else _BACKGROUND_CLASS[caption.background],
    )


def _loss(tower: CLIPTextModel, heads: torch.nn.ModuleList, tokens: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    states = tower(input_ids=tokens).last_hidden_state
    ends = torch.tensor(tower.config.eos_token_id)
    rows, positions = torch.nonzero(tokens.eq(ends), as_tuple=True)
    seen = states[rows, positions]
    losses = [functional.cross_entropy(head(seen), labels[rows, kind]) for kind, head in enumerate(heads)]
    return torch.stack(losses).sum()


@torch.no_grad()
def _share_right(
    tower: CLIPTextModel, heads: torch.nn.ModuleList, tokenizer: CLIPTokenizer, rng: random.Random
) -> float:
    captions = random_captions(rng, 500)
    last = tower(input_ids=encode(tokenizer, [caption.text for caption in captions])).last_hidden_state[:, -1]
    said = torch.stack([head(last).argmax(-1) for head in heads], dim=1)
    return float((said == _labels(captions)).all(dim=1).float().mean())

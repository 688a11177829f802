# SPDX-License-Identifier: Apache-2.0
"""Writes the model as a directory that StableDiffusionPipeline.from_pretrained reads, with the digest of every file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from training.library import Pipeline

SUMS = "SHA256SUMS"
_NOT_SUMMED = (SUMS, "README.md")


def save(pipeline: Pipeline, directory: Path) -> None:
    """Save with weights in half precision, then write SHA256SUMS."""
    pipeline.to(dtype=torch.float16, silence_dtype_warnings=True)
    pipeline.save_pretrained(directory, safe_serialization=True)
    # vocab.json and merges.txt beside tokenizer.json: readers older than transformers 5 look for these two.
    pipeline.tokenizer.backend_tokenizer.model.save(str(directory / "tokenizer"))
    (directory / SUMS).write_text(sums(directory), encoding="utf-8")


def sums(directory: Path) -> str:
    """The digests of the model's files, in the format of sha256sum."""
    files = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    return "".join(f"{_sha256(directory / name)}  {name}\n" for name in files if name not in _NOT_SUMMED)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

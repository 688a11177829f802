# SPDX-License-Identifier: Apache-2.0
"""The tokenizer: byte-level BPE whose merges make each known word one token and spell out everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

MAX_TOKENS = 77
START, END = "<|startoftext|>", "<|endoftext|>"

Pair = tuple[str, str]


def build_tokenizer(words: Iterable[str]) -> CLIPTokenizer:
    """A CLIP tokenizer that knows the words; its vocabulary follows from them alone."""
    merges = learn_merges(words)
    alphabet = sorted(ByteLevel.alphabet())
    tokens = [*alphabet, *(letter + "</w>" for letter in alphabet), *map("".join, merges), START, END]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    # Pairs, although the annotation of `merges` says strings: they need no separator.
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_TOKENS)


def learn_merges(words: Iterable[str]) -> list[Pair]:
    """Merges, most frequent pair first, until every word is one piece."""
    spelled = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges: list[Pair] = []
    while pairs := Counter(pair for pieces in spelled for pair in pairwise(pieces)):
        # Ties go to the alphabet, so that the same words always give the same vocabulary.
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelled = [_merge(pieces, best) for pieces in spelled]
    return merges


def _merge(pieces: Sequence[str], pair: Pair) -> list[str]:
    merged: list[str] = []
    for piece in pieces:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged

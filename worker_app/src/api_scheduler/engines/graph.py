# SPDX-License-Identifier: Apache-2.0
"""The UNet as a recorded graph, for the CPU.

A card takes its work from a queue, which Python fills while the card computes. On a CPU nothing is computed meanwhile:
Python between the operations is a third of a call of two rows and more, and at each of them it may have to wait for the
threads that answer other jobs. A graph runs without Python, with the same kernels: it predicts what the module does.
"""

from __future__ import annotations

import contextlib
import logging
import typing as t
import warnings

import torch

_LOG = logging.getLogger(__name__)
_TRIED_WITH = (1, 3)
"""Rows in which a graph must predict what its module does: recorded with one, it serves any number."""
_APART = 1e-4
"""The most that a prediction may differ; its values have a deviation of about 1."""

Given = tuple[torch.Tensor | None, ...]
"""Rows of latents, timesteps, text and, for models that take them, the text as a whole, the size, and the guidance."""


class _Eager(torch.nn.Module):
    """The module with all that a call of one kind gives it in a row, as torch records it."""

    def __init__(self, unet: torch.nn.Module, forward: t.Callable[..., t.Any], kind: t.Sequence[object]) -> None:
        super().__init__()
        self.unet = unet
        self._forward_of_unet = forward
        self._there = [one is not None for one in kind]

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        left = iter(tensors)
        return _called(self._forward_of_unet, [next(left) if there else None for there in self._there])


class Graph:
    """Stands in for a UNet's ``forward``: what was recorded where the call is of that kind, else the module."""

    def __init__(self, unet: t.Any) -> None:
        self._unet, self._forward = unet, unet.forward
        self._recorded: t.Any = None
        self._kind: object = None
        self.used = True
        """Whether the module has the weights that were recorded, and no LoRA."""
        unet.forward = self

    def __call__(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        timestep_cond: torch.Tensor | None = None,
        added_cond_kwargs: t.Mapping[str, torch.Tensor] | None = None,
        return_dict: bool = False,
    ) -> tuple[torch.Tensor]:
        """The prediction, alone in a tuple: what diffusers' UNet gives without ``return_dict``."""
        added = added_cond_kwargs or {}
        text = (encoder_hidden_states, added.get("text_embeds"), added.get("time_ids"))
        given = (sample, timestep, *text, timestep_cond)
        if self.used and self._kind == _kind(given):
            return (self._recorded(*_tensors(given)),)
        return (_called(self._forward, given),)

    @contextlib.contextmanager
    def aside(self) -> t.Iterator[None]:
        """Within, the module draws: its attention is not the recorded one."""
        used, self.used = self.used, False
        try:
            yield
        finally:
            self.used = used

    def record(self, given: Given) -> None:
        """Record a call of one row. A graph that does not predict what the module does is not used."""
        kind = _kind(given)
        eager = _Eager(self._unet, self._forward, kind).eval()
        with warnings.catch_warnings():
            # Sizes are taken for constant, of which it warns; calls of other sizes go to the module.
            warnings.simplefilter("ignore")
            recorded = torch.jit.trace(eager, _tensors(given), check_trace=False)
        apart = max(_apart(recorded, eager, given, count) for count in _TRIED_WITH)
        if apart <= _APART:
            self._recorded, self._kind = recorded, kind
        else:
            _LOG.warning("the recorded UNet predicts otherwise, by %.2g: the module draws", apart)


def _called(forward: t.Callable[..., t.Any], given: t.Sequence[torch.Tensor | None]) -> torch.Tensor:
    sample, timestep, text, pooled, size, guidance = given
    added = None if pooled is None else {"text_embeds": pooled, "time_ids": size}
    more = {"encoder_hidden_states": text, "timestep_cond": guidance, "added_cond_kwargs": added}
    return t.cast(torch.Tensor, forward(sample, timestep, **more, return_dict=False)[0])


def _kind(given: Given) -> tuple[object, ...]:
    """What all calls of a graph have in common: everything but the number of rows."""
    return tuple(None if one is None else (one.shape[1:], one.dtype) for one in given)


def _tensors(given: Given) -> list[torch.Tensor]:
    return [one for one in given if one is not None]


def _apart(recorded: t.Any, eager: torch.nn.Module, given: Given, count: int) -> float:
    """How far the predictions of so many rows are from each other; no two rows are alike."""
    rows = [torch.cat([one * (1 + 0.1 * row) for row in range(count)]) for one in _tensors(given)]
    return float((recorded(*rows) - eager(*rows)).abs().max())

# SPDX-License-Identifier: Apache-2.0
"""The UNet and the decoder as recorded graphs, for the CPU.

A card takes its work from a queue, which Python fills while the card computes. On a CPU nothing is computed meanwhile:
Python between the operations is a third of a call of two rows and more, and at each of them it may have to wait for the
threads that answer other jobs. A graph runs without Python, with the same kernels: it computes what the module does.
"""

from __future__ import annotations

import contextlib
import logging
import typing as t
import warnings

import torch

_LOG = logging.getLogger(__name__)
_TRIED_WITH = (1, 3)
"""Rows in which a graph must compute what its module does: recorded with one, it serves any number."""
_APART = 1e-4
"""The most that a value may differ; values of latents and pictures have a deviation of about 1."""

Given = tuple[torch.Tensor | None, ...]
"""What a module is given in a call; the first dimension of each tensor are the rows."""

_Call = t.Callable[[Given], torch.Tensor]


class _Eager(torch.nn.Module):
    """The module with all that a call of one kind gives it in a row, as torch records it."""

    def __init__(self, module: torch.nn.Module, call: _Call, kind: t.Sequence[object]) -> None:
        super().__init__()
        self.module = module
        self._call = call
        self._there = [one is not None for one in kind]

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        left = iter(tensors)
        return self._call(tuple(next(left) if there else None for there in self._there))


class _Graph:
    """Stands in for a module's ``forward``: what was recorded where the call is of that kind, else the module."""

    def __init__(self, module: t.Any) -> None:
        self._module, self._forward = module, module.forward
        self._recorded: t.Any = None
        self._kind: object = None
        self.used = True
        """Whether the module has the weights that were recorded, and no LoRA."""
        module.forward = self

    @contextlib.contextmanager
    def aside(self) -> t.Iterator[None]:
        """Within, the module computes: its attention is not the recorded one."""
        used, self.used = self.used, False
        try:
            yield
        finally:
            self.used = used

    def record(self, given: Given) -> None:
        """Record a call of one row. A graph that does not compute what the module does is not used."""
        kind = _kind(given)
        eager = _Eager(self._module, self._eager, kind).eval()
        with warnings.catch_warnings():
            # Sizes are taken for constant, of which it warns; calls of other sizes go to the module.
            warnings.simplefilter("ignore")
            recorded = torch.jit.trace(eager, _tensors(given), check_trace=False)
        apart = max(_apart(recorded, eager, given, count) for count in _TRIED_WITH)
        if apart <= _APART:
            self._recorded, self._kind = recorded, kind
        else:
            name = type(self._module).__name__
            _LOG.warning("the graph of %s computes otherwise, by %.2g: the module is used", name, apart)

    def _run(self, given: Given) -> torch.Tensor:
        if self.used and self._kind == _kind(given):
            return t.cast(torch.Tensor, self._recorded(*_tensors(given)))
        return self._eager(given)

    def _eager(self, given: Given) -> torch.Tensor:
        return t.cast(torch.Tensor, self._forward(*given))


class DecoderGraph(_Graph):
    """Of the autoencoder: latents become pictures."""

    def __call__(self, sample: torch.Tensor) -> torch.Tensor:
        """The values of the pictures."""
        return self._run((sample,))


class UnetGraph(_Graph):
    """Of the UNet. It is given latents, timesteps and text; some models also the text as a whole, size, guidance."""

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
        return (self._run((sample, timestep, *text, timestep_cond)),)

    def _eager(self, given: Given) -> torch.Tensor:
        sample, timestep, text, pooled, size, guidance = given
        added = None if pooled is None else {"text_embeds": pooled, "time_ids": size}
        more = {"encoder_hidden_states": text, "timestep_cond": guidance, "added_cond_kwargs": added}
        return t.cast(torch.Tensor, self._forward(sample, timestep, **more, return_dict=False)[0])


def _kind(given: Given) -> tuple[object, ...]:
    """What all calls of a graph have in common: everything but the number of rows."""
    return tuple(None if one is None else (one.shape[1:], one.dtype) for one in given)


def _tensors(given: Given) -> list[torch.Tensor]:
    return [one for one in given if one is not None]


def _apart(recorded: t.Any, eager: torch.nn.Module, given: Given, count: int) -> float:
    """How far the values of so many rows are from each other; no two rows are alike."""
    rows = [torch.cat([one * (1 + 0.1 * row) for row in range(count)]) for one in _tensors(given)]
    return float((recorded(*rows) - eager(*rows)).abs().max())

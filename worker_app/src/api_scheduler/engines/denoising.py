# SPDX-License-Identifier: Apache-2.0
"""One call of the UNet for the next timestep of many strands, whatever their schedulers, steps and guidance are."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

import torch

from api_scheduler.engines.base import OutOfMemory
from api_scheduler.engines.graph import Given
from api_scheduler.engines.loading import Condition, Model
from api_scheduler.engines.memory import Budget, Short, tried
from api_scheduler.engines.strands import Strand


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Rows of a batch as the UNet takes them; what a model does not take is None."""

    inputs: torch.Tensor
    timesteps: torch.Tensor
    text: torch.Tensor
    pooled: torch.Tensor | None
    size: torch.Tensor | None
    guidance: torch.Tensor | None

    def part(self, begin: int, end: int) -> _Rows:
        """Some of them."""
        return _of([None if one is None else one[begin:end] for one in _fields(self)])


def predictions(model: Model, strands: t.Sequence[Strand], budget: Budget) -> list[torch.Tensor]:
    """The noise that the UNet sees in each strand, guided as its request asks. Raises OutOfMemory."""
    guided = [strand for strand in strands if strand.prompts.unwanted is not None]
    seen = _in_parts(model, _all_rows(model, strands), strands[0].job.width * strands[0].job.height, budget)
    parts = iter(seen.split([strand.pictures for strand in (*guided, *strands)]))
    unguided = {id(strand): next(parts) for strand in guided}
    return [_guided(strand, unguided.get(id(strand)), next(parts)) for strand in strands]


def sample(model: Model, strand: Strand) -> Given:
    """One row of what the UNet is given for a strand."""
    return _fields(_rows(model, strand, strand.prompts.wanted).part(0, 1))


def whole(model: Model, strands: t.Sequence[Strand]) -> torch.Tensor:
    """What the UNet sees in all rows of the strands in one call, as a measure of time and memory."""
    return _call(model, _all_rows(model, strands))


def _all_rows(model: Model, strands: t.Sequence[Strand]) -> _Rows:
    """First the rows of what guided strands do not want, then those of what all strands want."""
    unwanted = [(strand, strand.prompts.unwanted) for strand in strands if strand.prompts.unwanted is not None]
    wanted = [(strand, strand.prompts.wanted) for strand in strands]
    return _joined([_rows(model, strand, condition) for strand, condition in (*unwanted, *wanted)])


def _guided(strand: Strand, unwanted: torch.Tensor | None, wanted: torch.Tensor) -> torch.Tensor:
    return wanted if unwanted is None else unwanted + strand.job.cfg_scale * (wanted - unwanted)


def _rows(model: Model, strand: Strand, condition: Condition) -> _Rows:
    count, prompts = strand.pictures, strand.prompts
    timesteps = strand.schedule.timestep.to(model.device, torch.float32).expand(count)
    return _Rows(
        strand.inputs().to(model.dtype),
        timesteps,
        condition.text.expand(count, -1, -1),
        None if condition.pooled is None else condition.pooled.expand(count, -1),
        None if prompts.size is None else prompts.size.expand(count, -1),
        None if prompts.guidance is None else prompts.guidance.expand(count, -1),
    )


def _joined(parts: t.Sequence[_Rows]) -> _Rows:
    columns = zip(*(_fields(part) for part in parts), strict=True)
    return _of([None if column[0] is None else torch.cat(column) for column in columns])


def _of(fields: t.Sequence[t.Any]) -> _Rows:
    return _Rows(*fields)


def _fields(rows: _Rows) -> tuple[t.Any, ...]:
    return (rows.inputs, rows.timesteps, rows.text, rows.pooled, rows.size, rows.guidance)


def _in_parts(model: Model, rows: _Rows, pixels: int, budget: Budget) -> torch.Tensor:
    """All rows at once; where memory does not hold that, in smaller and smaller parts, at last in sliced attention.

    A row's prediction does not depend on the others, and nothing but it is lost when the memory runs out.
    """
    count, begin = len(rows.inputs), 0
    parts: list[torch.Tensor] = []
    while begin < count:
        end = min(count, begin + (budget.rows(pixels) or count))
        seen = tried(functools.partial(_call, model, rows.part(begin, end)))
        if isinstance(seen, Short) and end - begin > 1:
            budget.lower_rows(end - begin, pixels)
            continue
        if isinstance(seen, Short):
            seen = _in_slices(model, rows.part(begin, end))
        parts.append(seen)
        begin = end
    return torch.cat(parts)


def _in_slices(model: Model, rows: _Rows) -> torch.Tensor:
    model.pipe.enable_attention_slicing("max")
    try:
        with model.graph.aside():
            seen = tried(functools.partial(_call, model, rows))
    finally:
        model.pipe.disable_attention_slicing()
    if isinstance(seen, Short):
        raise OutOfMemory(seen.message)
    return seen


def _call(model: Model, rows: _Rows) -> torch.Tensor:
    added = None if rows.pooled is None else {"text_embeds": rows.pooled, "time_ids": rows.size}
    seen = model.pipe.unet(
        rows.inputs,
        rows.timesteps,
        encoder_hidden_states=rows.text,
        timestep_cond=rows.guidance,
        added_cond_kwargs=added,
        return_dict=False,
    )
    return t.cast(torch.Tensor, seen[0])

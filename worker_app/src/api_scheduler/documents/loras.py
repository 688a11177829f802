# SPDX-License-Identifier: Apache-2.0
"""LoRA in requests: ``<lora:name:weight>`` in the prompt, and the list ``loras``."""

from __future__ import annotations

import re
import typing as t

from api_scheduler.documents.drawing import Lora
from api_scheduler.documents.envelope import InvalidRequest
from api_scheduler.documents.payload import MAX_WEIGHT, Txt2Img
from api_scheduler.documents.terms import Terms
from api_scheduler.documents.words import shown

_NETWORK = re.compile(r"<(lora|lyco|hypernet):([^<>]*)>", re.IGNORECASE)


def split(payload: Txt2Img, terms: Terms) -> tuple[str, tuple[Lora, ...]]:
    """The prompt without its LoRA, and all LoRA to draw with. Raises InvalidRequest."""
    if _NETWORK.search(payload.negative_prompt):
        raise InvalidRequest("payload.negative_prompt: LoRA belong into the prompt, with a negative weight if need be")
    wanted = [("prompt", _lora(*match.groups())) for match in _NETWORK.finditer(payload.prompt)]
    wanted = [] if payload.disable_extra_networks else wanted
    wanted += [(f"loras[{index}]", Lora(one.name, one.weight)) for index, one in enumerate(payload.loras)]
    _check(wanted, terms)
    return _NETWORK.sub("", payload.prompt).strip(), tuple(lora for _where, lora in wanted)


def _lora(kind: str, arguments: str) -> Lora:
    if kind.lower() != "lora":
        raise InvalidRequest(f"payload.prompt: <{kind}:…> is not supported, only <lora:name:weight>")
    name, *rest = arguments.split(":")
    try:
        weight = float(rest[0]) if rest else 1.0
    except ValueError:
        weight = MAX_WEIGHT + 1
    if len(rest) > 1 or not abs(weight) <= MAX_WEIGHT:
        raise InvalidRequest(
            f"payload.prompt: {shown(f'<lora:{arguments}>')} is not <lora:name:weight> "
            f"with one weight from -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}"
        )
    return Lora(name.strip(), weight)


def _check(wanted: t.Sequence[tuple[str, Lora]], terms: Terms) -> None:
    seen: set[str] = set()
    for where, lora in wanted:
        if lora.name not in terms.loras:
            known = ", ".join(sorted(terms.loras)) or "none"
            raise InvalidRequest(f"payload.{where}: LoRA {shown(lora.name)} is not of this deployment; it has {known}")
        if lora.name in seen:
            raise InvalidRequest(f"payload.{where}: LoRA {shown(lora.name)} is given twice; give it one weight")
        seen.add(lora.name)
    if len(wanted) > terms.limits.loras:
        raise InvalidRequest(f"payload.{wanted[-1][0]}: {len(wanted)} LoRA are more than {terms.limits.loras}")

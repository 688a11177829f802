# SPDX-License-Identifier: Apache-2.0
"""Low-rank adaptations: each file is loaded once, and a batch is drawn with those that it names."""

from __future__ import annotations

import typing as t
from pathlib import Path

from api_scheduler.documents.drawing import Lora
from api_scheduler.models import ModelUnusable

_MOST_LOADED = 8
"""The card's memory holds them all: the one that was not used for the longest time makes room."""


class Loras:
    """The adaptations of one pipeline."""

    def __init__(self, pipe: t.Any, files: t.Mapping[str, str]) -> None:
        self._pipe = pipe
        self._files = files
        self._loaded: dict[str, str] = {}
        """The library's name of each one that is loaded; the one used last comes last."""
        self._count = 0

    def use(self, loras: t.Sequence[Lora]) -> None:
        """From now on draw with these and no others. Raises ModelUnusable."""
        weights: dict[str, float] = {}
        for lora in loras:
            weights[lora.name] = weights.get(lora.name, 0.0) + lora.weight
        if not weights:
            if self._loaded:
                self._pipe.disable_lora()
            return
        adapters = [self._adapter(name) for name in weights]
        self._pipe.enable_lora()
        self._pipe.set_adapters(adapters, list(weights.values()))
        self._make_room(len(weights))

    def _adapter(self, name: str) -> str:
        adapter = self._loaded.pop(name, None) or self._load(name)
        self._loaded[name] = adapter
        return adapter

    def _load(self, name: str) -> str:
        path = Path(self._files.get(name, ""))
        if path.suffix != ".safetensors" or not path.is_file():
            raise ModelUnusable(f"LoRA {name!r}: there is no .safetensors file {str(path)!r}; see SD_LORAS")
        # A name of our own: the library's become parts of module names, which may hold no dot.
        self._count += 1
        adapter = f"adaptation{self._count}"
        try:
            self._pipe.load_lora_weights(
                str(path.parent),
                weight_name=path.name,
                adapter_name=adapter,
                local_files_only=True,
                use_safetensors=True,
            )
        except Exception as error:  # torch, peft, safetensors and diffusers have one each for the same
            # It may be in some parts of the model by now: without any, the model is itself again.
            self._pipe.unload_lora_weights()
            self._loaded.clear()
            raise ModelUnusable(f"LoRA {name!r} does not fit the model, or is no LoRA: {error}"[:500]) from error
        return adapter

    def _make_room(self, in_use: int) -> None:
        while len(self._loaded) > max(_MOST_LOADED, in_use):
            oldest = next(iter(self._loaded))
            self._pipe.delete_adapters(self._loaded.pop(oldest))

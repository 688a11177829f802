# SPDX-License-Identifier: Apache-2.0
"""``override_settings`` and ``alwayson_scripts``: what of them is supported."""

from __future__ import annotations

import re
import typing as t

from api_scheduler.documents.envelope import InvalidRequest
from api_scheduler.documents.terms import Terms
from api_scheduler.documents.words import clip, shown

MODEL, CLIP = "sd_model_checkpoint", "CLIP_stop_at_last_layers"
MOST_LAYERS = 12
NEUTRAL: dict[str, tuple[t.Any, ...]] = {
    # Settings of that server that would change what a client gets, with the values at which they do not.
    "ENSD": (None, 0),
    "enable_pnginfo": (None, True),
    "eta_ancestral": (None, 1),
    "eta_ddim": (None, 0),
    "eta_noise_seed_delta": (None, 0),
    "initial_noise_multiplier": (None, 1),
    "randn_source": (None, "CPU"),
    "return_mask": (None, False),
    "return_mask_composite": (None, False),
    "s_churn": (None, 0),
    "s_min_uncond": (None, 0),
    "s_noise": (None, 1),
    "s_tmax": (None, 0),
    "s_tmin": (None, 0),
    "samples_format": (None, "png"),
    "sd_vae": (None, "Automatic", "None"),
    "token_merging_ratio": (None, 0),
}
IGNORED = frozenset(
    {
        # Settings about that server's own files, memory and screen.
        "do_not_show_images",
        "grid_save",
        "jpeg_quality",
        "return_grid",
        "samples_save",
        "save_images_add_number",
        "save_to_dirs",
        "sd_checkpoint_cache",
        "sd_checkpoints_limit",
        "show_progress_every_n_steps",
    }
)
_SWITCHED_OFF: tuple[t.Any, ...] = ([], [False])
_HASH = re.compile(r" \[[0-9a-fA-F]+\]\Z")
_ENDINGS = (".safetensors", ".ckpt")


def model(settings: t.Mapping[str, t.Any], terms: Terms) -> str:
    """The name of the model that the settings choose, empty for the first. Raises InvalidRequest."""
    for name, value in settings.items():
        if name in NEUTRAL:
            _check_neutral(name, value)
        elif name not in (MODEL, CLIP) and name not in IGNORED:
            raise InvalidRequest(f"payload.override_settings.{clip(name)}: not supported; leave it out")
    return _model(settings.get(MODEL), terms)


def clip_skip(settings: t.Mapping[str, t.Any]) -> int:
    """How many of the text encoder's last layers the settings leave out. Raises InvalidRequest."""
    value = settings.get(CLIP)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_LAYERS:
        raise InvalidRequest(
            f"payload.override_settings.{CLIP}: {shown(value)} is not a whole number from 1 to {MOST_LAYERS}"
        )
    return value - 1


def check_scripts(scripts: t.Mapping[str, t.Any]) -> None:
    """Clients name scripts only to switch them off. Raises InvalidRequest for any other use."""
    for name, script in scripts.items():
        arguments = script.get("args", []) if isinstance(script, dict) and set(script) <= {"args"} else None
        if not any(arguments == off and repr(arguments) == repr(off) for off in _SWITCHED_OFF):
            raise InvalidRequest(
                f"payload.alwayson_scripts: {shown(name)} is not supported; leave it out, or with args of [] or [false]"
            )


def _check_neutral(name: str, value: t.Any) -> None:
    if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in NEUTRAL[name]):
        raise InvalidRequest(
            f"payload.override_settings.{name}: {shown(value)} would change what is answered and is not supported; "
            f"leave it out or write {NEUTRAL[name][1]!r}"
        )


def _model(value: t.Any, terms: Terms) -> str:
    if value is None or value == "":
        return ""
    name = _HASH.sub("", value) if isinstance(value, str) else ""
    bare = [name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending)]
    found = [one for one in (name, *bare) if one in terms.models]
    if not found:
        known = ", ".join(terms.models) or "one without a name"
        raise InvalidRequest(
            f"payload.override_settings.{MODEL}: {shown(value)} is no model of this deployment; it has {known}"
        )
    return found[0]

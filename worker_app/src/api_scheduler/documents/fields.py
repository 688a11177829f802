# SPDX-License-Identifier: Apache-2.0
"""Fields of the AUTOMATIC1111 API that take no effect here: those with neutral values only, and those without a say.

The fields that take effect are those of the models in ``payload``. Every field of that API is in exactly one place.
"""

from __future__ import annotations

import dataclasses
import typing as t

from api_scheduler.documents import envelope
from api_scheduler.documents.envelope import InvalidRequest
from api_scheduler.documents.words import shown


@dataclasses.dataclass(frozen=True)
class Neutral:
    """A field that would change the picture, with the values at which it does not. The first is its default."""

    values: tuple[t.Any, ...]
    why: str
    """Why other values are refused, for clients."""


@dataclasses.dataclass(frozen=True)
class Fields:
    """The fields of one call that take no effect."""

    neutral: t.Mapping[str, Neutral]
    ignored: t.Mapping[str, str]
    """With the reason why their values cannot change the picture."""


_OFF: tuple[t.Any, ...] = (None, False)
_ZERO: tuple[t.Any, ...] = (None, 0)
_NO_TEXT: tuple[t.Any, ...] = (None, "")
_NO_NAME: tuple[t.Any, ...] = (None, "", "None")
_NO_RESIZE: tuple[t.Any, ...] = (None, -1, 0)
_ITS_OWN_FILES = "steers that server's own files"
_ITS_OWN_REPLY = "steers that server's own reply"
_WITH_ENABLE_HR = "belongs to enable_hr, which is off"
_ONE_PASS = "a picture is drawn in one pass"

_NEUTRAL = {
    "firstpass_image": Neutral(_NO_TEXT, _ONE_PASS),
    "infotext": Neutral(_NO_TEXT, "parameters are read from their own fields"),
    "refiner_checkpoint": Neutral(_NO_NAME, "one model draws all steps"),
    "restore_faces": Neutral(_OFF, "there is no face restorer"),
    "s_churn": Neutral(_ZERO, "samplers add no noise of their own beyond their kind's"),
    "s_min_uncond": Neutral(_ZERO, "guidance is used at every step"),
    "s_noise": Neutral((None, 1), "samplers' noise is not scaled"),
    "s_tmax": Neutral(_ZERO, "belongs to s_churn"),
    "s_tmin": Neutral(_ZERO, "belongs to s_churn"),
    "script_name": Neutral(_NO_NAME, "there are no scripts"),
    "seed_resize_from_h": Neutral(_NO_RESIZE, "noise is drawn at the picture's own size"),
    "seed_resize_from_w": Neutral(_NO_RESIZE, "noise is drawn at the picture's own size"),
    "styles": Neutral((None, [], [""]), "there are no stored styles: write their words into the prompts"),
    "subseed_strength": Neutral(_ZERO, "noise comes from one seed"),
    "tiling": Neutral(_OFF, "pictures that tile are not drawn"),
}
_IGNORED = {
    "comments": "a remark",
    "do_not_save_grid": _ITS_OWN_FILES,
    "do_not_save_samples": _ITS_OWN_FILES,
    "force_task_id": "names that server's own task; here `id` does",
    "override_settings_restore_afterwards": "settings of one request never outlive it here",
    "refiner_switch_at": "belongs to refiner_checkpoint, which is none",
    "save_images": _ITS_OWN_FILES,
    "script_args": "belongs to script_name, which is none",
    "send_images": _ITS_OWN_REPLY,
    "subseed": "belongs to subseed_strength, which is 0",
}
TXT2IMG = Fields(
    {**_NEUTRAL, "enable_hr": Neutral(_OFF, f"{_ONE_PASS}: ask for the size, or use img2img for a second pass")},
    {
        **_IGNORED,
        "denoising_strength": _WITH_ENABLE_HR,
        "firstphase_height": _WITH_ENABLE_HR,
        "firstphase_width": _WITH_ENABLE_HR,
        "hr_checkpoint_name": _WITH_ENABLE_HR,
        "hr_negative_prompt": _WITH_ENABLE_HR,
        "hr_prompt": _WITH_ENABLE_HR,
        "hr_resize_x": _WITH_ENABLE_HR,
        "hr_resize_y": _WITH_ENABLE_HR,
        "hr_sampler_name": _WITH_ENABLE_HR,
        "hr_scale": _WITH_ENABLE_HR,
        "hr_scheduler": _WITH_ENABLE_HR,
        "hr_second_pass_steps": _WITH_ENABLE_HR,
        "hr_upscaler": _WITH_ENABLE_HR,
    },
)
IMG2IMG = Fields(
    {
        **_NEUTRAL,
        "initial_noise_multiplier": Neutral((None, 1), "noise is not scaled"),
        "latent_mask": Neutral(_NO_TEXT, "use mask"),
    },
    {
        **_IGNORED,
        "image_cfg_scale": "belongs to models that edit by instruction, which are not drawn with",
        "include_init_images": _ITS_OWN_REPLY,
    },
)
FIELDS: dict[str, Fields] = {envelope.TXT2IMG: TXT2IMG, envelope.IMG2IMG: IMG2IMG}
"""By the path of the call."""


def check_neutral(name: str, value: t.Any, neutral: Neutral) -> None:
    """Raises InvalidRequest where that value would change the picture."""
    # True == 1 in Python, and neither stands for the other in a payload.
    if not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in neutral.values):
        default = next(shown(one) for one in neutral.values if one is not None)
        raise InvalidRequest(
            f"payload.{name}: {shown(value)} would change the picture and is not supported ({neutral.why}); "
            f"leave it out or write {default}"
        )

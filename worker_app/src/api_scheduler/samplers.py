# SPDX-License-Identifier: Apache-2.0
"""The samplers of the AUTOMATIC1111 API, and the diffusers scheduler that each one is."""

from __future__ import annotations

import dataclasses
import typing as t

DEFAULT = "Euler"
_KARRAS, _EXPONENTIAL, _BETA, _TRAILING = "Karras", "Exponential", "Beta", "SGM Uniform"
_SCHEDULES: dict[str, dict[str, t.Any]] = {
    "Automatic": {},
    "Uniform": {},
    _KARRAS: {"use_karras_sigmas": True},
    _EXPONENTIAL: {"use_exponential_sigmas": True},
    _BETA: {"use_beta_sigmas": True},
    _TRAILING: {"timestep_spacing": "trailing"},
}
_SIGMAS = (_KARRAS, _EXPONENTIAL, _BETA, _TRAILING)


class UnknownSampler(Exception):
    """There is no such sampler or schedule, or the two do not go together; the message names the field."""


@dataclasses.dataclass(frozen=True)
class Sampler:
    """A sampler with its schedule: the diffusers class and what to set in its configuration."""

    name: str
    schedule: str
    scheduler_class: str
    options: t.Mapping[str, t.Any]
    at_each_step: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    """What is passed to each step."""


@dataclasses.dataclass(frozen=True)
class _Kind:
    scheduler_class: str
    options: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    schedules: tuple[str, ...] = (_TRAILING,)
    eta: float | None = None
    """The share of fresh noise in each step, where the API's ``eta`` would set it."""
    any_eta: bool = False
    """Whether it can draw with another one."""


_KINDS: dict[str, _Kind] = {
    "Euler": _Kind("EulerDiscreteScheduler", schedules=_SIGMAS),
    "Euler a": _Kind("EulerAncestralDiscreteScheduler", eta=1),
    "Heun": _Kind("HeunDiscreteScheduler", schedules=_SIGMAS),
    "LMS": _Kind("LMSDiscreteScheduler", schedules=_SIGMAS),
    "DPM2": _Kind("KDPM2DiscreteScheduler", schedules=_SIGMAS),
    "DPM2 a": _Kind("KDPM2AncestralDiscreteScheduler", schedules=_SIGMAS, eta=1),
    "DPM++ 2M": _Kind("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}, _SIGMAS),
    "DPM++ 2M SDE": _Kind("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, _SIGMAS, 1),
    "DPM++ 2M SDE Heun": _Kind(
        "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"}, _SIGMAS, 1
    ),
    "DPM++ SDE": _Kind("DPMSolverSinglestepScheduler", {}, (_KARRAS, _EXPONENTIAL, _BETA)),
    "DDIM": _Kind("DDIMScheduler", eta=0, any_eta=True),
    "DDPM": _Kind("DDPMScheduler"),
    "PLMS": _Kind("PNDMScheduler", {"skip_prk_steps": True}),
    "UniPC": _Kind("UniPCMultistepScheduler", {}, _SIGMAS),
    "LCM": _Kind("LCMScheduler"),
}
_BY_LOWER = {name.lower(): name for name in _KINDS}
_SCHEDULE_BY_LOWER = {**{name.lower().replace(" ", "_"): name for name in _SCHEDULES}, "normal": "Uniform"}


def names() -> tuple[str, ...]:
    """Every sampler."""
    return tuple(_KINDS)


def schedules(name: str) -> tuple[str, ...]:
    """The schedules that go with a sampler."""
    return ("Automatic", "Uniform", *_KINDS[name].schedules)


def etas(name: str) -> tuple[float, float] | None:
    """The least and the most ``eta`` that a sampler draws with; None where it has none: any value means the same."""
    own = _KINDS[name].eta
    return None if own is None else (own, 1.0 if _KINDS[name].any_eta else own)


def with_eta(sampler: Sampler, eta: float | None) -> Sampler:
    """The sampler with that share of fresh noise. Raises UnknownSampler."""
    bounds = etas(sampler.name)
    if eta is None or bounds is None:
        return sampler
    if not bounds[0] <= eta <= bounds[1]:
        raise UnknownSampler(f"eta: {eta:g} is not supported, {sampler.name} draws with {bounds[0]:g}")
    return dataclasses.replace(sampler, at_each_step={"eta": eta}) if bounds[0] < eta else sampler


def find(name: str, schedule: str | None, field: str = "sampler_name") -> Sampler:
    """The sampler of that name, also of the older form "DPM++ 2M Karras". Raises UnknownSampler.

    ``field`` is where the name was given.
    """
    base, suffix = _split(name)
    if base is None:
        raise UnknownSampler(f"{field}: {name[:60]!r} is not supported, use one of {', '.join(_KINDS)}")
    wanted, wanted_by = _schedule(schedule), "scheduler"
    if wanted == "Automatic" and suffix:
        wanted, wanted_by = suffix, field
    if wanted not in schedules(base):
        raise UnknownSampler(
            f"{wanted_by}: {wanted!r} does not go with {base}, use one of {', '.join(schedules(base))}"
        )
    kind = _KINDS[base]
    return Sampler(base, wanted, kind.scheduler_class, {**kind.options, **_SCHEDULES[wanted]})


def _split(name: str) -> tuple[str | None, str | None]:
    lower = " ".join(name.lower().split())
    if lower in _BY_LOWER:
        return _BY_LOWER[lower], None
    for suffix in (_KARRAS, _EXPONENTIAL):
        if lower.endswith(" " + suffix.lower()):
            return _BY_LOWER.get(lower[: -len(suffix) - 1]), suffix
    return None, None


def _schedule(schedule: str | None) -> str:
    if not schedule:
        return "Automatic"
    found = _SCHEDULE_BY_LOWER.get(schedule.lower().strip().replace(" ", "_"))
    if found is None:
        raise UnknownSampler(f"scheduler: {schedule[:60]!r} is not supported, use one of {', '.join(_SCHEDULES)}")
    return found

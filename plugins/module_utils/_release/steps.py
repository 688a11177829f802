# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""The steps as users write them: a percentage to repeat, numbers, or objects that say more about a step. Pure."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput

DEFAULT_PERCENTAGE = "20"
"""What each step adds when nothing else is asked for."""
ON_INCONCLUSIVE = ("fail", "pass", "pause")
"""What may happen to a step that has too few jobs when its time is over."""
EXAMPLE = "{percentage: 25, bake: 300, min_jobs: 30, pause: true, on_inconclusive: pause}"


@dataclasses.dataclass(frozen=True)
class Wish:
    """One step as it is asked for; None stands for the run's own setting."""

    percentage: int
    bake: int | None = None
    """Least seconds that jobs are collected at this step."""
    min_jobs: int | None = None
    """Jobs that the candidate must finish with success at this step."""
    pause: bool = False
    """Whether the release pauses once this step has passed."""
    on_inconclusive: str | None = None


FIELDS = tuple(field.name for field in dataclasses.fields(Wish))


def wishes(percentage: str | None, steps: t.Sequence[t.Any] | None) -> tuple[Wish, ...]:
    """The steps that the user asked for: ``percentage`` repeated up to 100, or ``steps`` as given.

    Raises: InvalidInput, which names the field, the value and what to write instead.
    """
    if steps:
        return _rising([_wish(index, item) for index, item in enumerate(_unpacked(steps))])
    share = _share("percentage", DEFAULT_PERCENTAGE if percentage is None else percentage)
    return tuple(Wish(point) for point in (*range(share, 100, share), 100))


def _unpacked(steps: t.Sequence[t.Any]) -> t.Sequence[t.Any]:
    """``-e steps='[5, 100]'`` arrives as text that was split at its commas."""
    if not str(steps[0]).lstrip().startswith("["):
        return steps
    text = ",".join(map(str, steps))
    try:
        return list(json.loads(text))
    except ValueError as error:
        raise InvalidInput(f"""steps={text} is not a list; write -e '{{"steps": [5, 25, 100]}}'.""") from error


def _rising(asked: list[Wish]) -> tuple[Wish, ...]:
    shares = [wish.percentage for wish in asked]
    if shares != sorted(set(shares)) or shares[-1] != 100:
        raise InvalidInput(f"steps={shares} must rise and end with 100, as in steps=[5, 25, 100].")
    return tuple(asked)


def _wish(index: int, item: t.Any) -> Wish:
    if not isinstance(item, t.Mapping):
        return Wish(_share("steps", item))
    where = f"steps[{index}]"
    unknown = [str(name) for name in item if name not in FIELDS]
    if unknown:
        raise InvalidInput(f"{where}: unknown field {', '.join(unknown)}; a step has {', '.join(FIELDS)}.")
    if item.get("percentage") is None:
        raise InvalidInput(f"{where} has no percentage; for example {EXAMPLE}.")
    return Wish(
        percentage=_share(f"{where}.percentage", item["percentage"]),
        bake=_count(f"{where}.bake", item.get("bake"), "seconds"),
        min_jobs=_count(f"{where}.min_jobs", item.get("min_jobs"), "jobs"),
        pause=_flag(f"{where}.pause", item.get("pause")),
        on_inconclusive=_choice(f"{where}.on_inconclusive", item.get("on_inconclusive")),
    )


def _share(field: str, value: t.Any) -> int:
    number = _whole(value)
    if number is None or not 1 <= number <= 100:
        raise InvalidInput(f"{field}={value} is not a whole number from 1 to 100; for example -e percentage=20.")
    return number


def _count(field: str, value: t.Any, unit: str) -> int | None:
    number = _whole(value)
    if value is None or (number is not None and number >= 0):
        return number
    raise InvalidInput(f"{field}={value} is not a whole number of {unit}; for example {EXAMPLE}.")


def _whole(value: t.Any) -> int | None:
    try:
        return None if isinstance(value, bool) else int(str(value).strip())
    except ValueError:
        return None


def _flag(field: str, value: t.Any) -> bool:
    try:
        return bool(boolean(value)) if value is not None else False
    except TypeError as error:
        raise InvalidInput(f"{field}={value} is neither true nor false; for example {EXAMPLE}.") from error


def _choice(field: str, value: t.Any) -> str | None:
    if value is not None and value not in ON_INCONCLUSIVE:
        raise InvalidInput(f"{field}={value} is not one of {', '.join(ON_INCONCLUSIVE)}; for example {EXAMPLE}.")
    return None if value is None else str(value)

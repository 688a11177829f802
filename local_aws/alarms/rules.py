# SPDX-License-Identifier: Apache-2.0
"""When an alarm is in which state: pure rules of CloudWatch over the datapoints of its evaluation range."""

from __future__ import annotations

import dataclasses
import operator
import typing as t

State = t.Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
_OPERATORS: dict[str, tuple[t.Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


@dataclasses.dataclass(frozen=True)
class Rule:
    """What an alarm demands."""

    comparison: str
    threshold: float
    periods: int
    to_alarm: int
    missing: str = "missing"

    def breaches(self, value: float) -> bool:
        """Whether one value is beyond the threshold."""
        return _OPERATORS[self.comparison][0](value, self.threshold)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The state that follows, why, and the newest value."""

    state: State
    reason: str
    value: float | None


def range_length(periods: int) -> int:
    """CloudWatch looks back somewhat further than the periods it evaluates, for late or missing data."""
    return periods + min(2, periods - 1)


def judge(rule: Rule, newest_first: t.Sequence[float | None], current: State) -> Verdict:
    """The state of an alarm with these datapoints, the newest first."""
    real = [value for value in newest_first if value is not None][: rule.periods]
    breaching = sum(rule.breaches(value) for value in real)
    gaps = rule.periods - len(real)
    state = _state(rule, len(real), breaching, gaps, current)
    return Verdict(state, _reason(rule, state, real, breaching), real[0] if real else None)


def _state(rule: Rule, real: int, breaching: int, gaps: int, current: State) -> State:
    if breaching >= rule.to_alarm:
        return "ALARM"
    if gaps == 0 or real - breaching > rule.periods - rule.to_alarm:
        return "OK"
    if rule.missing == "breaching":
        return "ALARM" if breaching + gaps >= rule.to_alarm else "OK"
    if rule.missing == "notBreaching":
        return "OK"
    if rule.missing == "ignore":
        return current
    if real == 0:
        return "INSUFFICIENT_DATA"
    return "ALARM" if breaching == real else "OK"


def _reason(rule: Rule, state: State, real: list[float], breaching: int) -> str:
    if not real:
        treated = {"breaching": "Breaching", "notBreaching": "NonBreaching"}.get(rule.missing)
        if treated is None or state == "INSUFFICIENT_DATA":
            return "Insufficient Data: no datapoints were received"
        return (
            f"Threshold Crossed: no datapoints were received for {rule.periods} periods and {rule.periods} missing "
            f"datapoints were treated as [{treated}]."
        )
    words = _OPERATORS[rule.comparison][1]
    crossed = state == "ALARM"
    count = breaching if crossed else len(real) - breaching
    verb = "were" if count != 1 else "was"
    return (
        f"Threshold Crossed: {count} out of the last {rule.periods} datapoints {real} {verb} "
        f"{'' if crossed else 'not '}{words} the threshold ({rule.threshold})."
    )

# SPDX-License-Identifier: Apache-2.0
"""Faults that a test or a rehearsal asks for: what AWS sometimes does, on demand."""

from __future__ import annotations

import dataclasses
import threading
import typing as t

Kind = t.Literal[
    "throttle",
    "denied",
    "error500",
    "timeout",
    "delay",
    "lost_reply",
    "insufficient_capacity",
    "failed_boot",
    "metric_delay",
]
CALL_KINDS: tuple[Kind, ...] = ("throttle", "denied", "error500", "timeout", "delay", "lost_reply")
KINDS: tuple[Kind, ...] = t.get_args(Kind)


class FaultError(ValueError):
    """A fault that cannot be asked for; the message names the field."""


@dataclasses.dataclass
class Fault:
    """One fault: what happens, to which calls, how often (``times`` -1 = always)."""

    kind: Kind
    service: str = "*"
    operation: str = "*"
    match: str = ""
    """Text that the request's body (or the instance's group) must contain."""
    times: int = -1
    seconds: float = 60.0
    """How long a ``timeout`` hangs, how late a ``delay`` makes the answer and a ``metric_delay`` metrics."""
    message: str = ""
    where: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    """Attributes of the launch (group, instance_type, zone, …) that it concerns."""

    def applies(self, service: str, operation: str, text: str, attributes: t.Mapping[str, t.Any]) -> bool:
        """Whether it concerns that call or launch and is not used up."""
        named = self.service in ("*", service) and self.operation in ("*", operation)
        placed = all(attributes.get(key) == value for key, value in self.where.items())
        return self.times != 0 and named and placed and self.match in text


def parse_fault(document: t.Any) -> Fault:
    """A fault from its JSON form."""
    if not isinstance(document, dict) or document.get("kind") not in KINDS:
        raise FaultError(f"a fault needs a kind out of {', '.join(KINDS)}; got {document!r}")
    unknown = set(document) - {field.name for field in dataclasses.fields(Fault)}
    if unknown:
        raise FaultError(f"unknown field of a fault: {', '.join(sorted(unknown))}")
    return Fault(**document)


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def replace(self, documents: t.Iterable[t.Any]) -> None:
        """Put these in force in place of all others."""
        faults = [parse_fault(document) for document in documents]
        with self._lock:
            self._faults = faults

    def clear(self) -> None:
        """Everything works again."""
        self.replace([])

    def take(
        self,
        kinds: t.Collection[Kind],
        service: str = "*",
        operation: str = "*",
        text: str = "",
        attributes: t.Mapping[str, t.Any] | None = None,
    ) -> Fault | None:
        """Use up one occurrence of the first fault that applies."""
        with self._lock:
            for fault in self._faults:
                if fault.kind in kinds and fault.applies(service, operation, text, attributes or {}):
                    fault.times = max(fault.times - 1, -1)
                    return fault
        return None

    def peek(self, kind: Kind) -> Fault | None:
        """The fault of that kind in force, without using it up."""
        with self._lock:
            return next((fault for fault in self._faults if fault.kind == kind and fault.times != 0), None)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each request, from what was planted and what was found. Values in, values out."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from campaign.soak.requests import POISON, Request


@dataclasses.dataclass(frozen=True)
class Sent:
    """A request as the queue took it: the message ids of itself and of its copies."""

    request: Request
    message_ids: tuple[str, ...]

    @property
    def answer_id(self) -> str:
        """The id under which its result lies."""
        return self.request.request_id or self.message_ids[0]


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was found when all was quiet."""

    results: t.Mapping[str, t.Mapping[str, t.Any]]
    writes: t.Mapping[str, int]
    """How many times each result was written."""
    pictures: t.Collection[str]
    notices: t.Mapping[str, int]
    dead: t.Mapping[str, int]
    """Copies in the dead letter queue, by request id."""
    left: int
    drawn: t.Mapping[int, int]
    """How many times each request was drawn to its end, by its number."""


@dataclasses.dataclass
class Count:
    """The figures, and what is not as it must be."""

    figures: dict[str, str] = dataclasses.field(default_factory=dict)
    wrong: list[str] = dataclasses.field(default_factory=list)


def count(sent: t.Sequence[Sent], seen: Seen, drawn_twice: float) -> Count:
    """All of it; so large a share may be drawn twice."""
    made = Count()
    rivals = collections.defaultdict(list)
    for one in sent:
        if one.request.kind == "rival":
            rivals[one.answer_id].append(one)
    endings = {one.request.number: wrong_end(one, seen) for one in sent if one.request.kind != "rival"}
    for pair in rivals.values():
        endings.update(_rival_ends(pair, seen))
    made.wrong += [text for text in endings.values() if text]
    _tell_ends(made, sent, endings)
    _tell_once(made, sent, seen)
    _tell_dead(made, sent, seen)
    _tell_drawn(made, sent, seen, drawn_twice)
    return made


def wrong_end(one: Sent, seen: Seen) -> str:
    """What is wrong with how a request ended; nothing where it is as it must be."""
    result = seen.results.get(one.answer_id)
    if result is None:
        return f"{one.answer_id} ({one.request.kind}): lost, it has no result"
    problem = _problem(one.request, result, seen)
    return f"{one.answer_id} ({one.request.kind}): {problem}" if problem else ""


def _problem(request: Request, result: t.Mapping[str, t.Any], seen: Seen) -> str:
    status, error = result["status"], result.get("error") or {}
    shown = f"{status}/{error.get('type')}: {error.get('message')}"
    if result["body_sha256"] != request.sha256:
        return f"the result is of another body: {shown}"
    if request.end == "invalid":
        named = (status, error.get("type")) == ("failed", "invalid_request")
        return (
            "" if named and error["message"].startswith(request.field) else f"not refused for {request.field}: {shown}"
        )
    if request.end == "poison":
        expected = {POISON[request.kind], "worker_lost"}
        return "" if status == "failed" and error.get("type") in expected else f"not failed as {expected}: {shown}"
    if status != request.end:
        return f"not {request.end}: {shown}"
    keys = {image["key"] for image in result["images"]}
    if request.end == "succeeded" and (len(keys) != request.pictures or not keys <= set(seen.pictures)):
        return f"{len(keys)} pictures of {request.pictures}, {len(keys - set(seen.pictures))} of them missing"
    return ""


def _rival_ends(pair: t.Sequence[Sent], seen: Seen) -> dict[int, str]:
    """Of two bodies under one id one is drawn, the other is told of the conflict under its message id."""
    name = pair[0].answer_id
    winner = next(
        (one for one in pair if (seen.results.get(name) or {}).get("body_sha256") == one.request.sha256), None
    )
    if winner is None:
        return {one.request.number: f"{name} (rival): lost, no result is of it" for one in pair}
    ends = {winner.request.number: wrong_end(winner, seen)}
    for one in pair:
        if one is not winner:
            own = seen.results.get(one.message_ids[0]) or {}
            told = (own.get("error") or {}).get("type") == "id_conflict"
            ends[one.request.number] = (
                "" if told else f"{name} (rival): {one.message_ids[0]} was not told of the conflict"
            )
    return ends


def _tell_ends(made: Count, sent: t.Sequence[Sent], endings: t.Mapping[int, str]) -> None:
    for end, name in (
        ("succeeded", "valid requests with exactly one `succeeded` result"),
        ("invalid", "invalid requests with a `failed` result that names the field"),
        ("expired", "requests past their time with an `expired` result"),
        ("poison", "poison with a `failed` result"),
    ):
        mine = [one.request.number for one in sent if one.request.end == end]
        made.figures[name] = f"{sum(not endings[number] for number in mine)} of {len(mine)}"
    conflicts = sum(one.request.kind == "rival" for one in sent) // 2
    made.figures["ids used for two bodies (one drawn, the other told)"] = str(conflicts)
    lost = sum(": lost, " in text for text in endings.values())
    made.figures["lost"] = str(lost)


def _tell_once(made: Count, sent: t.Sequence[Sent], seen: Seen) -> None:
    known = {one.answer_id for one in sent}
    known |= {message for one in sent if one.request.kind == "rival" for message in one.message_ids}
    strangers = sorted(set(seen.results) - known)
    again = sorted(name for name, times in seen.writes.items() if times != 1)
    silent = sorted(set(seen.results) - set(seen.notices))
    made.figures["stuck in the queue"] = str(seen.left)
    made.figures["result documents written more than once"] = f"{len(again)} of {len(seen.writes)}"
    repeated = sum(times > 1 for times in seen.notices.values())
    made.figures["results with at least one notice"] = f"{len(seen.results) - len(silent)} of {len(seen.results)}"
    made.figures["notices more than once"] = str(repeated)
    made.wrong += [f"{name}: a result that nobody asked for" for name in strangers]
    made.wrong += [f"{name}: written {seen.writes[name]} times" for name in again]
    made.wrong += [f"{name}: no notice" for name in silent]
    made.wrong += [f"{seen.left} messages stuck in the queue"] if seen.left else []


def _tell_dead(made: Count, sent: t.Sequence[Sent], seen: Seen) -> None:
    poison = {one.answer_id for one in sent if one.request.end == "poison"}
    copies = sum(times > 1 for times in seen.dead.values())
    made.figures["dead letters / poison planted"] = f"{len(seen.dead)} / {len(poison)} ({copies} more than once)"
    made.wrong += [f"{name}: poison without a dead letter" for name in sorted(poison - set(seen.dead))]
    made.wrong += [f"{name}: a dead letter that is no poison" for name in sorted(set(seen.dead) - poison)]


def _tell_drawn(made: Count, sent: t.Sequence[Sent], seen: Seen, allowed: float) -> None:
    drawings = [one for one in sent if one.request.end == "succeeded"]
    twice = [one for one in drawings if seen.drawn.get(one.request.number, 0) > 1]
    share = len(twice) / max(1, len(drawings))
    twins = sum(bool(one.request.copies) for one in twice)
    made.figures["drawn twice"] = f"{len(twice)} of {len(drawings)} ({share:.2%}); {twins} of them sent twice"
    made.wrong += [f"{share:.2%} drawn twice"] if share > allowed else []

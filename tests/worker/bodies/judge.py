# SPDX-License-Identifier: Apache-2.0
"""From a body to a decision as the worker comes to it, and whether that decision is in order."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
import sys
import threading
import time
import typing as t

import numpy as np
from PIL import Image

from api_scheduler import answers, pictures
from api_scheduler.documents import envelope as envelopes
from api_scheduler.documents.drawing import Drawing
from api_scheduler.documents.envelope import InvalidRequest
from api_scheduler.documents.parse import parse
from api_scheduler.documents.result import Failure, Result, Worker, notice
from api_scheduler.documents.terms import Terms
from api_scheduler.settings import Limits
from tests.worker.bodies import fields
from tests.worker.bodies import pictures as files
from tests.worker.bodies.requests import Body

MESSAGE_ID = "5fea7756-0ea4-451a-a703-a558b933e274"
LIMITS = Limits()


def _input(key: str, most: int) -> bytes | None:
    data = files.inputs().get(key)
    return data[:most] if data is not None else None


TERMS = Terms(LIMITS, 64, fields.MODELS, frozenset(fields.LORAS), files.BUCKET, _input)
LONGEST_REFUSAL = 1000
SECONDS = 3.0
"""Of processor time for one body: the largest that SQS carries is a megabyte."""
_NAMED = re.compile(r"(body|schema|id|api|payload(\.[^:]*)?|context|ttl_seconds|webhook): ", re.DOTALL)
_RELATED = (
    {"payload.sampler_name", "payload.sampler_index", "payload.scheduler", "payload.eta"},
    {"payload.prompt", "payload.loras", "payload.disable_extra_networks"},
    {"payload.mask", "payload.mask_round", "payload.inpainting_mask_invert", "payload.inpainting_fill"},
)
"""Fields of which one may be right or wrong because of another."""
# What touches files, the network or other programs. PIL's plugins are loaded before the watch begins.
Image.init()
_OUTSIDE = ("open", "socket.", "subprocess.", "os.", "urllib.", "shutil.", "tempfile.", "ctypes.", "ftplib.", "http.")


@dataclasses.dataclass
class Verdict:
    """What came of a body, and what is wrong with that."""

    outcome: Drawing | InvalidRequest | None
    seconds: float
    problems: list[str]


def decide(body: bytes, terms: Terms) -> Drawing:
    """The whole way from a body to what is drawn, as a worker goes it. Raises InvalidRequest."""
    return parse(envelopes.decode(body, MESSAGE_ID, terms.limits.body_bytes), terms)


def judge(body: Body, terms: Terms = TERMS) -> Verdict:
    """Decide, and look at the decision from every side."""
    began = time.thread_time()
    outcome: Drawing | InvalidRequest | None = None
    with watched() as touched:
        try:
            outcome = decide(body.data, terms)
        except InvalidRequest as refused:
            outcome = refused
        except Exception as error:  # noqa: BLE001  # a crash of the parser is what is looked for: any other exception is a finding, and the next body is tried
            return Verdict(None, time.thread_time() - began, [f"crash: {type(error).__name__}: {str(error)[:200]}"])
    seconds = time.thread_time() - began
    problems = [f"touched {event}" for event in touched]
    if seconds > SECONDS:
        problems.append(f"took {seconds:.1f} s")
    problems += (
        refusal_problems(body, outcome) if isinstance(outcome, InvalidRequest) else drawing_problems(body, outcome)
    )
    return Verdict(outcome, seconds, problems)


def drawing_problems(body: Body, drawing: Drawing) -> list[str]:
    """What is wrong with drawing this."""
    found = ["drawn, and must be refused"] if body.ends == "refused" else []
    count = len(drawing.seeds)
    within = (
        1 <= drawing.steps <= LIMITS.steps
        and 1 <= count <= LIMITS.images
        and count == drawing.batch_size * drawing.n_iter
        and min(drawing.width, drawing.height) >= 8
        and drawing.width * drawing.height <= LIMITS.pixels
        and min(drawing.seeds) >= 0
        and np.isfinite(drawing.cfg_scale)
    )
    if not within:
        found.append("beyond the limits")
    worker = Worker("i-1", "1", "r", "noop")
    document = Result("x", "succeeded", "0", worker, parameters=drawing.parameters()).document()
    text = pictures.infotext(drawing, drawing.seeds[0])
    tiny = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    return found + _raised(lambda: _writable(document)) + _raised(lambda: pictures.encode(tiny, text))


def refusal_problems(body: Body, refused: InvalidRequest) -> list[str]:
    """What is wrong with refusing this in these words."""
    text, found = str(refused), []
    if body.ends == "drawn":
        found.append(f"refused, and must be drawn: {text}")
    if len(text) > LONGEST_REFUSAL:
        found.append(f"a refusal of {len(text)} characters")
    if not _NAMED.match(text) and ": unknown field" not in text:
        found.append(f"names nothing: {text[:100]!r}")
    if body.names and not _may_name(text, body.names):
        found.append(f"{body.names[:40]!r} is wrong, and it says: {text[:100]!r}")
    if refused.request_id is not None and not envelopes.is_request_id(refused.request_id):
        found.append(f"answered under {refused.request_id[:50]!r}")
    request_id = refused.request_id or MESSAGE_ID
    failure = Failure("invalid_request", text)
    result = Result(
        request_id, "failed", "0", Worker("i-1", "1", "r", "noop"), failure=failure, context=refused.context
    )
    return found + _raised(lambda: _writable(result.document()))


def _may_name(text: str, field: str) -> bool:
    names = next((related for related in _RELATED if field in related), {field})
    clipped = {name[:80] for name in names} | {f"payload.{name.removeprefix('payload.')[:77]}..." for name in names}
    product = text.split(":")[0]
    inside = " × " in product and field.removeprefix("payload.") in product
    return (
        text.startswith("body: ")
        or inside
        or any(text.startswith((f"{name}: ", f"{name}[", f"{name}.")) for name in clipped | names)
    )


def _writable(document: dict[str, t.Any]) -> None:
    """Everything that is written of a result: the object, the notice, the attributes of a copy."""
    json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False).encode("utf-8")
    json.dumps(notice(document, "bucket", "key")).encode("utf-8")
    message = (document["error"] or {}).get("message", "")
    if not answers._printable(message)[:200].isprintable():
        raise ValueError("no text for an attribute")


def _raised(check: t.Callable[[], object]) -> list[str]:
    try:
        check()
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return [f"cannot be written: {type(error).__name__}: {str(error)[:100]}"]
    return []


_watching: dict[int, list[str]] = {}


@functools.cache
def _listen() -> None:
    # For good: an audit hook cannot be taken away again.
    sys.addaudithook(_heard)


def _heard(event: str, arguments: tuple[t.Any, ...]) -> None:
    touched = _watching.get(threading.get_ident())
    if touched is not None and event.startswith(_OUTSIDE):
        touched.append(f"{event} {arguments[0] if arguments else ''!r}"[:200])


@contextlib.contextmanager
def watched() -> t.Iterator[list[str]]:
    """What this thread touches outside the process, by the interpreter's own audit events."""
    _listen()
    touched = _watching[threading.get_ident()] = []
    try:
        yield touched
    finally:
        del _watching[threading.get_ident()]

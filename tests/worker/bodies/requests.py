# SPDX-License-Identifier: Apache-2.0
"""Bodies by kind: valid ones, ones with one thing wrong, and ones that are no requests at all."""

from __future__ import annotations

import dataclasses
import typing as t

from hypothesis import strategies as st

from api_scheduler.documents.envelope import IMG2IMG
from api_scheduler.documents.payload import PAYLOADS
from tests.worker.bodies import fields, pictures
from tests.worker.bodies.text import Pairs, Raw, dump, nested


@dataclasses.dataclass(frozen=True)
class Body:
    """What is sent, and what is known of how it ends."""

    kind: str
    data: bytes
    ends: t.Literal["drawn", "refused", "either"] = "either"
    names: str = ""
    """The field that a refusal has to name; a refusal of the whole body is as good."""


def any_body(canary: str = "http://127.0.0.1:1") -> st.SearchStrategy[Body]:
    """All kinds. ``canary`` is the address of something that must never be fetched."""
    pictured = wrong_picture(canary)
    return st.one_of(valid(), wrong_field(), wrong_envelope(canary), wrong_id(), pictured, no_request(), broken_text())


def _bytes(document: t.Any) -> bytes:
    return dump(document).encode("utf-8", "surrogatepass")


# -- what is drawn --------------------------------------------------------------------------------------------------

_CONTEXTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", fullmatch=True)


def envelopes() -> st.SearchStrategy[dict[str, t.Any]]:
    """What may stand around a payload."""
    optional = {
        "schema": st.sampled_from([1, 2]),
        "id": st.none() | _IDS,
        "context": _CONTEXTS,
        "ttl_seconds": st.integers(600, 9999),
    }
    return st.fixed_dictionaries({}, optional=optional)


def requests() -> st.SearchStrategy[dict[str, t.Any]]:
    """Requests that are drawn, of every API."""
    return st.one_of([requests_of(api) for api in PAYLOADS])


def requests_of(api: str) -> st.SearchStrategy[dict[str, t.Any]]:
    """Requests of one API that are drawn."""
    return st.builds(lambda some, payload: {**some, "api": api, "payload": payload}, envelopes(), fields.payloads(api))


def valid() -> st.SearchStrategy[Body]:
    """Requests that are drawn."""
    return requests().map(lambda document: Body("valid", _bytes(document), "drawn"))


# -- one thing wrong ------------------------------------------------------------------------------------------------

_NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e999",
    "9" * 4300,
    "9" * 4301,
    "9" * 20000,
    "-0",
    "-0.0",
    "1e308",
    "5e-324",
    "1e-999",
    "0." + "1" * 5000,
    "18446744073709551616",
    "-9223372036854775809",
    "2147483648",
    "1E400",
    "7" * 400,
    "0x10",
    "1_000",
    "01",
    "+1",
    "1.",
    ".5",
    "٣",
]
_TEXTS = [
    "",
    " ",
    "\0",
    "\ud800",
    "\udfff\ud800",
    "true",
    "1",
    "null",
    "NaN",
    "\u202e",
    "a\u0301",
    "é" * 5000,
    "x" * 100_000,
    "<lora:../../etc/passwd:1>",
    "<lora:a:nan>",
    "<lora:a:1e999>",
    "<lora:" * 2000,
    "%s%n{0}{x}",
    "'; DROP TABLE x; --",
    "${jndi:ldap://x}",
    "\r\nX-Header: 1",
    "\x1b[31m",
    "\ufeff",
    "Ｅｕｌｅｒ",
    "Еuler",
    "Euler\0",
    "euler  A",
    "DPM++ 9M",
]


def junk() -> st.SearchStrategy[t.Any]:
    """A value of any type, size or depth."""
    return st.one_of(
        st.sampled_from([Raw(number) for number in _NUMBERS]),
        st.sampled_from(_TEXTS),
        st.none() | st.booleans() | st.integers() | st.floats(),
        st.text(max_size=30),
        st.builds(nested, st.sampled_from([1, 2, 31, 32, 33, 200, 900, 990, 1000, 5000]), kind=st.sampled_from("[{")),
        st.lists(st.integers() | st.text(max_size=5) | st.none(), max_size=5),
        st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4),
    )


def wrong_field() -> st.SearchStrategy[Body]:
    """A request with junk in one or two of the payload's fields."""
    names = (
        st.sampled_from(fields.known())
        | st.text(max_size=20)
        | st.sampled_from(["__class__", "a" * 5000, "payload", "é\0"])
    )

    def one(document: dict[str, t.Any], name: str, value: t.Any) -> Body:
        changed = {**document, "payload": {**document["payload"], name: value}}
        return Body("one field", _bytes(changed), names=f"payload.{name}")

    def two(document: dict[str, t.Any], some: dict[str, t.Any]) -> Body:
        return Body("two fields", _bytes({**document, "payload": {**document["payload"], **some}}))

    some = st.dictionaries(names, junk(), min_size=2, max_size=2)
    used = st.sampled_from(sorted({name for api in PAYLOADS for name in fields.used(api)}))
    same = st.builds(dict.fromkeys, st.lists(used, min_size=2, max_size=5), junk())
    return st.one_of(
        st.builds(one, requests(), names, junk()),
        st.builds(one, requests(), used, junk()),
        st.builds(two, requests(), some | same),
    )


def wrong_envelope(canary: str) -> st.SearchStrategy[Body]:
    """A request with junk around its payload."""
    names = st.sampled_from(
        ["schema", "api", "payload", "context", "ttl_seconds", "webhook", "extra", "ID", "", "a" * 3000, "x\ny"]
    )
    apis = [
        "/sdapi/v1/img2img/",
        "/SDAPI/v1/txt2img",
        "sdapi/v1/txt2img",
        "/sdapi/v1/txt2img\0",
        "/sdapi/v2/txt2img",
        "/sdapi/v1/extra-single-image",
        "http://host/sdapi/v1/txt2img",
        "/sdapi/v1/../v1/txt2img",
    ]
    junk_there = st.builds(_named, requests(), names, junk())
    calls = [
        canary,
        canary.replace("http:", "https:"),
        "https://169.254.169.254/",
        "https://u:p@h/",
        "file:///etc/passwd",
    ]
    one_of = {"api": apis, "webhook": calls}
    odd = st.sampled_from([(name, value) for name, values in one_of.items() for value in values])
    return junk_there | st.builds(lambda document, pair: _named(document, *pair), requests(), odd)


def _named(document: dict[str, t.Any], name: str, value: t.Any) -> Body:
    return Body("envelope", _bytes({**document, name: value}), names=name)


def wrong_id() -> st.SearchStrategy[Body]:
    """A request whose id would lead somewhere else."""
    tricks = [
        "../up",
        "..",
        ".",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "a\0",
        "a\n",
        "\na",
        "a" * 129,
        "a" * 100_000,
        "",
        " ",
        "-a",
        "_a",
        ".a",
        "a%2f..%2fb",
        "%2e%2e",
        "a b",
        "ａ",
        "а",
        "é",
        "a\u200b",
        "a\u202eb",
        "\ud800",
        "a/../../b",
        "results/x",
        "~",
        "a*",
        "a?b",
        "a#b",
        "state/failed/x",
        "CON",
        "a:b",
        "a\r",
        "x\u0000y",
        "①",
        "𝟏",
        "a\u2025b",
    ]
    ids = st.sampled_from(tricks) | junk().filter(lambda value: value is not None)
    return st.builds(lambda document, value: Body("id", _bytes({**document, "id": value}), names="id"), requests(), ids)


# -- pictures -------------------------------------------------------------------------------------------------------


def wrong_picture(canary: str) -> st.SearchStrategy[Body]:
    """Pictures that are none, too large, or somewhere else, for img2img and inpaint."""
    places = st.one_of(pictures.bad(), pictures.addresses(canary))
    shapes = st.sampled_from(["list", "text", "two", "mask"])
    return st.builds(_with_picture, requests_of(IMG2IMG), places, pictures.good(), shapes)


def _with_picture(document: dict[str, t.Any], bad: str, good: str, shape: str) -> Body:
    pictured: dict[str, dict[str, t.Any]] = {
        "list": {"init_images": [bad]},
        "text": {"init_images": bad},
        "two": {"init_images": [good, bad]},
        "mask": {"init_images": [good], "mask": bad},
    }
    return Body("picture", _bytes({**document, "payload": {**document["payload"], **pictured[shape]}}))


# -- no requests ----------------------------------------------------------------------------------------------------


def no_request() -> st.SearchStrategy[Body]:
    """Bytes that are no JSON object."""
    short = [
        b"",
        b" ",
        b"\n",
        b"null",
        b"true",
        b"0",
        b'""',
        b"[]",
        b"{}",
        b"[{}]",
        b"NaN",
        b"-",
        b"{",
        b'{"',
        b'"\\ud800"',
        b"\0",
        b"\xff\xfe{\0}\0",
        b"\xef\xbb\xbf{}",
        b"<xml/>",
        b"a=b",
        b"\x1f\x8b",
        b"\x80\x04",
        b"{'api': 1}",
        b'{"a":1}{"b":2}',
        b'{"a":1,}',
        b"// x\n{}",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
    ]
    deep = st.builds(lambda depth, kind: nested(depth, "", kind).text.encode(), st.integers(30, 100_000), st.just("["))
    objects = st.builds(lambda depth: nested(depth, "1", "{").text.encode(), st.integers(30, 100_000))
    large = st.integers(1000, 1_200_000).map(lambda size: b'{"a": "' + b"x" * size + b'"}')
    digits = st.integers(4000, 1_000_000).map(lambda size: b'{"api": ' + b"1" * size + b"}")
    members = st.integers(1, 20_000).map(
        lambda count: ("{" + ",".join(f'"k{n}":{n}' for n in range(count)) + "}").encode()
    )
    keys = st.integers(1, 900_000).map(lambda size: b'{"' + b"k" * size + b'": 1}')
    values = junk().map(_bytes)
    every = st.one_of(
        st.sampled_from(short),
        st.binary(max_size=60),
        st.text().map(lambda text: text.encode("utf-8", "surrogatepass")),
        values,
        deep,
        objects,
        large,
        digits,
        members,
        keys,
    )
    return every.map(lambda data: Body("no request", data))


def broken_text() -> st.SearchStrategy[Body]:
    """A request whose text was damaged, or written in a way that JSON leaves open."""
    return st.one_of(
        st.builds(_cut, requests(), st.floats(0, 1)),
        st.builds(_patched, requests(), st.floats(0, 1), st.binary(min_size=1, max_size=3)),
        st.builds(_encoded, requests(), st.sampled_from(["utf-8-sig", "utf-16", "utf-32", "utf-7", "cp500"])),
        st.builds(_twice, requests(), st.sampled_from(["id", "api", "payload", "context", "zz"]), junk()),
        st.builds(_spaced, requests(), st.integers(0, 1_100_000)),
    )


def _cut(document: t.Any, at: float) -> Body:
    data = _bytes(document)
    return Body("damaged", data[: int(at * len(data))])


def _patched(document: t.Any, at: float, patch: bytes) -> Body:
    data = _bytes(document)
    place = int(at * len(data))
    return Body("damaged", data[:place] + patch + data[place + len(patch) :])


def _encoded(document: t.Any, encoding: str) -> Body:
    return Body("damaged", dump(document).encode(encoding, "replace"), "refused" if encoding != "utf-7" else "either")


def _twice(document: dict[str, t.Any], name: str, value: t.Any) -> Body:
    return Body("key twice", _bytes(Pairs([(name, value), *document.items(), (name, document.get(name))])))


def _spaced(document: t.Any, size: int) -> Body:
    return Body("spaces", b" " * size + _bytes(document))

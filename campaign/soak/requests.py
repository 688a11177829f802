# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the fleet: requests of every kind, and how each must end. Values from a seed; no AWS."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import random
import typing as t

from PIL import Image, ImageOps

End = t.Literal["succeeded", "invalid", "expired", "poison"]
SHARES: t.Mapping[str, float] = {
    "anonymous": 0.10,
    "several": 0.06,
    "img2img": 0.05,
    "inpaint": 0.03,
    "lasting": 0.05,
    "stale": 0.03,
    "invalid": 0.12,
    "twin": 0.06,
    "rival": 0.03,
    "poison raises": 0.010,
    "poison memory": 0.006,
    "poison output": 0.006,
    "poison lethal": 0.003,
    "poison hangs": 0.001,
}
"""The rest are plain. Of what comes in sets, this is the share of the sets."""
POISON: t.Mapping[str, str] = {
    "poison raises": "transient",
    "poison memory": "out_of_memory",
    "poison output": "invalid_output",
    "poison lethal": "worker_lost",
    "poison hangs": "transient",
}
"""How the failure of each kind of poison is called."""
WRONG: tuple[tuple[str, t.Mapping[str, t.Any]], ...] = (
    ("payload.steps", {"steps": "many"}),
    ("payload.steps", {"steps": 10_000}),
    ("payload.width", {"width": 65}),
    ("payload.height", {"height": 8192}),
    ("payload.batch_size", {"batch_size": 1000}),
    ("payload.sampler_name", {"sampler_name": "Magic"}),
    ("payload.scheduler", {"sampler_name": "DDIM", "scheduler": "Karras"}),
    ("payload.enable_hr", {"enable_hr": True}),
    ("payload.nonsense", {"nonsense": 1}),
    ("payload.seed", {"seed": -7}),
    ("payload.cfg_scale", {"cfg_scale": -1}),
    ("payload.prompt", {"prompt": ["a", "list"]}),
)
"""The field that a refusal must name, and what is wrong with it."""
WRONG_ENVELOPES: tuple[tuple[str, t.Mapping[str, t.Any]], ...] = (
    ("extra", {"extra": 1}),
    ("schema", {"schema": 99}),
    ("api", {"api": "/sdapi/v1/nothing"}),
    ("payload", {"payload": []}),
    ("ttl_seconds", {"ttl_seconds": "soon"}),
    ("id", {"id": "../up"}),
)
GARBAGE = ("not json", '{"id": "x"', "[]", '{"api": NaN}', '"\\ud800"', "[" * 5000)


def _base64(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


_PICTURE = _base64(Image.linear_gradient("L").resize((32, 32)).convert("RGB"))
_HALF = _base64(ImageOps.expand(Image.new("L", (16, 32), 255), border=(0, 0, 16, 0)))
_STARTS: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "img2img": {"init_images": [_PICTURE], "denoising_strength": 0.6},
    "inpaint": {"init_images": [_PICTURE], "denoising_strength": 0.9, "mask": _HALF, "inpainting_fill": 1},
}


@dataclasses.dataclass(frozen=True)
class Request:
    """One request. ``request_id`` None: it is answered under the message id."""

    number: int
    kind: str
    body: str
    request_id: str | None
    end: End
    field: str = ""
    pictures: int = 0
    at: float = 0.0
    """When it is sent, as a share of the whole time."""
    copies: tuple[float, ...] = ()
    """Seconds after which the very same body is sent again."""

    @property
    def sha256(self) -> str:
        """Of the body, as its result keeps it."""
        return hashlib.sha256(self.body.encode()).hexdigest()


def plan(count: int, seed: int) -> list[Request]:
    """So many requests, in the order of sending."""
    chance = random.Random(seed)
    kinds = [kind for kind, share in SHARES.items() for _unused in range(_sets(kind, share, count))]
    kinds += ["rival"] * kinds.count("rival")  # two of each
    kinds += ["plain"] * max(0, count - len(kinds))
    rivals = iter(range(count))
    made: list[Request] = []
    pairs: list[str] = []
    for number, kind in enumerate(kinds[:count]):
        if kind == "rival" and not pairs:
            pairs = [f"rival-{next(rivals):04d}"] * 2
        own = pairs.pop() if kind == "rival" else f"{kind.replace(' ', '-')}-{number:05d}"
        made.append(_request(number, kind, own, chance))
    return sorted(made, key=lambda request: request.at)


def _sets(kind: str, share: float, count: int) -> int:
    least = 0 if kind == "poison hangs" else 1
    return max(least, round(share * count))


def _request(number: int, kind: str, own: str, chance: random.Random) -> Request:
    if kind == "invalid":
        return _invalid(number, own, chance)
    payload = _payload(number, kind, chance)
    api = "/sdapi/v1/img2img" if kind in _STARTS else "/sdapi/v1/txt2img"
    document: dict[str, t.Any] = {"api": api, "payload": payload, "context": {"number": number}}
    named = kind != "anonymous"
    if named:
        document["id"] = own
    if kind in ("lasting", "stale"):
        document["ttl_seconds"] = 3600 if kind == "lasting" else 0.001
    return Request(
        number,
        kind,
        json.dumps(document),
        own if named else None,
        "poison" if kind in POISON else "expired" if kind == "stale" else "succeeded",
        pictures=payload.get("batch_size", 1) * payload.get("n_iter", 1),
        at=chance.random(),
        copies=_copies(chance) if kind == "twin" else (),
    )


def _payload(number: int, kind: str, chance: random.Random) -> dict[str, t.Any]:
    word = kind if kind in POISON else f"a red {chance.choice(('one', 'two', 'three', 'four', 'nine'))}"
    more = dict(_STARTS.get(kind, {}))
    if kind == "several":
        more = chance.choice(({"batch_size": 2}, {"n_iter": 2}, {"batch_size": 2, "n_iter": 2}))
    return {
        "prompt": f"{word} #{number}",
        "steps": chance.choice((4, 6, 8)),
        "width": 32,
        "height": 32,
        "cfg_scale": chance.choice((1.0, 4.0, 7.5)),
        "sampler_name": chance.choice(("DPM++ 2M", "Euler", "Euler a", "UniPC")),
        "seed": chance.choice((-1, number)),
        **more,
    }


def _copies(chance: random.Random) -> tuple[float, ...]:
    """Most clients that send again waited first; some press the button twice."""
    first = 0.0 if chance.random() < 0.1 else 4.0 + 9 * chance.random()
    return (first,) if chance.random() < 0.7 else (first, first + 5 * chance.random())


def _invalid(number: int, own: str, chance: random.Random) -> Request:
    document: dict[str, t.Any] = {"id": own, "api": "/sdapi/v1/txt2img", "payload": _payload(number, "", chance)}
    draw, at = chance.random(), chance.random()
    if draw < 0.2:
        body = chance.choice(GARBAGE)
        return Request(number, "garbage", body, None, "invalid", field="body", at=at)
    if draw < 0.5:
        field, change = chance.choice(WRONG_ENVELOPES)
        document |= change
    else:
        field, change = chance.choice(WRONG)
        document["payload"] |= change
    request_id = own if document["id"] == own else None
    return Request(number, "invalid", json.dumps(document), request_id, "invalid", field=field, at=at)

# SPDX-License-Identifier: Apache-2.0
"""Which files of a place are the model, and what their digests must be: values and decisions, no input or output."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

from api_scheduler.models.errors import ModelUnusable
from api_scheduler.models.places import MANIFEST, PICKLES, WEIGHTS, Place

INDEX = "model_index.json"
_TAKEN = (".json", ".txt", ".model", WEIGHTS)
"""What a component is made of. Nothing else is ever read: no program, no pickle."""
_LIBRARIES = frozenset({"diffusers", "transformers", "stable_diffusion"})
_LEFT_OUT = frozenset({"safety_checker"})
_LINE = re.compile(r"(?P<sha256>[0-9a-fA-F]{64}) [ *](?P<name>.+)\Z")


def components(place: Place, index: bytes | None) -> list[str]:
    """The folders that the model's index names. Raises ModelUnusable where there is no index that can be used."""
    where = f"{place.location} is no model in diffusers format: {place.config}{INDEX}"
    if index is None:
        hint = "; beside a single file a folder of its name holds its configuration" if place.single else ""
        raise ModelUnusable(f"{where} is not there (it has no model_index.json){hint}")
    try:
        document = json.loads(index)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ModelUnusable(f"{where} is no JSON object")
    named = {name: value for name, value in document.items() if isinstance(value, list) and value and value[0]}
    for name, value in named.items():
        if value[0] not in _LIBRARIES or "/" in name or name.startswith("."):
            raise ModelUnusable(
                f"{where} wants {name!r} from {value[0]!r}: only {', '.join(sorted(_LIBRARIES))} are read"
            )
    return [name for name in named if name not in _LEFT_OUT]


def wanted(place: Place, names: t.Iterable[str], folders: t.Sequence[str]) -> list[str]:
    """The names, relative to the base, that are the model. Raises ModelUnusable for a pickle, by its name."""
    prefixes = tuple(f"{place.config}{folder}/" for folder in folders)
    inside = sorted(name for name in names if name.startswith(prefixes))
    for name in inside:
        if name.lower().endswith(PICKLES):
            raise ModelUnusable(f"{place.location}: {name} is a pickle, which is never read: remove it, keep {WEIGHTS}")
    files = [place.single] if place.single else []
    files += [f"{place.config}{INDEX}", *_without_variants([name for name in inside if name.lower().endswith(_TAKEN)])]
    if not any(name.endswith(WEIGHTS) for name in files):
        raise ModelUnusable(f"{place.location} holds no weights: no file that ends in {WEIGHTS}")
    return files


def _without_variants(names: list[str]) -> list[str]:
    """Without the fp16 and non_ema copies that lie beside the weights themselves, and are as large."""
    weights = [name for name in names if name.endswith(WEIGHTS)]
    plain = {_folder(name) for name in weights if not _variant(name)}
    return [name for name in names if not (name in weights and _variant(name) and _folder(name) in plain)]


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _variant(name: str) -> bool:
    return "." in name.rpartition("/")[2].removesuffix(WEIGHTS)


def listed(place: Place, manifest: bytes | None) -> dict[str, str] | None:
    """The sha256 of each name in a manifest, as ``sha256sum`` writes it; None without one. Raises ModelUnusable."""
    if place.pin and (manifest is None or hashlib.sha256(manifest).hexdigest() != place.pin):
        raise ModelUnusable(f"{place.location}: the {MANIFEST} there is not that one: another model lies there now")
    if manifest is None:
        return None
    found: dict[str, str] = {}
    for number, line in enumerate(manifest.decode("utf-8", "replace").splitlines(), 1):
        match = _LINE.match(line)
        if match is None and line.strip():
            raise ModelUnusable(f"{place.location}: line {number} of {MANIFEST} is not '<sha256>  <name>'")
        if match is not None:
            found[match["name"].removeprefix("./")] = match["sha256"].lower()
    return found


def check_listed(place: Place, names: t.Iterable[str], digests: t.Mapping[str, str]) -> None:
    """Raise ModelUnusable where a file of the model has no digest."""
    for name in names:
        if name not in digests:
            raise ModelUnusable(
                f"{place.location}: nothing says what the sha256 of {name} must be: put a {MANIFEST} there with it, "
                "as sha256sum writes it, or set SD_MODEL_DIGESTS=optional for models without"
            )


def check_digest(name: str, found: str, digest: str) -> None:
    """Raise ModelUnusable where a file is not what it should be."""
    if found != digest:
        raise ModelUnusable(f"{name}: its sha256 is {found}, not {digest} as listed: put the file there again")

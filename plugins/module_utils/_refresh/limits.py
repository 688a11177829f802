# SPDX-License-Identifier: GPL-3.0-or-later
# Private to diffusion.fleet: it may change in any release.
"""What the installed botocore's model says about a request: which members it knows, and within which limits."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.diffusion.fleet.plugins.module_utils._errors import InvalidInput
from ansible_collections.diffusion.fleet.plugins.module_utils._refresh.options import Document, Option, Tree


class Unknown(t.NamedTuple):
    """A member, or a choice of one, that the model lacks, and the option that asks for it."""

    member: str
    option: str


class Value(t.NamedTuple):
    """A value given: its shape in the model, None where it has none, the member, the option, and itself."""

    shape: t.Any
    member: str
    option: str
    kind: Option
    value: t.Any


def check_model(shape: t.Any, tree: Tree, given: Document, version: str) -> None:
    """Raise InvalidInput that names what botocore's ``shape`` lacks for these options, or what is beyond its limits."""
    unknown = list(unknown_members(shape, tree, given))
    if unknown:
        named = ", ".join(f"{item.member} (option {item.option})" for item in unknown)
        raise InvalidInput(
            f"botocore {version} does not know {named}. Install a newer boto3, or leave the option out.",
            unknown=[item.member for item in unknown],
        )
    for problem in beyond_limits(shape, tree, given):
        raise InvalidInput(problem)


def walk(shape: t.Any, tree: Tree, given: Document, option: str = "", member: str = "") -> t.Iterator[Value]:
    """Each value given, and what is in it."""
    for name, one in tree.items():
        value = given.get(name)
        if value is not None:
            found, there = descend(shape, one.member, member)
            yield from inside(Value(found, there, f"{option}{name}", one, value))


def inside(item: Value) -> t.Iterator[Value]:
    """A value, then what is in it."""
    yield item
    if item.shape is None or not item.kind.inner:
        return
    if item.kind.kind == "list":
        for number, one in enumerate(item.value):
            part = f"[{number}]"
            yield from inside(
                Value(item.shape.member, item.member + part, item.option + part, as_structure(item.kind), one)
            )
    else:
        yield from walk(item.shape, item.kind.inner, item.value, f"{item.option}.", f"{item.member}.")


def as_structure(option: Option) -> Option:
    """What one item of a list of structures is."""
    return dataclasses.replace(option, kind="dict")


def descend(shape: t.Any, path: str, member: str) -> tuple[t.Any, str]:
    """The shape at a path below another, and the path; None and the first part that is not there otherwise."""
    for name in path.split("."):
        member = f"{member}{name}"
        shape = shape.members.get(name)
        if shape is None:
            return None, member
        member += "."
    return shape, member.removesuffix(".")


def unknown_members(shape: t.Any, tree: Tree, given: Document) -> t.Iterator[Unknown]:
    """What the model lacks."""
    for item in walk(shape, tree, given):
        if item.shape is None:
            yield Unknown(item.member, item.option)
        elif not item.kind.inner:
            yield from (Unknown(f"{item.member}={word}", item.option) for word in unknown_words(item.shape, item.value))


def unknown_words(shape: t.Any, value: t.Any) -> list[t.Any]:
    """The words that are no choices of the model."""
    if shape.type_name == "list":
        return [word for item in value for word in unknown_words(shape.member, item)]
    known = shape.enum if shape.type_name == "string" else ()
    return [value] if known and value not in known else []


def beyond_limits(shape: t.Any, tree: Tree, given: Document) -> t.Iterator[str]:
    """One sentence for each value beyond the model's limits."""
    for item in walk(shape, tree, given):
        if item.shape is not None and item.shape.type_name == "structure":
            yield from missing(item)
        elif item.shape is not None:
            yield from problems(item.shape, item.option, item.value)


def missing(item: Value) -> t.Iterator[str]:
    """What a structure must hold and does not."""
    for name, one in item.kind.inner.items():
        if one.member in item.shape.required_members and item.value.get(name) is None:
            yield f"{item.option} is without {name}. Give it: the API asks for it."


def problems(shape: t.Any, option: str, value: t.Any) -> t.Iterator[str]:
    """What is wrong with one value, and with the plain items of a list."""
    expected = expectation(shape, value)
    if expected:
        yield f"{option} is {shown(value)}. Give {expected}."
    if shape.type_name == "list" and shape.member.type_name != "structure":
        for number, item in enumerate(value):
            yield from problems(shape.member, f"{option}[{number}]", item)


def shown(value: t.Any) -> str:
    """The value in a message; a list only by its length."""
    return f"{len(value)} items long" if isinstance(value, list) else repr(value)


def expectation(shape: t.Any, value: t.Any) -> str:
    """What the model asks for where the value is not that, otherwise nothing."""
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    size = len(value) if shape.type_name in ("string", "list") else value
    if (low is not None and size < low) or (high is not None and size > high):
        return f"{UNITS.get(shape.type_name, 'a number')} {limits(low, high)}"
    pattern = compiled(shape.metadata.get("pattern", "")) if shape.type_name == "string" else None
    return f"text of the form {pattern.pattern}" if pattern and not pattern.fullmatch(value) else ""


UNITS = {"string": "text with a length", "list": "a list with a length"}


def limits(low: int | None, high: int | None) -> str:
    """Both limits, or the one that there is."""
    if high is None:
        return f"of {low} or more"
    return f"of {high} or less" if low is None else f"from {low} to {high}"


def compiled(pattern: str) -> re.Pattern[str] | None:
    """The pattern; None where it is not one of Python's, as those that pair surrogates."""
    try:
        return re.compile(pattern) if pattern else None
    except re.error:
        return None

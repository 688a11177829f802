# SPDX-License-Identifier: Apache-2.0
"""Answers in XML are those that xmltodict writes."""

from __future__ import annotations

import typing as t

import xmltodict
from hypothesis import given
from hypothesis import strategies as st

from local_aws.services.xml import Writer, unparse

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,5}", fullmatch=True)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec="utf-8")), st.binary(max_size=9)
)
TEXTS = st.dictionaries(st.just("#text"), LEAVES, max_size=1)
ATTRIBUTES = st.dictionaries(NAMES.map("@{}".format), st.one_of(st.none(), st.booleans(), st.integers(), st.text()))


def inner(values: st.SearchStrategy[t.Any]) -> st.SearchStrategy[t.Any]:
    elements = st.dictionaries(NAMES, st.one_of(values, st.lists(values, max_size=3)), max_size=4)
    return st.builds(
        lambda *parts: {name: held for part in parts for name, held in part.items()}, ATTRIBUTES, elements, TEXTS
    )


DOCUMENTS = st.dictionaries(NAMES, inner(st.recursive(LEAVES, inner, max_leaves=8)), min_size=1, max_size=1)


@given(DOCUMENTS, st.booleans(), st.booleans())
def test_a_document_is_what_xmltodict_writes(document: dict[str, t.Any], full: bool, short: bool) -> None:
    expected = xmltodict.unparse(document, full_document=full, short_empty_elements=short)
    assert Writer.unparse(document, full_document=full, short_empty_elements=short) == expected


def test_lists_repeat_their_element_and_signs_are_escaped() -> None:
    document = {"Answer": {"@xmlns": "a&b", "Item": ["<1>", None], "Empty": [], "On": True}}
    assert (
        unparse(document, short=True) == '<Answer xmlns="a&amp;b"><Item>&lt;1&gt;</Item><Item/><On>true</On></Answer>'
    )

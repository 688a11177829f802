# SPDX-License-Identifier: Apache-2.0
"""CloudWatch Logs filter patterns: ``{ $.field = "value" && … }`` and plain terms."""

from __future__ import annotations

import functools
import json
import re
import typing as t

Test = t.Callable[[str], bool]
JsonTest = t.Callable[[t.Any], bool]
_TOKEN = re.compile(
    r'\s*(?:(?P<op>\|\||&&|!=|<=|>=|[=<>()])|(?P<selector>\$(?:\.[\w-]+|\[\d+\]|\["[^"]+"\])*)'
    r'|(?P<string>"(?:[^"\\]|\\.)*")|(?P<regex>%[^%]+%)|(?P<word>[^\s()=<>!&|]+))'
)
_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_STEP = re.compile(r'\.([\w-]+)|\[(\d+)\]|\["([^"]+)"\]')
_MISSING = object()


class PatternError(ValueError):
    """The filter pattern is not one that CloudWatch Logs has; the message shows where."""


@functools.lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Test:
    """The test of a log line that the pattern describes."""
    text = pattern.strip()
    if not text:
        return lambda line: True
    if text.startswith("["):
        raise PatternError(f"space-delimited patterns are not implemented: {pattern!r}")
    if not text.startswith("{"):
        return _terms(text)
    if not text.endswith("}"):
        raise PatternError(f"missing closing brace: {pattern!r}")
    test = _Parser(text[1:-1]).parse()
    return lambda line: _test_json(test, line)


def _test_json(test: JsonTest, line: str) -> bool:
    try:
        document = json.loads(line)
    except ValueError:
        return False
    return isinstance(document, (dict, list)) and test(document)


def _terms(text: str) -> Test:
    found = [(sign, quoted or word) for sign, quoted, word in _TERM.findall(text)]
    every = [term for sign, term in found if sign == ""]
    some = [term for sign, term in found if sign == "?"]
    none = [term for sign, term in found if sign == "-"]

    def test(line: str) -> bool:
        optional = not some or bool(every) or any(term in line for term in some)
        return all(term in line for term in every) and optional and not any(term in line for term in none)

    return test


class _Parser:
    """Recursive descent over ``||``, ``&&``, brackets and comparisons."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._tokens(text))
        self.at = 0

    def _tokens(self, text: str) -> t.Iterator[tuple[str, str]]:
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise PatternError(f"cannot read {text[position:]!r}")
            position = match.end()
            yield str(match.lastgroup), match[str(match.lastgroup)]

    def parse(self) -> JsonTest:
        """The whole pattern."""
        test = self._either()
        if self.at < len(self.tokens):
            raise PatternError(f"unexpected {self.tokens[self.at][1]!r} in {self.text!r}")
        return test

    def _take(self, *wanted: str) -> str | None:
        if self.at < len(self.tokens) and (not wanted or self.tokens[self.at][1].upper() in wanted):
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def _either(self) -> JsonTest:
        tests = [self._both()]
        while self._take("||"):
            tests.append(self._both())
        return lambda document: any(test(document) for test in tests)

    def _both(self) -> JsonTest:
        tests = [self._one()]
        while self._take("&&"):
            tests.append(self._one())
        return lambda document: all(test(document) for test in tests)

    def _one(self) -> JsonTest:
        if self._take("("):
            test = self._either()
            if not self._take(")"):
                raise PatternError(f"missing ) in {self.text!r}")
            return test
        if self.at >= len(self.tokens) or self.tokens[self.at][0] != "selector":
            raise PatternError(f"expected a $.selector in {self.text!r}")
        path = _path(self._take() or "$")
        operator = (self._take() or "").upper()
        if operator in ("IS", "NOT"):
            return _state(operator, (self._take() or "").upper(), path)
        if operator not in _COMPARE or self.at >= len(self.tokens):
            raise PatternError(f"expected a comparison in {self.text!r}")
        kind, value = self.tokens[self.at]
        self.at += 1
        return _comparison(path, operator, kind, value)


def _path(selector: str) -> list[str | int]:
    return [int(index) if index else name or quoted for name, index, quoted in _STEP.findall(selector)]


def _value(document: t.Any, path: list[str | int]) -> t.Any:
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return document


def _state(operator: str, word: str, path: list[str | int]) -> JsonTest:
    if operator == "NOT" and word == "EXISTS":
        return lambda document: _value(document, path) is _MISSING
    states: dict[str, t.Any] = {"TRUE": True, "FALSE": False, "NULL": None}
    if operator == "IS" and word in states:
        return lambda document: _value(document, path) is states[word]
    raise PatternError(f"{operator} {word} is not a test: use IS TRUE, IS FALSE, IS NULL or NOT EXISTS")


_COMPARE: dict[str, t.Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


def _comparison(path: list[str | int], operator: str, kind: str, value: str) -> JsonTest:
    number = _number(value) if kind == "word" else None
    if number is not None:
        return lambda document: _compare_number(_value(document, path), operator, number)
    if operator not in ("=", "!="):
        raise PatternError(f"{operator} compares numbers, not {value}")
    matcher = _matcher(kind, value)

    def test(document: t.Any) -> bool:
        found = _value(document, path)
        if found is _MISSING or isinstance(found, (dict, list)):
            return False
        text = json.dumps(found) if isinstance(found, bool) or found is None else str(found)
        return bool(matcher.fullmatch(text)) is (operator == "=")

    return test


def _compare_number(found: t.Any, operator: str, number: float) -> bool:
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return False
    return _COMPARE[operator](found, number)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _matcher(kind: str, value: str) -> re.Pattern[str]:
    if kind == "regex":
        return re.compile(f".*(?:{value[1:-1]}).*", re.DOTALL)
    text = json.loads(value) if kind == "string" else value
    return re.compile(".*".join(re.escape(part) for part in str(text).split("*")), re.DOTALL)

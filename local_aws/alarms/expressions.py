# SPDX-License-Identifier: Apache-2.0
"""Metric math on one datapoint of each metric; None is a missing datapoint."""

from __future__ import annotations

import ast
import operator
import re
import typing as t

Value = float | None
Values = t.Mapping[str, Value]
_ARITHMETIC: dict[type[ast.AST], t.Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISON: dict[type[ast.AST], t.Callable[[float, float], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_AGGREGATES: dict[str, t.Callable[[list[float]], float]] = {
    "MAX": max,
    "MIN": min,
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
}
_WORDS = ((r"\bAND\b|&&", " and "), (r"\bOR\b|\|\|", " or "), (r"\^", "**"), (r"(?<![<>=!])=(?!=)", "=="))


class ExpressionError(ValueError):
    """An expression that is not implemented; the message shows the part."""


def evaluate(expression: str, values: Values) -> Value:
    """The value of the expression where the metrics have these values."""
    text = expression
    for pattern, replacement in _WORDS:
        text = re.sub(pattern, replacement, text)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise ExpressionError(f"cannot read the metric math {expression!r}") from None
    return _value(tree, values)


def _value(node: ast.AST, values: Values) -> Value:
    match node:
        case ast.Constant(value=bool() | int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            found = _value(operand, values)
            return None if found is None else -found
        case ast.BinOp(left=left, op=symbol, right=right) if type(symbol) in _ARITHMETIC:
            return _arithmetic(_ARITHMETIC[type(symbol)], _value(left, values), _value(right, values))
        case ast.Compare(left=left, ops=[symbol], comparators=[right]) if type(symbol) in _COMPARISON:
            return _arithmetic(_COMPARISON[type(symbol)], _value(left, values), _value(right, values))
        case ast.BoolOp(op=symbol, values=operands):
            return _logic(isinstance(symbol, ast.And), [_value(operand, values) for operand in operands])
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call(name.upper(), arguments, values)
    raise ExpressionError(f"metric math of this form is not implemented: {ast.unparse(node)}")


def _arithmetic(apply: t.Callable[[float, float], float], left: Value, right: Value) -> Value:
    if left is None or right is None:
        return None
    try:
        return float(apply(left, right))
    except (ZeroDivisionError, OverflowError):
        return None  # CloudWatch shows no datapoint there


def _logic(every: bool, operands: list[Value]) -> Value:
    if any(operand is None for operand in operands):
        return None
    return float(all(operands) if every else any(operands))


def _call(name: str, arguments: list[ast.expr], values: Values) -> Value:
    if name == "FILL" and len(arguments) == 2:
        found = _value(arguments[0], values)
        return _value(arguments[1], values) if found is None else found
    if name == "IF" and len(arguments) in (2, 3):
        condition = _value(arguments[0], values)
        chosen = arguments[1] if condition else arguments[2] if len(arguments) == 3 else None
        return None if condition is None or chosen is None else _value(chosen, values)
    if name == "ABS" and len(arguments) == 1:
        found = _value(arguments[0], values)
        return None if found is None else abs(found)
    if name in _AGGREGATES:
        return _aggregate(name, arguments, values)
    raise ExpressionError(f"the metric math function {name} with {len(arguments)} arguments is not implemented")


def _aggregate(name: str, arguments: list[ast.expr], values: Values) -> Value:
    members: list[ast.expr] = []
    for argument in arguments:
        members += argument.elts if isinstance(argument, (ast.List, ast.Tuple)) else [argument]
    if len(members) == 1:  # over one series CloudWatch aggregates time, which one datapoint cannot
        raise ExpressionError(f"{name} of a single metric is not implemented: give it a list")
    found = [value for value in (_value(member, values) for member in members) if value is not None]
    return _AGGREGATES[name](found) if found else None

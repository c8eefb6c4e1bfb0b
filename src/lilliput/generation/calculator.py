"""Calculator: the value of an expression of numbers, in bounded time and memory."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from lilliput.base.errors import DataError

LONGEST = 200
"""Most characters of an expression."""
LARGEST = 10.0**100
"""Numbers beyond this size are refused, in the middle of an expression too."""
LARGEST_POWER = 64

Number = int | float
BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt,
    "abs": abs,
    "round": round,
    "min": min,
    "max": max,
}
SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "^": "**"})
"""Signs that people write, and Python's."""


def calculate(expression: str) -> str:
    """The value of an expression such as `(3 + 4) * 2 / 5`, written as people write it: `2.8`, and `7` for 7.0.

    Known are + - * / // % ** (or ^), parentheses, and sqrt, abs, round, min and max. The expression is read as a tree
    of numbers and operations and is never run as code. Raises DataError for anything else, for a division by zero, and
    for numbers above LARGEST."""
    if len(expression) > LONGEST:
        raise DataError(f"the expression has {len(expression)} characters, of at most {LONGEST}")
    try:
        tree = ast.parse(expression.translate(SIGNS).strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise DataError(f"{expression!r} is no expression of numbers") from None
    try:
        return _written(_value(tree.body))
    except ZeroDivisionError:
        raise DataError("division by zero") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"{expression!r} has no value: {error}") from None


def _value(node: ast.expr) -> Number:
    """The value of a part of the tree; every value is within bounds."""
    found: Any
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        found = node.value
    elif isinstance(node, ast.UnaryOp) and type(node.op) in UNARY:
        found = UNARY[type(node.op)](_value(node.operand))
    elif isinstance(node, ast.BinOp) and type(node.op) in BINARY:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and abs(right) > LARGEST_POWER:
            raise DataError(f"a power is at most {LARGEST_POWER}")
        # Powers of whole numbers are exact in Python and may be long: the bound is checked before they are made.
        if isinstance(node.op, ast.Pow) and abs(right) * math.log10(max(abs(left), 1)) > math.log10(LARGEST):
            raise DataError("the result is too large")
        found = BINARY[type(node.op)](left, right)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        if node.keywords:
            raise DataError(f"{node.func.id} takes numbers alone")
        found = FUNCTIONS[node.func.id](*map(_value, node.args))
    else:
        raise DataError(f"the calculator knows numbers, + - * / // % **, parentheses and {', '.join(FUNCTIONS)}")
    if isinstance(found, complex) or not abs(found) <= LARGEST:
        raise DataError("the result is too large, or no real number")
    return found


def _written(value: Number) -> str:
    """A number as text: whole numbers without a point, others with at most 12 digits."""
    if isinstance(value, float) and not (value.is_integer() and abs(value) < 1e15):
        return f"{value:.12g}"
    return str(int(value))

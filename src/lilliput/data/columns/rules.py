"""Rules of a table: comparisons of a row's columns with each other or with a value, such as "end >= start"."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
NAME = r"`[^`]+`|[^\W\d]\w*"
PARTS = re.compile(rf"\s*({NAME})\s*(<=|>=|!=|==|<|>)\s*(.+?)\s*")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
TEXT = re.compile(r"'([^']*)'|\"([^\"]*)\"")


@dataclass(frozen=True, slots=True)
class Rule:
    """`left` compared with `right`, the name of a column, or with `value`, a number or a text."""

    text: str
    left: str
    comparison: str
    right: str | None = None
    value: float | str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.left,) if self.right is None else (self.left, self.right)

    def holds(self, columns: Mapping[str, Any]) -> Any:
        """Return whether it holds, for values or arrays of values by column. A row whose value is missing (NaN or None)
        meets every rule."""
        other = self.value if self.right is None else columns[self.right]
        return COMPARISONS[self.comparison](columns[self.left], other)


def parse_rule(text: str) -> Rule:
    """Return the rule that a text spells. Raises ValueError for another text."""
    found = PARTS.fullmatch(text)
    if found is None:
        raise ValueError(
            f"rule '{text}' is no comparison; write COLUMN {' '.join(COMPARISONS)} COLUMN or a value, with backquotes "
            "around a name with spaces"
        )
    left, comparison, right = found.groups()
    left = left.strip("`")
    if NUMBER.fullmatch(right):
        return Rule(text, left, comparison, value=float(right))
    if quoted := TEXT.fullmatch(right):
        return Rule(text, left, comparison, value=quoted[1] if quoted[1] is not None else quoted[2])
    if re.fullmatch(NAME, right):
        return Rule(text, left, comparison, right=right.strip("`"))
    raise ValueError(f"rule '{text}': '{right}' is no column, number or 'text'")

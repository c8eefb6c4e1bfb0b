"""Tools: calls of functions in a model's replies, read from the text, and the functions that Lilliput runs itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lilliput.base.errors import ConfigError, LilliputError, nearest
from lilliput.generation.calculator import calculate

OPEN, CLOSE = "<tool_call>", "</tool_call>"
LONGEST_CALL = 2**16
"""Most characters between the marks of a call."""

CALCULATOR: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "calculator",
        "description": "Compute the value of an expression.",
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string", "description": "such as (3 + 4) * 2"}},
            "required": ["expression"],
        },
    },
}
"""The calculator's description, as OpenAI's API and chat templates have it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function's name, and its arguments as a JSON object."""

    name: str
    arguments: Mapping[str, Any]

    @property
    def message(self) -> dict[str, Any]:
        """The call as an entry of a message's `tool_calls`."""
        return {"type": "function", "function": {"name": self.name, "arguments": dict(self.arguments)}}


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that Lilliput runs: its description, and `run`, which makes the text of the answer of arguments."""

    description: Mapping[str, Any]
    run: Callable[[Mapping[str, Any]], str]


def _calculator(arguments: Mapping[str, Any]) -> str:
    expression = arguments.get("expression")
    if not isinstance(expression, str | int | float) or len(arguments) != 1:
        raise ConfigError('calculator takes {"expression": TEXT}')
    return calculate(str(expression))


TOOLS: dict[str, Tool] = {"calculator": Tool(CALCULATOR, _calculator)}
"""The tools that Lilliput has, by name."""


def descriptions(names: Sequence[str]) -> list[dict[str, Any]]:
    """The descriptions of these tools. Raises ConfigError for an unknown name."""
    for name in names:
        if name not in TOOLS:
            raise ConfigError(f"there is no tool '{name}'{nearest(name, TOOLS)}", f"Lilliput has: {', '.join(TOOLS)}")
    return [dict(TOOLS[name].description) for name in names]


def run(call: Call, names: Sequence[str]) -> str:
    """The answer of one of the tools `names` to a call. What went wrong is an answer too, for the model to read."""
    if call.name not in names or call.name not in TOOLS:
        return f"error: there is no tool '{call.name}'"
    try:
        return TOOLS[call.name].run(call.arguments)
    except LilliputError as error:
        return f"error: {error.message}"


class CallReader:
    """Splits a reply that comes in pieces into its text and its calls: JSON between `<tool_call>` and `</tool_call>`.

    White space around a call is dropped. Text between the marks that is no call, and a call without its end, stay in
    the text."""

    def __init__(self) -> None:
        self._held = ""
        self._behind_call = False

    def push(self, piece: str) -> tuple[str, list[Call]]:
        """The text that is safe to show now, and the calls that have ended. Text that may begin a call, and white space
        before it, are held back."""
        self._held += piece
        if self._behind_call:
            self._held = self._held.lstrip()
            self._behind_call = not self._held
        shown, calls = "", []
        while (begin := self._held.find(OPEN)) >= 0:
            end = self._held.find(CLOSE, begin)
            if end < 0 and len(self._held) - begin <= LONGEST_CALL:
                text, self._held = self._held[:begin], self._held[begin:]
                kept = text.rstrip()
                self._held = text[len(kept) :] + self._held
                return shown + kept, calls
            stop = len(self._held) if end < 0 else end + len(CLOSE)
            call = read_call(self._held[begin + len(OPEN) : end]) if end >= 0 else None
            if call is None:
                shown += self._held[:stop]
            else:
                shown += self._held[:begin].rstrip()
                calls.append(call)
                self._behind_call = not self._held[stop:].strip()
            self._held = self._held[stop:] if call is None else self._held[stop:].lstrip()
        cut = _safe(self._held)
        shown, self._held = shown + self._held[:cut], self._held[cut:]
        return shown, calls

    def flush(self) -> str:
        """The text that was held back, when no more comes."""
        held, self._held = self._held, ""
        return held if held.strip() else ""


def read_call(text: str) -> Call | None:
    """The call in a text of JSON, `{"name": ..., "arguments": {...}}`; None where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments = value.get("arguments", {})
    return Call(value["name"], arguments) if isinstance(arguments, dict) else None


def _safe(text: str) -> int:
    """The first place from which the rest of `text`, behind white space, may still grow into the mark of a call."""
    for place in range(max(0, len(text) - len(OPEN) + 1), len(text)):
        if OPEN.startswith(text[place:]):
            return len(text[:place].rstrip())
    return len(text.rstrip())

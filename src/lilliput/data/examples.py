"""Example: a structured row, in one form for each kind, whatever file it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Kind = Literal["messages", "completion", "preference", "rating", "prompt", "labelled", "tagged"]

Message = Mapping[str, Any]
"""`role` (system, user, assistant, tool), `content` (text, maybe null beside tool calls), and where present
`tool_calls`, `tool_call_id`, `name`."""
Turns = str | Sequence[Message]
"""A part of an example: plain text, or messages that a chat template renders."""

PARTS: dict[Kind, tuple[str, ...]] = {
    "messages": ("messages",),
    "completion": ("prompt", "completion"),
    "preference": ("prompt", "chosen", "rejected"),
    "rating": ("prompt", "completion"),
    "prompt": ("prompt",),
    "labelled": ("text", "pair"),
    "tagged": ("text",),
}
"""The parts of each kind that hold text or messages, in reading order."""
TEXTS = frozenset(("text", "labelled", "tagged"))
"""The kinds of documents that are a text, with or without labels beside it."""


@dataclass(frozen=True, slots=True)
class Example:
    """A structured row.

    kind     decides which parts `row` has (columns as TRL names them):
             messages    messages, maybe tools (JSON schemas of functions)
             completion  prompt, completion
             preference  prompt, chosen, rejected
             rating      prompt, completion, label (bool: whether people want such a completion)
             prompt      prompt
             labelled    text, pair (a second text, or null), label (a name, a number of a class, or a score)
             tagged      words (a list), tags (a name or a number for each word), text (the words with spaces between)
    row      the parts; `prompt`, `completion`, `chosen` and `rejected` are plain text or lists of messages, all of one
             sort in a row
    columns  the other columns of the source's row, JSON values, for rewards
    """

    kind: Kind
    row: Mapping[str, Any]
    columns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def conversational(self) -> bool:
        """Whether its parts are messages rather than plain text."""
        return not isinstance(self.row[PARTS[self.kind][0]], str)

    @property
    def text(self) -> str:
        """All of its text in reading order, for the steps that look at a document's text, and for a person."""
        return "\n".join(filter(None, (text_of(self.row.get(part)) for part in PARTS[self.kind])))

    @property
    def key(self) -> str:
        """The text that decides the split: the prompt, so that two answers to one prompt land on one side."""
        first = self.row[PARTS[self.kind][0]]
        if self.kind in TEXTS:
            return self.text
        if self.kind == "messages":
            asked = [message for message in first if message["role"] == "user"]
            return text_of(asked[:1] or first)
        return text_of(first)

    def mapped(self, change: Callable[[str], str]) -> Example:
        """The same example with `change` applied to each of its texts, or of its words."""
        if self.kind == "tagged":
            words = [change(word) for word in self.row["words"]]
            return replace(self, row={**self.row, "words": words, "text": " ".join(words)})
        parts = {part: _mapped(self.row.get(part), change) for part in PARTS[self.kind]}
        return replace(self, row={**self.row, **parts})


def text_of(turns: Turns | None) -> str:
    """The text of a part; of messages, their contents and calls, one a line."""
    if turns is None or isinstance(turns, str):
        return turns or ""
    lines = []
    for message in turns:
        calls = [str(call) for call in message.get("tool_calls") or ()]
        lines += [message.get("content") or "", *calls]
    return "\n".join(filter(None, lines))


def _mapped(turns: Turns | None, change: Callable[[str], str]) -> Turns | None:
    if turns is None:
        return None
    if isinstance(turns, str):
        return change(turns)
    return [
        {**message, "content": change(message["content"])} if message.get("content") else message for message in turns
    ]

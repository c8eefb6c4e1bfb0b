"""Messages: conversations of several formats in one form, as chat templates take them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}
"""Names of roles in files, with the role of a chat template that each of them means."""
SPOKEN = ("role", "from", "content", "value")


class Unusable(ValueError):
    """A row whose values do not have the form of its kind. The text ends a sentence that begins with the row's
    place."""


def messages_of(value: Any, column: str) -> list[dict[str, Any]]:
    """Return the messages in a value: a list of messages, a single message, or either as JSON text.

    A message is an object with `role` and `content`, or with ShareGPT's `from` and `value`. Its role becomes system,
    user, assistant or tool, and a `function_call` becomes a message of the assistant with `tool_calls`. Raises
    Unusable."""
    if isinstance(value, str):
        value = parsed(value, column)
    if isinstance(value, Mapping):
        value = _rows(value) if all(isinstance(part, list) for part in value.values()) else [value]
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise Unusable(f"'{column}' holds {_shown(value)}, not a list of messages")
    return [_message(entry, column) for entry in value]


def are_messages(value: Any) -> bool:
    """Whether a value is a message, a list of messages, or a list of messages as JSON text. Other text is text."""
    if isinstance(value, str):
        if not value.lstrip().startswith("[{"):
            return False
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return False
        return bool(value) and all(isinstance(entry, dict) and entry.keys() & {"role", "from"} for entry in value)
    return isinstance(value, Mapping | list)


def tools_of(value: Any) -> list[dict[str, Any]]:
    """Return descriptions of tools as OpenAI writes them, `{"type": "function", "function": {...}}`, from a list of
    them or of bare functions, or from either as JSON text. Raises Unusable."""
    if isinstance(value, str):
        value = parsed(value, "tools") if value.strip() else []
    value = [value] if isinstance(value, Mapping) else value
    if not isinstance(value, list) or not all(isinstance(tool, Mapping) for tool in value):
        raise Unusable(f"'tools' holds {_shown(value)}, not a list of objects")
    return [dict(tool) if "function" in tool else {"type": "function", "function": dict(tool)} for tool in value]


def parsed(text: str, column: str) -> Any:
    """Return the value of JSON text. Raises Unusable."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unusable(f"'{column}' holds text that is not JSON: {_shown(text)}") from None


def _rows(columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Turn lists by column, as older versions of `datasets` give them, into a list of objects."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _message(entry: Any, column: str) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise Unusable(f"'{column}' holds {_shown(entry)} where a message is to be: an object with a role and content")
    named = entry.get("role") or entry.get("from")
    if named not in ROLES:
        raise Unusable(f"a message in '{column}' has the role {_shown(named)}; roles are {', '.join(ROLES)}")
    content = _content(entry.get("content", entry.get("value")), column)
    further = {key: value for key, value in entry.items() if key not in SPOKEN and value is not None}
    calls = further.pop("tool_calls", None)
    if named == "function_call":
        calls, content = parsed(content or "", column), None
    if calls:
        further["tool_calls"] = [_call(call, column) for call in (calls if isinstance(calls, list) else [calls])]
    elif content is None:
        raise Unusable(f"a message of the role {named} in '{column}' has no content")
    return {"role": ROLES[named], "content": content, **further}


def _content(value: Any, column: str) -> str | None:
    """Return the text of a content, which may be a list of parts of text. Raises Unusable for a picture or sound."""
    if value is None or isinstance(value, str):
        return value
    parts = value if isinstance(value, list) else [value]
    texts = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise Unusable(f"a message in '{column}' holds {_shown(value)}, not text")
    return "".join(map(str, texts))


def _call(call: Any, column: str) -> dict[str, Any]:
    """Return a call of a function as OpenAI writes it, with its arguments as an object."""
    function = call.get("function", call) if isinstance(call, Mapping) else call
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise Unusable(f"a call in '{column}' is {_shown(call)}, not an object with a name and arguments")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        arguments = parsed(arguments or "{}", column)
    named = {"id": call["id"]} if isinstance(call, Mapping) and call.get("id") else {}
    return {**named, "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]} ..."

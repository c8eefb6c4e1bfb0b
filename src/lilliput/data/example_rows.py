"""Example rows: which columns make a row an example of which kind, in the formats that other tools write."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lilliput.data.examples import Example, Kind
from lilliput.data.messages import Unusable, are_messages, messages_of, parsed, tools_of

Row = Mapping[str, Any]
Parts = dict[str, Any]
Format = Literal["auto", "text", "messages", "completion", "preference", "rating", "prompt", "labelled", "tagged"]

PLURAL: dict[str, str] = {
    "text": "texts",
    "messages": "conversations",
    "completion": "prompts with completions",
    "preference": "preferences",
    "rating": "ratings",
    "prompt": "prompts",
    "labelled": "labelled texts",
    "tagged": "tagged words",
}
"""The name of each kind of document in messages to a person."""
ANSWERED = "\n\nAssistant:"
"""The mark before a reply in the dialogues of Anthropic's preference data, which are plain text."""


@dataclass(frozen=True)
class Form:
    """The columns that make a row an example, and how its parts are made of them.

    columns  the columns that each row has
    build    the parts of the canonical row (see Example). It raises Unusable
    further  columns that are read where a row has them
    without  columns that a row of this form does not have
    """

    kind: Kind
    columns: tuple[str, ...]
    build: Callable[[Row], Parts]
    further: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def fits(self, columns: Collection[str]) -> bool:
        """Whether rows of these columns have this form."""
        return all(column in columns for column in self.columns) and not any(
            column in columns for column in self.without
        )

    def example(self, row: Row) -> Example:
        """Return the example in a row. Raises Unusable."""
        used = {*self.columns, *self.further}
        others = {key: plain(value) for key, value in row.items() if key not in used}
        return Example(self.kind, self.build(row), others)

    def __str__(self) -> str:
        return f"{PLURAL[self.kind]}: {', '.join(self.columns)}"


def form_of(columns: Collection[str], wanted: str = "auto") -> Form | None:
    """Return the form of rows with these columns, of the kind `wanted` where it is not "auto"; None without one."""
    halves = sum(column in columns for column in ("chosen", "rejected"))
    if wanted == "auto" and halves == 1:
        return None  # a preference that lacks a side, whatever its other columns would make of it
    forms = (form for form in FORMS if wanted in ("auto", form.kind))
    if wanted == "prompt":  # a person who asks for prompts alone means them, whatever else a row has
        return next((form for form in forms if "prompt" in columns), None)
    return next((form for form in forms if form.fits(columns)), None)


def plain(value: Any) -> Any:
    """Return a value of a row as a JSON value: a number that JSON lacks becomes null, and a date or the like its
    text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(inner) for inner in value]
    item = getattr(value, "item", None)
    return str(value) if item is None else plain(item())


# ------------------------------------------------------------------------------------------------ values


def text(row: Row, column: str) -> str:
    """Return the text of a column. Raises Unusable."""
    if not isinstance(row.get(column), str):
        raise Unusable(f"'{column}' holds {type(row.get(column)).__name__}, not text")
    return row[column]


def wish(row: Row, column: str) -> bool:
    """Return whether a completion is wanted: true, 1 or the text "true" are. Raises Unusable."""
    value = row[column]
    known = {"true": True, "1": True, "false": False, "0": False}
    found = known.get(str(int(value) if isinstance(value, bool) else value).strip().lower())
    if found is None:
        raise Unusable(f"'{column}' holds {value!r}, and a rating is true or false")
    return found


def label(row: Row, column: str) -> Any:
    """Return a label: a name, a number or a truth value. Raises Unusable."""
    value = row[column].item() if hasattr(row[column], "item") else row[column]
    if not is_label(value):
        raise Unusable(f"'{column}' holds {value!r}, and a label is a name or a number")
    return int(value) if isinstance(value, bool) else value


def is_label(value: Any) -> bool:
    """Whether a value can be a label."""
    if isinstance(value, str):
        return bool(value.strip())
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _turns(row: Row, column: str) -> Any:
    value = row[column]
    return messages_of(value, column) if are_messages(value) else text(row, column)


def _alike(prompt: Any, *replies: Any) -> list[Any]:
    """Return a prompt and replies of one sort: where one of them is messages, a text becomes a message."""
    if all(isinstance(part, str) for part in (prompt, *replies)):
        return [prompt, *replies]
    asked = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return [asked, *([{"role": "assistant", "content": one}] if isinstance(one, str) else one for one in replies)]


def _tools(row: Row) -> Parts:
    found = tools_of(row["tools"]) if row.get("tools") else []
    return {"tools": found} if found else {}


# ------------------------------------------------------------------------------------------------ conversations


def _conversation(column: str) -> Callable[[Row], list[dict[str, Any]]]:
    def build(row: Row) -> list[dict[str, Any]]:
        before = [{"role": "system", "content": text(row, "system")}] if row.get("system") else []
        return before + messages_of(row[column], column)

    return build


def _asked(row: Row) -> list[dict[str, Any]]:
    """Return the messages before the reply of a row of Alpaca's columns: the system's, the earlier turns, and the
    instruction with its input below it."""
    found = [{"role": "system", "content": text(row, "system")}] if row.get("system") else []
    history = row.get("history") or []
    if isinstance(history, str):
        history = parsed(history, "history")
        if not isinstance(history, list):
            raise Unusable("'history' is no list of pairs")
    for pair in history:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise Unusable(f"'history' holds {pair!r}, not pairs of an instruction and its reply")
        found += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    given = next((text(row, column) for column in ("input", "context") if row.get(column)), "")
    return [*found, {"role": "user", "content": "\n".join(filter(None, (text(row, "instruction"), given)))}]


def _messages(asked: Callable[[Row], list[dict[str, Any]]], reply: str | None = None) -> Callable[[Row], Parts]:
    def build(row: Row) -> Parts:
        found = asked(row)
        if reply is not None:
            found = [*found, {"role": "assistant", "content": text(row, reply)}]
        if all(message["role"] != "assistant" for message in found):
            raise Unusable("no message of the conversation is the assistant's")
        return {"messages": found, **_tools(row)}

    return build


# ------------------------------------------------------------------------------------------------ pairs and ratings


def _completion(reply: str) -> Callable[[Row], Parts]:
    def build(row: Row) -> Parts:
        prompt, completion = _alike(_turns(row, "prompt"), _turns(row, reply))
        return {"prompt": prompt, "completion": _beyond(prompt, completion), **_tools(row)}

    return build


def _translation(row: Row) -> Parts:
    return {"prompt": text(row, "source"), "completion": text(row, "target")}


def _preference(asked: Callable[[Row], Any]) -> Callable[[Row], Parts]:
    def build(row: Row) -> Parts:
        prompt, chosen, rejected = _alike(asked(row), _turns(row, "chosen"), _turns(row, "rejected"))
        if not isinstance(prompt, str):
            chosen, rejected = _beyond(prompt, chosen), _beyond(prompt, rejected)
        return {"prompt": prompt, "chosen": chosen, "rejected": rejected, **_tools(row)}

    return build


def _beyond(prompt: Any, reply: Any) -> Any:
    """Return a reply without the prompt, which some files repeat before it. Raises Unusable for a reply that does not
    begin with the assistant."""
    if isinstance(reply, str):
        return reply
    asked = [message for message in prompt if message["role"] != "system"]
    for before in (prompt, asked):
        if before and reply[: len(before)] == before:
            reply = reply[len(before) :]
            break
    if not reply or reply[0]["role"] != "assistant":
        found = f"with a message of the {reply[0]['role']}" if reply else "nowhere"
        raise Unusable(f"a reply begins {found}, and it is to begin with a message of the assistant")
    return reply


def _implicit(row: Row) -> Parts:
    """Return the parts of a pair whose prompt is the beginning that both sides share.

    Plain text is cut after the last mark of the assistant's turn, else where a word begins."""
    chosen, rejected = _turns(row, "chosen"), _turns(row, "rejected")
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise Unusable("'chosen' and 'rejected' are both text or both messages")
    shared = 0
    for one, other in zip(chosen, rejected, strict=False):
        if one != other:
            break
        shared += 1
    if isinstance(chosen, str):
        mark = chosen.rfind(ANSWERED, 0, shared)
        shared = mark + len(ANSWERED) if mark >= 0 else max(chosen.rfind(white, 0, shared) for white in (" ", "\n"))
    else:
        asked = (place for place, one in enumerate(chosen[:shared], start=1) if one["role"] != "assistant")
        shared = max(asked, default=0)
    if shared <= 0:
        raise Unusable("'chosen' and 'rejected' begin differently, so that no prompt is found; name it 'prompt'")
    if isinstance(chosen, list):
        _beyond([], chosen[shared:])
        _beyond([], rejected[shared:])
    return {"prompt": chosen[:shared], "chosen": chosen[shared:], "rejected": rejected[shared:], **_tools(row)}


def _rated(reply: Callable[[Row], tuple[Any, Any]], mark: str) -> Callable[[Row], Parts]:
    def build(row: Row) -> Parts:
        prompt, completion = _alike(*reply(row))
        completion = _beyond(prompt, completion)
        return {"prompt": prompt, "completion": completion, "label": wish(row, mark), **_tools(row)}

    return build


def _last(asked: Callable[[Row], list[dict[str, Any]]]) -> Callable[[Row], tuple[Any, Any]]:
    """Return the conversation without its last message, and that message."""

    def build(row: Row) -> tuple[Any, Any]:
        found = asked(row)
        if len(found) < 2:
            raise Unusable("a rated conversation has a prompt and a reply, and this one has a single message")
        return found[:-1], found[-1:]

    return build


def _labelled(first: str, second: str | None, mark: str) -> Callable[[Row], Parts]:
    return lambda row: {
        "text": text(row, first),
        "pair": None if second is None else text(row, second),
        "label": label(row, mark),
    }


def tagged(words: Any, tags: Any) -> Parts:
    """Return the parts of tagged words. Raises Unusable for lists of unequal lengths, and for a word or a tag of
    another type."""
    words, tags = (part.tolist() if hasattr(part, "tolist") else part for part in (words, tags))
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise Unusable("its words are no list of texts")
    if not isinstance(tags, list) or not all(isinstance(tag, str | int) and not isinstance(tag, bool) for tag in tags):
        raise Unusable("its tags are no list of names or numbers")
    if len(words) != len(tags):
        raise Unusable(f"it has {len(words)} words and {len(tags)} tags")
    return {"text": " ".join(words), "words": words, "tags": tags}


def _prompt(row: Row) -> Parts:
    return {"prompt": _turns(row, "prompt"), **_tools(row)}


ALPACA = ("input", "system", "history")
SHAREGPT, TURNS = _conversation("conversations"), _conversation("messages")
PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question", "passage"),
    ("question1", "question2"),
    ("question", "sentence"),
)
"""Columns of two texts in the usual tests of classification."""

FORMS: tuple[Form, ...] = (
    Form("preference", ("conversations", "chosen", "rejected"), _preference(SHAREGPT), ("system", "tools")),
    Form("preference", ("prompt", "chosen", "rejected"), _preference(lambda row: _turns(row, "prompt")), ("tools",)),
    Form("preference", ("messages", "chosen", "rejected"), _preference(TURNS), ("tools",)),
    Form("preference", ("instruction", "chosen", "rejected"), _preference(_asked), ALPACA),
    Form("preference", ("chosen", "rejected"), _implicit, ("tools",)),
    *(
        Form("rating", (column, mark), _rated(_last(_conversation(column)), mark), ("system", "tools"))
        for column in ("conversations", "messages")
        for mark in ("kto_tag", "label")
    ),
    *(
        Form(
            "rating",
            ("prompt", "completion", mark),
            _rated(lambda row: (_turns(row, "prompt"), _turns(row, "completion")), mark),
            ("tools",),
        )
        for mark in ("kto_tag", "label")
    ),
    Form(
        "rating",
        ("instruction", "output", "kto_tag"),
        _rated(lambda row: (_asked(row), text(row, "output")), "kto_tag"),
        ALPACA,
    ),
    Form("messages", ("messages",), _messages(TURNS), ("system", "tools")),
    Form("messages", ("conversations",), _messages(SHAREGPT), ("system", "tools")),
    Form("messages", ("instruction", "output"), _messages(_asked, "output"), ALPACA),
    Form("messages", ("instruction", "response"), _messages(_asked, "response"), ("context", "input", "system")),
    Form("completion", ("prompt", "completion"), _completion("completion"), ("tools",)),
    Form("completion", ("source", "target"), _translation, without=("text",)),
    Form("completion", ("prompt", "response"), _completion("response"), ("tools",)),
    *(
        Form("labelled", (*pair, mark), _labelled(*pair, mark))
        for pair in PAIRS
        for mark in ("label", "score", *(("answer",) if pair == ("question", "passage") else ()))
    ),
    Form("labelled", ("sentence", "label"), _labelled("sentence", None, "label")),
    Form("labelled", ("text", "label"), _labelled("text", None, "label")),
    *(
        Form("tagged", (words, tags), lambda row, names=(words, tags): tagged(*(row[name] for name in names)))
        for words in ("words", "tokens")
        for tags in ("tags", "ner_tags")
    ),
    Form("prompt", ("prompt",), _prompt, ("tools",), without=("chosen", "rejected", "completion", "response")),
)
"""Every form, the most specific first: the first that fits a row's columns counts."""
EXAMPLE_COLUMNS = frozenset(
    ("prompt", "completion", "chosen", "rejected", "messages", "conversations", "instruction", "output", "kto_tag")
)
"""Columns that are known for examples. Rows with one of them and no form lack a column."""

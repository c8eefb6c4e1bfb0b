"""Filling: the text that a model generated for a template, read leaf by leaf with spans and log-probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lilliput.worlds.extraction.source_text import SourceText
from lilliput.worlds.extraction.template import Leaf, ListOf, Node, Object

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.decoding.completion import Completion


@dataclass(frozen=True, slots=True)
class Found:
    """A filled leaf.

    value            the value; None where the text has none
    span             start and end of a verbatim value in the source text: the first place that no earlier field has
    log_probability  nats of the tokens of the value, under the model without the constraint; None where generation
                     ended before this leaf
    """

    value: Any = None
    span: tuple[int, int] | None = None
    log_probability: float | None = None


Filled = Found | dict[str, "Filled"] | list["Filled"]
"""A filled template: Found at each leaf."""


def values_of(filled: Filled) -> Any:
    """Return the plain JSON values of a filled template."""
    if isinstance(filled, Found):
        return filled.value
    if isinstance(filled, list):
        return [values_of(each) for each in filled]
    return {name: values_of(each) for name, each in filled.items()}


def leaves_of(filled: Filled, path: str = "") -> Iterator[tuple[str, Found]]:
    """Yield each leaf with its path, such as children[0] or birth.place."""
    if isinstance(filled, Found):
        yield path, filled
    elif isinstance(filled, list):
        for number, each in enumerate(filled):
            yield from leaves_of(each, f"{path}[{number}]")
    else:
        for name, each in filled.items():
            yield from leaves_of(each, f"{path}.{name}" if path else name)


def is_empty(filled: Filled) -> bool:
    """Return whether no leaf has a value."""
    return all(found.value is None for _, found in leaves_of(filled))


def nothing(node: Node) -> Filled:
    """Return the filled template of a text without words."""
    if isinstance(node, Object):
        return {name: nothing(inner) for name, inner in node.fields}
    return [] if isinstance(node, ListOf) else Found()


class Reader:
    """Reads the compact JSON of a template from a model's text. Where the text ends too early, all leaves that it lacks
    are null: `cut` is true then."""

    def __init__(self, completion: Completion, tokenizer: Tokenizer, source: SourceText):
        self._source, self._at, self.cut = source, 0, False
        self._used: set[tuple[str, tuple[int, int]]] = set()
        ids = completion.ids
        pieces = [len(tokenizer.decode_bytes([number], True)) for number in ids]
        self._ends = [sum(pieces[: place + 1]) for place in range(len(pieces))]
        self._nats = [token.log_probability for token in completion.tokens[: len(ids)]]
        self._text = tokenizer.decode_bytes(ids, True).decode("utf-8", "replace")

    def read(self, node: Node) -> Filled:
        """Return a filled node that begins at the present place."""
        if isinstance(node, Leaf):
            return self._leaf(node)
        return self._list(node.item) if isinstance(node, ListOf) else self._object(node)

    def _object(self, node: Object) -> Filled:
        made: dict[str, Filled] = {}
        for number, (name, inner) in enumerate(node.fields):
            self._skip(f"{',' if number else '{'}{json.dumps(name, ensure_ascii=False)}:")
            made[name] = self.read(inner)
        self._skip("}")
        return made

    def _list(self, item: Leaf | Object) -> Filled:
        made: list[Filled] = []
        self._skip("[")
        while not self.cut and not self._text.startswith("]", self._at):
            if made:
                self._skip(",")
            one = self.read(item)
            if not is_empty(one):
                made.append(one)
        self._skip("]")
        return made

    def _leaf(self, leaf: Leaf) -> Found:
        if self.cut:
            return Found()
        begin, value = self._at, None
        try:
            value, self._at = json.JSONDecoder().raw_decode(self._text, begin)
        except ValueError:
            self._at = len(self._text)
        if self._at == len(self._text):  # a number may be cut within its digits
            self.cut = True
            return Found()
        nats = self._log_probability(begin, self._at)
        if not isinstance(value, str):
            return Found(value, None, nats)
        value = value.strip()
        span = self._span(value) if leaf.kind == "verbatim-string" else None
        return Found(self._source.given[slice(*span)] if span else value, span, nats)

    def _skip(self, literal: str) -> None:
        if self.cut or not self._text.startswith(literal, self._at):
            self.cut = True
        else:
            self._at += len(literal)

    def _span(self, value: str) -> tuple[int, int] | None:
        """Return the first place of a value in the source that no earlier leaf with this value has."""
        places = list(self._source.spans(value))
        span = next((each for each in places if (value, each) not in self._used), places[0] if places else None)
        if span is not None:
            self._used.add((value, span))
        return span

    def _log_probability(self, begin: int, end: int) -> float:
        """Return the sum over the tokens that hold a character of text[begin:end]. Example: of `{"a":" Bo"}` in the
        tokens `{"`, `a`, `":"`, ` Bo`, `"}` the value `" Bo"` has the last three."""
        first, last = (len(self._text[:place].encode()) for place in (begin, end))
        starts = [0, *self._ends[:-1]]
        return sum(
            nats
            for start, stop, nats in zip(starts, self._ends, self._nats, strict=True)
            if start < last and stop > first
        )


def read_filled(
    template: Object, completion: Completion, tokenizer: Tokenizer, source: SourceText
) -> tuple[Filled, bool]:
    """Return a filled template, and whether its text ended too early."""
    reader = Reader(completion, tokenizer, source)
    return reader.read(template), reader.cut

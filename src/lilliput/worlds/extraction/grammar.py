"""The grammar of a filled template: compact JSON whose verbatim values are parts of the source text.

Grammars are llguidance's, in its form of Lark. A word of a value has a space before it where the text has one, because
its tokens are then those of the text; the space is left out when the JSON is read.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from lilliput.base.errors import MissingExtra
from lilliput.decoding.constrained import Constraint
from lilliput.worlds.extraction.source_text import SourceText
from lilliput.worlds.extraction.template import Leaf, ListOf, Node, Object

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer

MOST_ENTRIES = 20
"""Entries of a list."""
PART_CHUNKS = 24
"""Words and marks of a verbatim value: so many are always possible, and never more than twice as many."""
YEAR = r"(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
DAYS = r"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
LEAP = r"([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"
TERMINALS = {
    "STRING": r'/ ([^ "\\\x00-\x1F\x7F]|\\["\\])([^"\\\x00-\x1F\x7F]|\\["\\]){0,198}/',
    "INTEGER": "/-?(0|[1-9][0-9]{0,14})/",
    "NUMBER": r"/-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?/",
    "DATE": f"/{YEAR}(-(0[1-9]|1[0-2]))?|{YEAR}-{DAYS}|{LEAP}-02-29/",
}
RULES = {"string": "STRING", "integer": "INTEGER", "number": "NUMBER", "date": "DATE"}
QUOTED = ("string", "date")


def constraint_of(template: Object, source: SourceText, tokenizer: Tokenizer) -> Constraint:
    """Return the constraint under which a model fills a template from a text. Raises ConfigError for a template that is
    too large, and MissingExtra without llguidance."""
    try:
        from llguidance import LLMatcher
    except ImportError:
        raise MissingExtra("llguidance", "extract", "extraction") from None
    return Constraint(LLMatcher.grammar_from_lark(grammar_of(template, source)), tokenizer, "the template")


def grammar_of(template: Object, source: SourceText) -> str:
    """Return the grammar of a filled template in llguidance's Lark.

    >>> print(grammar_of(Object((("n", Leaf("integer")),)), SourceText("")).splitlines()[0])
    start: "{\\"n\\":" ("null" | INTEGER) "}"
    """
    lines = [f"start: {_rule(template, bool(source.words))}"]
    lines += [f"{name}: {terminal}" for name, terminal in TERMINALS.items() if re.search(rf"\b{name}\b", lines[0])]
    if "PART" in lines[0]:
        lines += _parts(source)
    return "\n".join(lines)


def _parts(source: SourceText) -> list[str]:
    """Return the lines of PART. The parts of a stretch of text are an automaton of llguidance. Stretches overlap by
    half, so that each part of up to PART_CHUNKS chunks lies in one of them. A bound on characters would leave texts
    that begin a part and cannot end it."""
    chunks = [json.dumps(chunk, ensure_ascii=False)[1:-1] for chunk in source.chunks]
    starts = range(0, max(1, len(chunks) - PART_CHUNKS), PART_CHUNKS)
    stretches = [json.dumps(chunks[start : start + 2 * PART_CHUNKS]) for start in starts]
    names = [f"PART{number}" for number in range(len(stretches))]
    return [
        f"PART: ({' | '.join(names)}) & /.+/",
        *(
            f'{name}: %regex {{ "substring_chunks": {stretch} }}'
            for name, stretch in zip(names, stretches, strict=True)
        ),
    ]


def _rule(node: Node, words: bool) -> str:
    if isinstance(node, Leaf):
        value = _value(node, words)
        return f'("null" | {value})' if value else '"null"'
    if isinstance(node, ListOf):
        item = _rule(node.item, words) if isinstance(node.item, Object) else _value(node.item, words)
        return f'"[" ({item} ("," {item}){{0,{MOST_ENTRIES - 1}}})? "]"' if item else '"[]"'
    parts = [
        f"{_literal(json.dumps(name, ensure_ascii=False) + ':')} {_rule(inner, words)}" for name, inner in node.fields
    ]
    first = parts[0].replace('"', '"{', 1)
    return ' "," '.join([first, *parts[1:]]) + ' "}"'


def _value(leaf: Leaf, words: bool) -> str:
    """Return the rule of a value that is not null; "" where there can be none: a part of a text without words."""
    if leaf.kind == "enum":
        return "(" + " | ".join(_literal(json.dumps(each, ensure_ascii=False)) for each in leaf.choices) + ")"
    name = RULES.get(leaf.kind, "PART" if words else "")
    return rf'"\"" {name} "\""' if name and (leaf.kind in QUOTED or name == "PART") else name


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

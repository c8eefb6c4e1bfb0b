"""Making: training examples of extraction, by the kinds that the registry knows; and their rows for the trainer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from lilliput.base.config import Config
from lilliput.base.errors import ConfigError, DataError, FileError
from lilliput.base.files import write_text
from lilliput.base.reading import from_json, read_text
from lilliput.base.registry import Registry
from lilliput.base.seeds import derive
from lilliput.worlds.extraction.source_text import SourceText
from lilliput.worlds.extraction.template import Leaf, ListOf, Node, Object, compact, misfits, plain, read_template


@dataclass(frozen=True, slots=True)
class Example:
    """A text, a template, and the values that fill it. Verbatim values are as the text writes them."""

    text: str
    template: Object
    values: Mapping[str, Any]


class Maker(Config):
    """A kind of examples. Subclass it in a file of `worlds/extraction/`, give `kind` a Literal, and register it with
    @MAKERS.add(NAME)."""

    kind: Any = None

    def example(self, random: Random, held_out: bool) -> Example:
        """Return an example. `held_out` draws names that training examples lack, where the kind has names."""
        raise NotImplementedError


MAKERS: Registry[type[Maker]] = Registry("kind of extraction examples", "lilliput.worlds.extraction")
"""Kinds of examples: biographies, stories, people, days of diaries, and the entities of a file."""
KINDS = ("biography", "story")
"""Kinds that are made unless others are asked for."""
SHARES = {"biography": 2}
"""Examples of a kind for each example of another kind."""


def makers_of(kinds: Sequence[str], tagged: Sequence[str] = ()) -> list[Maker]:
    """Return the makers of built-in kinds, and of files of tagged entities. Raises ConfigError for an unknown kind."""
    for kind in kinds:
        if kind == "entities":
            raise ConfigError("entities are those of files", "name them: --tagged FILE")
    made = [MAKERS[kind]() for kind in kinds for _ in range(SHARES.get(kind, 1))]
    return [*made, *([MAKERS["entities"](paths=tuple(map(str, tagged)))] if tagged else [])]  # pyright: ignore


def make_examples(kinds: Iterable[Maker], count: int, seed: int = 0, held_out: bool = False) -> Iterator[Example]:
    """Yield examples of kinds in turn. Example `number` depends on the seed, the number and `held_out` alone."""
    makers = list(kinds)
    for number in range(count):
        maker = makers[number % len(makers)]
        yield maker.example(Random(derive(seed, "extraction", maker.kind, number, int(held_out))), held_out)


def prompt_of(template: Object, source: SourceText) -> str:
    """Return the prompt of a model that extracts: the template in a line, and the words of the text."""
    return f"{compact(plain(template))}\n{source.shown}"


def completion_of(example: Example) -> str:
    """Return the filled template as the model learns it. Raises DataError where the values do not fill the template, or
    a verbatim value is no part of the text."""
    for problem in misfits(example.template, example.values):
        raise DataError(f"an example does not fit its template: {problem}", "correct the values of this example")
    source = SourceText(example.text)
    return compact(_written(example.template, example.values, source))


def _written(node: Node, value: Any, source: SourceText) -> Any:
    if isinstance(node, Object):
        return {name: _written(inner, value[name], source) for name, inner in node.fields}
    if isinstance(node, ListOf):
        return [_written(node.item, each, source) for each in value]
    if value is None or not isinstance(node, Leaf) or node.kind not in ("string", "verbatim-string"):
        return value
    text = " ".join(value.split())
    if node.kind == "string":
        return f" {text}"
    if not any(True for _ in source.spans(text)):
        raise DataError(f"{compact(text)[:80]} is no part of its text", "give it the type string, or correct the value")
    # With the space, the value has the tokens that it has in the text.
    return f" {text}" if f" {text}" in source.shown else text


def row_of(example: Example) -> dict[str, Any]:
    """Return an example as a conversation: the prompt of a user, and the filled template."""
    asked = {"role": "user", "content": prompt_of(example.template, SourceText(example.text))}
    return {"messages": [asked, {"role": "assistant", "content": completion_of(example)}]}


def write_rows(examples: Iterable[Example], path: Path) -> int:
    """Write the rows of examples as JSON lines, and return their number."""
    lines = [json.dumps(row_of(example), ensure_ascii=False) for example in examples]
    write_text(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def write_examples(examples: Iterable[Example], path: Path) -> int:
    """Write examples as JSON lines of `text`, `template` and `values`, and return their number."""
    lines = [
        json.dumps({"text": each.text, "template": plain(each.template), "values": each.values}, ensure_ascii=False)
        for each in examples
    ]
    write_text(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def read_examples(paths: Sequence[str | Path]) -> list[Example]:
    """Return the examples of JSON lines of `text`, `template` and `values`. Raises DataError with the line."""
    found: list[Example] = []
    for path in paths:
        try:
            lines = read_text(path).split("\n")
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from None
        for number, line in enumerate(lines, start=1):
            if line.strip():
                found.append(_example(line, f"{path}:{number}"))
    if not found:
        raise DataError(f"{', '.join(map(str, paths))} holds no example", "write some: lilliput extract make FILE")
    return found


def _example(line: str, where: str) -> Example:
    hint = 'a line is {"text": ..., "template": {...}, "values": {...}}'
    try:
        row = from_json(line)
        made = Example(str(row["text"]), read_template(row["template"]), row["values"])
        if made.text != row["text"]:
            raise TypeError
        completion_of(made)
    except (FileError, KeyError, TypeError):
        raise DataError(f"{where} is no example of extraction", hint) from None
    except (ConfigError, DataError) as error:
        raise DataError(f"{where}: {error.message}", error.hint) from None
    return made

"""Template: the fields to extract, as JSON whose leaves name types; and the JSON values that fill it."""

from __future__ import annotations

import json
import math
import re
from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lilliput.base.errors import ConfigError, FileError, nearest
from lilliput.base.reading import from_json, read_text

Kind = Literal["verbatim-string", "string", "integer", "number", "date", "enum"]
TYPES: tuple[str, ...] = tuple(kind for kind in get_args(Kind) if kind != "enum")
"""The types that a leaf may name. A choice is a list of its words."""
DEEPEST = 8
"""Levels of objects and lists in a template."""
DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")
"""A date of ISO 8601, or the year, or the year and month, where a text has no more."""
HELP = (
    f'a leaf is {", ".join(TYPES)}, or choices such as ["small", "large"]; a list has one entry in brackets, such '
    'as ["verbatim-string"] or [["small", "large"]]'
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value of one type, or null where the text has none. `choices` are the values of an enum."""

    kind: Kind
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Object:
    """Named fields in order. An object is always there; its fields may be null."""

    fields: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class ListOf:
    """Any number of entries, none of them null."""

    item: Leaf | Object


Node = Leaf | Object | ListOf


def read_template(given: str | Path | Mapping[str, Any]) -> Object:
    """Return a template: of JSON in a text that begins with a brace, of a JSON file, or of an object. Raises
    ConfigError that states where the template is wrong, and lists the types."""
    if isinstance(given, Mapping):
        return _object(given, "the template", 1)
    text = str(given)
    where = "the template"
    if not text.lstrip().startswith(("{", "[")):
        where = text
        try:
            text = read_text(Path(text))
        except OSError as error:
            hint = 'give a JSON file, or the template itself: --template \'{"name": "verbatim-string"}\''
            raise ConfigError(f"the template {where} cannot be read: {error.strerror}", hint) from None
    try:
        from_json(text)  # checks what json.loads lets through: depth, lone surrogates, huge numbers
        value = json.loads(text, object_pairs_hook=_pairs)
    except FileError as error:
        raise ConfigError(f"{where} {error.message}", HELP) from None
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} is no JSON object", 'name the fields, such as {"name": "verbatim-string"}')
    return _object(value, where, 1)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"the template has the key {json.dumps(twice)} twice", "give each field a name of its own")
    return dict(pairs)


def _object(value: Mapping[str, Any], where: str, depth: int) -> Object:
    if not value:
        raise ConfigError(f"{where} has no fields", 'name the fields, such as {"name": "verbatim-string"}')
    if depth > DEEPEST:
        raise ConfigError(f"{where} is nested more than {DEEPEST} levels deep", "use fewer levels")
    return Object(tuple((str(name), _node(inner, f"{where} at {name!r}", depth)) for name, inner in value.items()))


def _node(value: Any, where: str, depth: int) -> Node:
    if isinstance(value, str):
        if value not in TYPES:
            raise ConfigError(f"{where}: '{value}' is no type{nearest(value, TYPES)}", HELP)
        return Leaf(value)  # pyright: ignore[reportArgumentType]
    if isinstance(value, Mapping):
        return _object(value, where, depth + 1)
    if isinstance(value, list) and len(value) == 1 and not _choices(value):
        return ListOf(_item(value[0], where, depth))
    if _choices(value):
        return _enum(value, where)
    raise ConfigError(f"{where}: {json.dumps(value, ensure_ascii=False)[:80]} is no type", HELP)


def _item(value: Any, where: str, depth: int) -> Leaf | Object:
    found = _enum(value, where) if _choices(value) else _node(value, where, depth + 1)
    if isinstance(found, ListOf):
        raise ConfigError(f"{where} is a list of lists", "make the entries objects with a field for the inner list")
    return found


def _choices(value: Any) -> bool:
    """Return whether a value lists choices: two texts or more."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(each, str) for each in value)


def _enum(value: list[str], where: str) -> Leaf:
    if typed := [each for each in value if each in TYPES]:
        raise ConfigError(f"{where}: the choice '{typed[0]}' is the name of a type", "a field has one type")
    if len(set(value)) < len(value) or not all(each.strip() for each in value):
        raise ConfigError(f"{where}: choices differ from each other, and none is empty", HELP)
    return Leaf("enum", tuple(value))


def plain(node: Node) -> Any:
    """Return a template as JSON values, as it was given."""
    if isinstance(node, Leaf):
        return list(node.choices) if node.choices else node.kind
    if isinstance(node, ListOf):
        return [plain(node.item)]
    return {name: plain(inner) for name, inner in node.fields}


def compact(value: Any) -> str:
    """Return JSON without white space between its parts."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def empty(node: Node) -> Any:
    """Return the filled template of a text that has nothing: null, and lists without entries."""
    if isinstance(node, Object):
        return {name: empty(inner) for name, inner in node.fields}
    return [] if isinstance(node, ListOf) else None


def misfits(node: Node, value: Any, where: str = "") -> Iterable[str]:
    """Yield where and why a JSON value does not fill a template. Nothing is yielded for one that does."""
    place = where or "the value"
    if isinstance(node, Object):
        if not isinstance(value, Mapping):
            yield f"{place} is no object"
        elif list(value) != [name for name, _ in node.fields]:
            yield f"{place} has not the template's fields in order"
        else:
            for name, inner in node.fields:
                yield from misfits(inner, value[name], f"{where}.{name}" if where else name)
    elif isinstance(node, ListOf):
        if not isinstance(value, list):
            yield f"{place} is no list"
        else:
            for number, each in enumerate(value):
                at = f"{where}[{number}]"
                yield from [f"{at} is null"] if each is None else misfits(node.item, each, at)
    elif value is not None and not _is(node, value):
        yield f"{place} is {compact(value)[:60]}, not {node.kind}"


def _is(leaf: Leaf, value: Any) -> bool:
    if leaf.kind in ("integer", "number"):
        number = isinstance(value, int if leaf.kind == "integer" else int | float) and not isinstance(value, bool)
        return number and math.isfinite(value)
    if not isinstance(value, str) or not value.strip():
        return False
    if leaf.kind == "enum":
        return value in leaf.choices
    return leaf.kind != "date" or is_date(value)


def is_date(text: str) -> bool:
    """Return whether a text is a date of the calendar as YYYY-MM-DD, YYYY-MM or YYYY."""
    found = DATE.fullmatch(text)
    if found is None or int(found[1]) < 1:
        return False
    month = int(found[2] or 1)
    return 1 <= month <= 12 and 1 <= int(found[3] or 1) <= monthrange(int(found[1]), month)[1]

"""Typed configuration: frozen, no unknown keys, YAML in, `section.key=value` overrides, errors that name the key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from lilliput.base.errors import ConfigError, FileError, nearest
from lilliput.base.reading import LARGEST_YAML, from_yaml, read_text

C = TypeVar("C", bound="Config")

LARGEST = 2**63 - 1
SHOWN = 80
"""An error repeats at most this many characters of a wrong value."""


class Config(BaseModel):
    """Base of every section of a recipe. Values cannot be changed; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _is_of_this_world(cls, value: Any) -> Any:
        """Refuse whole numbers beyond 64 bits, because they would overflow in arrays and tables."""
        entries = value if isinstance(value, tuple) else (value,)
        if any(isinstance(entry, int) and abs(entry) > LARGEST for entry in entries):
            raise ValueError(f"give a whole number between -{LARGEST:,} and {LARGEST:,}")
        return value

    def differences(self) -> dict[str, Any]:
        """Return the values that differ from the defaults, nested as in YAML."""
        return self.model_dump(mode="json", exclude_defaults=True)


def validate(kind: type[C], values: Mapping[str, Any], where: str) -> C:
    """Build `kind` from plain values. Raises ConfigError that names the key, the value and the nearest known key.
    `where` names the origin of the values (a file, the command line)."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        lines = [_explain(kind, problem) for problem in error.errors()]
        raise ConfigError(f"{where}: " + "; ".join(dict.fromkeys(lines))) from None
    except UnicodeEncodeError as error:  # pydantic raises it for half a surrogate pair, which JSON and YAML can spell
        raise ConfigError(f"{where}: a text has no UTF-8 form: {error.reason}") from None


def _explain(kind: type[BaseModel], problem: Any) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        section, _, key = path.rpartition(".")
        known = _keys(kind, problem["loc"][:-1])
        place = f" in '{section}'" if section else ""
        return f"unknown key '{key}'{place}{nearest(key, known)}" + (f"; known: {', '.join(known)}" if known else "")
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    shown = f" (given {_short(given)})" if isinstance(given, str | int | float | bool) else ""
    return f"'{path}': {message}{shown}" if path else f"{message}"


def _short(value: Any) -> str:
    """Format a value for an error. Python refuses to print a number of thousands of digits, so its bits are counted."""
    if isinstance(value, int) and abs(value) > 10**SHOWN:
        return f"a number of {value.bit_length():,} bits"
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... of {len(text):,} characters"


def _keys(kind: type[BaseModel], path: Iterable[Any]) -> list[str]:
    """Return the field names of the section at `path`, through nested Config fields."""
    for part in path:
        field = kind.model_fields.get(str(part))
        annotation = field.annotation if field else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            kind = annotation
        elif field is not None:
            return []
    return list(kind.model_fields)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file. Raises ConfigError for a missing file, bad YAML or another kind of value."""
    try:
        text = read_text(path, LARGEST_YAML)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except FileError as error:
        raise ConfigError(error.message) from None
    try:
        values = from_yaml(text)
    except FileError as error:
        raise ConfigError(f"{path} {error.message}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a {type(values).__name__}; a recipe is a mapping such as 'name: my-run'")
    return values


def override(values: dict[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """Return a copy of `values` with each 'section.key=value' applied. Values are read as YAML (`1e-3`, `true`,
    `[a, b]`). Raises ConfigError for an assignment without '=' or through a value that is not a section."""
    result = _copy(values)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ConfigError(f"'{assignment}' is not an override", "write section.key=value, such as train.steps=500")
        section: Any = result
        *parents, last = key.split(".")
        for parent in parents:
            section = section.setdefault(parent, {}) if isinstance(section, dict) else _entry(section, parent, key)
            if not isinstance(section, dict | list):
                raise ConfigError(f"cannot set '{key}': '{parent}' is a value, not a section")
        if isinstance(section, list):
            _entry(section, last, key)
            section[int(last)] = parse_value(text)
        else:
            section[last] = parse_value(text)
    return result


def _entry(entries: list[Any], number: str, key: str) -> Any:
    """Return entry `number` (from 0) of a list inside a recipe, as in 'data.sources.0.separator'."""
    if not number.isdecimal() or int(number) >= len(entries):
        raise ConfigError(f"cannot set '{key}': '{number}' is not one of the {len(entries)} entries, counted from 0")
    return entries[int(number)]


def parse_value(text: str) -> Any:
    """Read a value as YAML does, and also `1e-3`, which YAML 1.1 would read as a string."""
    try:
        value = from_yaml(text)
    except FileError:
        return text
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` changed by `change`, section by section. Lists are replaced whole."""
    result = _copy(base)
    for key, value in change.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return result


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return dotted keys for comparing and printing: {'train': {'steps': 5}} gives {'train.steps': 5}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy_value(value) for key, value in values.items()}


def _copy_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _copy(value)
    return [_copy_value(entry) for entry in value] if isinstance(value, list) else value

"""Ends of a text: the end mark, generation_config.json's end tokens, and stop strings that spell a special token."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import FileError, ModelError
from lilliput.base.files import write_json
from lilliput.base.reading import read_object

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer

NEUTRAL: dict[str, Any] = {"temperature": 1.0, "top_p": 1.0, "repetition_penalty": 1.0, "top_k": 50}
"""The settings of generation_config.json that Lilliput also has, each with the values that change nothing."""


def ends_of(folder: Path, tokenizer: Tokenizer) -> frozenset[int]:
    """Return the ids that end a text of the model in `folder`: the tokenizer's end mark and every `eos_token_id` of its
    generation_config.json. Raises ModelError where `eos_token_id` is neither an id nor a list of ids."""
    given = _settings(folder).get("eos_token_id")
    ids = [given] if isinstance(given, int) else given or []
    if not isinstance(ids, list) or not all(isinstance(number, int) and number >= 0 for number in ids):
        raise ModelError(
            f"{folder / 'generation_config.json'}: eos_token_id is {given!r}, and has to be an id or a list of ids"
        )
    return tokenizer.ends | frozenset(ids)


def write_ends(folder: Path, ends: Iterable[int]) -> None:
    """Name all ids that end a text in the generation_config.json of a model's folder, so that other programs stop there
    too."""
    write_json(folder / "generation_config.json", {**_settings(folder), "eos_token_id": sorted(ends)})


def not_taken(folder: Path) -> list[str]:
    """Return the settings of a folder's generation_config.json that apply only where the caller gives them, as
    'name=value'."""
    settings = _settings(folder)
    return [
        f"{name}={settings[name]}"
        for name, neutral in NEUTRAL.items()
        if settings.get(name) is not None and settings[name] != neutral
    ]


def special_ids(stops: Iterable[str], tokenizer: Tokenizer) -> frozenset[int]:
    """Return the ids of the stop strings that spell a special token. A search in the text never finds such a string,
    because a special token has no text."""
    found = (tokenizer.special_id(stop) for stop in stops)
    return frozenset(number for number in found if number is not None)


def _settings(folder: Path) -> dict[str, Any]:
    file = folder / "generation_config.json"
    if not file.is_file():
        return {}
    try:
        return read_object(file)
    except FileError as error:
        raise ModelError(error.message) from None

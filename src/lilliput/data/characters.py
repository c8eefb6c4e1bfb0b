"""Vocabularies of single characters: as tokenizer.json, and from nanoGPT's meta.pkl, read without unpickling it."""

from __future__ import annotations

import pickletools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from lilliput.base.errors import DataError
from lilliput.base.reading import read_bytes

LARGEST = 16 * 2**20
"""Most bytes of a meta.pkl. A vocabulary of every character of Unicode is smaller."""
ANY = r"[\s\S]"
_TEXT = frozenset(["UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "STRING"])
_PUSH = frozenset(["INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"]) | _TEXT
_KEEP, _FETCH = frozenset(["PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"]), frozenset(["GET", "BINGET", "LONG_BINGET"])
_MARK = object()


def character_vocabulary(characters: Sequence[str]) -> str:
    """Return the text of a tokenizer.json in which the id of each character is its place in `characters`.

    An unknown character is an error, here and in transformers, because the vocabulary has no unknown token."""
    from tokenizers import Regex, Tokenizer, decoders, models
    from tokenizers.pre_tokenizers import Split

    vocabulary = {character: number for number, character in enumerate(characters)}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = Split(Regex(ANY), "isolated")
    backend.decoder = decoders.Fuse()
    return backend.to_str(pretty=True)


def are_characters(spec: Mapping[str, Any]) -> bool:
    """Return whether a tokenizer.json holds a vocabulary of single characters."""
    split = {"type": "Split", "pattern": {"Regex": ANY}, "behavior": "Isolated", "invert": False}
    parts = (spec["model"].get("type"), spec["pre_tokenizer"], spec["normalizer"], bool(spec["added_tokens"]))
    return parts == ("WordLevel", split, None, False) and all(len(token) == 1 for token in spec["model"]["vocab"])


def check_known(texts: Sequence[str], vocabulary: Mapping[str, int]) -> None:
    """Raise DataError for the first character of `texts` that has no id."""
    for text in texts:
        unknown = sorted(set(text) - vocabulary.keys())
        if unknown:
            found, more = unknown[0], f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise DataError(
                f"the vocabulary of {len(vocabulary):,} characters has no {found!r} (U+{ord(found):04X}){more}",
                "leave such characters out: the model has never seen them",
            )


def read_meta(file: Path) -> str:
    """Return the vocabulary in nanoGPT's meta.pkl as a tokenizer.json. Raises DataError for a file with anything but
    dictionaries, text and integers, and for a vocabulary that is not of single characters."""
    size = file.stat().st_size
    if size > LARGEST:
        raise DataError(f"{file} is too large for a vocabulary of characters: {size:,} bytes (at most {LARGEST:,})")
    meta = _plain(read_bytes(file, LARGEST), file)
    itos, stoi = (meta.get(name) if isinstance(meta, dict) else None for name in ("itos", "stoi"))
    if not isinstance(itos, dict) or not isinstance(stoi, dict):
        raise DataError(f"{file} is not nanoGPT's meta.pkl: it has no 'itos' and 'stoi'")
    if not itos or set(itos) != set(range(len(itos))):
        raise DataError(f"{file}: its 'itos' does not number {len(itos):,} characters from 0 on")
    characters = [itos[number] for number in range(len(itos))]
    for number, character in enumerate(characters):
        if not isinstance(character, str) or len(character) != 1 or "\ud800" <= character <= "\udfff":
            raise DataError(f"{file}: entry {number} is {character!r}, not one character", "only characters are read")
    if stoi != {character: number for number, character in enumerate(characters)}:
        raise DataError(f"{file}: its 'stoi' and 'itos' contradict each other")
    return character_vocabulary(characters)


def _plain(data: bytes, file: Path) -> Any:
    """Return the value of a pickle of dictionaries, text and integers.

    This function follows the pickle's instructions itself, and knows no instruction that could name, make or call
    another object. Raises DataError."""
    stack: list[Any] = []
    kept: dict[int, Any] = {}
    try:
        for operation, value, _ in pickletools.genops(data):
            name, place = operation.name, cast("int", value)
            if name in _PUSH:
                stack.append(value)
            elif name == "MARK":
                stack.append(_MARK)
            elif name == "EMPTY_DICT":
                stack.append({})
            elif name == "DICT":
                stack.append(_pairs(stack))
            elif name == "SETITEM":
                number, key = stack.pop(), stack.pop()
                stack[-1].update({key: number})
            elif name == "SETITEMS":
                pairs = _pairs(stack)
                stack[-1].update(pairs)
            elif name in _KEEP:
                kept[len(kept) if value is None else place] = stack[-1]
            elif name in _FETCH:
                stack.append(kept[place])
            elif name == "STOP":
                return stack.pop()
            elif name not in ("PROTO", "FRAME"):
                raise DataError(
                    f"{file} holds more than dictionaries, text and integers ({name}), and is not read",
                    "keep the vocabulary only: pickle.dump({'itos': ..., 'stoi': ...}, file)",
                )
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise DataError(f"{file} is not a whole pickle: {error or type(error).__name__}") from None
    raise DataError(f"{file} is not a whole pickle: it has no end")


def _pairs(stack: list[Any]) -> dict[Any, Any]:
    """Take keys and values off the stack, down to the last mark and including it."""
    items: list[Any] = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    items.reverse()
    return dict(zip(items[::2], items[1::2], strict=True))

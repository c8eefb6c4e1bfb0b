"""GGUF's tokenizer keys: writing a tokenizer's keys with its pre-split named, and making a tokenizer of these keys."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.base.errors import ExportError
from lilliput.data.kinds import marks_spaces
from lilliput.data.patterns import PATTERNS, byte_level
from lilliput.data.tokenizer import Tokenizer
from lilliput.data.tokenizer_bounds import check_pieces, trusted
from lilliput.data.tokenizer_training import BYTES, byte_pieces, sentencepiece_backend
from lilliput.formats.merges import merges_of, scores_of

if TYPE_CHECKING:
    from gguf import GGUFWriter

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""gguf.TokenType, which needs the package."""

TYPES = "tokenizer.ggml.token_type"
BYTE_PIECES = frozenset(byte_pieces()[-BYTES:])

ROLES = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
"""Our roles by GGUF's words, as in tokenizer.ggml.bos_token_id."""


def misfits(tokenizer: Tokenizer) -> list[str]:
    """Return the parts of a tokenizer that GGUF cannot store."""
    if tokenizer.kind == "characters":
        return ["a tokenizer of single characters"]
    spec = json.loads(tokenizer.content)
    if tokenizer.kind == "bpe" and (name := normaliser(tokenizer)) not in (None, "NFC"):
        return [f"a tokenizer with the normaliser {name}"]
    if tokenizer.kind == "other" and not marks_spaces(spec):
        return ["a tokenizer that is neither SentencePiece-style nor byte-level BPE"]
    if tokenizer.kind == "bpe" and tokenizer.pattern is None:
        return [f"a tokenizer whose pre-split llama.cpp has no name for (named: {', '.join(PATTERNS)})"]
    kinds = ("lstrip", "rstrip", "single_word", *(["normalized"] if spec["normalizer"] else []))
    found = [(token["content"], way) for token in spec["added_tokens"] for way in kinds if token[way]]
    return [f"the added token {found[0][0]!r} with {found[0][1]}"] if found else []


def normaliser(tokenizer: Tokenizer) -> str | None:
    """The kind of a tokenizer's normaliser, which GGUF has no key for."""
    return (json.loads(tokenizer.content)["normalizer"] or {}).get("type")


def write(writer: GGUFWriter, tokenizer: Tokenizer, vocab_size: int) -> None:
    """All keys under tokenizer; ids that the model has and the tokenizer lacks are filled up as unused."""
    byte_level_ = tokenizer.kind == "bpe"
    writer.add_tokenizer_model("gpt2" if byte_level_ else "llama")
    writer.add_tokenizer_pre(str(tokenizer.pattern) if byte_level_ else "default")
    tokens = [tokenizer.token(number) or f"<unused {number}>" for number in range(vocab_size)]
    writer.add_token_list(tokens)
    writer.add_token_types(_types(tokenizer, vocab_size))
    if byte_level_:
        writer.add_token_merges([" ".join(merge) for merge in merges_of(tokenizer)])
    else:
        writer.add_token_scores(scores_of(tokenizer, tokens))
        writer.add_add_space_prefix(True)
    for role, word in ROLES.items():
        if role in tokenizer.specials and (role != "bos" or tokenizer.begins):
            writer.add_uint32(f"tokenizer.ggml.{word}_token_id", tokenizer.specials[role])
    writer.add_add_bos_token(tokenizer.begins)
    writer.add_add_eos_token(False)
    if tokenizer.chat_template is not None:
        writer.add_chat_template(tokenizer.chat_template)


def _types(tokenizer: Tokenizer, vocab_size: int) -> list[int]:
    added = json.loads(tokenizer.content)["added_tokens"]
    special = {token["id"] for token in added if token["special"]} | set(tokenizer.specials.values())
    plain = {token["id"] for token in added} - special
    types = []
    for number in range(vocab_size):
        token = tokenizer.token(number)
        if not token:
            types.append(UNUSED)
        elif number == tokenizer.specials.get("unk"):
            types.append(UNKNOWN)
        elif number in special:
            types.append(CONTROL)
        elif number in plain:
            types.append(USER_DEFINED)
        elif tokenizer.kind != "bpe" and token in BYTE_PIECES:
            types.append(BYTE)
        else:
            types.append(NORMAL)
    return types


def read(keys: dict[str, Any], file: Path) -> Tokenizer | None:
    """The tokenizer in a GGUF file's keys; None where it holds none. Raises ExportError for one of another kind."""
    model, pre = keys.get("tokenizer.ggml.model"), keys.get("tokenizer.ggml.pre", "default")
    if model is None:
        return None
    if not isinstance(model, str) or not isinstance(pre, str):
        raise ExportError(f"{file}: 'tokenizer.ggml.model' or 'tokenizer.ggml.pre' is no text")
    pieces = pieces_of(keys, file)
    types = _list(keys, "token_type", int, file, len(pieces)) if TYPES in keys else [NORMAL] * len(pieces)
    used = next((place for place in range(len(types), 0, -1) if types[place - 1] != UNUSED), 0)
    pieces, types = pieces[:used], types[:used]
    if model == "gpt2" and pre in PATTERNS:
        backend = _byte_level(pieces, _list(keys, "merges", str, file), pre)
    elif model == "llama" and pieces[: 3 + BYTES] == byte_pieces():
        scores = _list(keys, "scores", float, file, len(pieces))
        normal = [place for place, type_ in enumerate(types) if type_ == NORMAL]
        ranked = [pieces[place] for place in sorted(normal, key=lambda place: -scores[place])]
        backend = sentencepiece_backend(pieces, ranked, [], None)
    else:
        raise ExportError(
            f"{file} holds a '{model}' tokenizer with the pre-split '{pre}'",
            f"read are: llama (SentencePiece with byte fallback), and gpt2 with {', '.join(PATTERNS)}",
        )
    return _finished(backend, pieces, types, keys, file)


def _finished(backend: Any, pieces: list[str], types: list[int], keys: dict[str, Any], file: Path) -> Tokenizer:
    """The tokenizer with its special and user-defined tokens, and the marks that the keys name."""
    from tokenizers import AddedToken

    model, pre = keys["tokenizer.ggml.model"], keys.get("tokenizer.ggml.pre", "default")
    control = [piece for piece, type_ in zip(pieces, types, strict=True) if type_ in (CONTROL, UNKNOWN)]
    backend.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in control])
    own = [piece for piece, type_ in zip(pieces, types, strict=True) if type_ == USER_DEFINED]
    backend.add_tokens([AddedToken(piece, special=False, normalized=False) for piece in own])
    ids = {role: keys.get(f"tokenizer.ggml.{word}_token_id") for role, word in ROLES.items()}
    names = {role: pieces[number] for role, number in ids.items() if type(number) is int and 0 <= number < len(pieces)}
    begins = keys.get("tokenizer.ggml.add_bos_token", model == "llama" or pre == "llama-bpe")
    return Tokenizer(backend.to_str(pretty=True), names, bool(begins))


def pieces_of(keys: dict[str, Any], file: Path) -> list[str]:
    """The vocabulary's pieces. Raises ExportError where there are none, or two are alike."""
    pieces = _list(keys, "tokens", str, file)
    check_pieces(pieces, str(file))
    if len(set(pieces)) < len(pieces):
        piece, count = Counter(pieces).most_common(1)[0]
        raise ExportError(f"{file}: the vocabulary holds {piece!r} {count} times")
    return pieces


def _list(keys: dict[str, Any], name: str, kind: type, file: Path, count: int | None = None) -> list[Any]:
    """A list of the tokenizer's keys, all of its entries of `kind`."""
    found = keys.get(f"tokenizer.ggml.{name}")
    if not isinstance(found, list) or not all(type(entry) is kind for entry in found):
        raise ExportError(f"{file}: 'tokenizer.ggml.{name}' is {'not there' if found is None else 'of a wrong type'}")
    if count is not None and len(found) != count:
        raise ExportError(f"{file}: 'tokenizer.ggml.{name}' has {len(found):,} entries, and there are {count:,} pieces")
    return found


def _byte_level(pieces: list[str], merges: list[str], pattern: str) -> Any:
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models

    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    with trusted("the vocabulary's merges are not of its pieces"):
        backend = Backend(models.BPE(vocab={piece: number for number, piece in enumerate(pieces)}, merges=pairs))
    backend.pre_tokenizer = byte_level(pattern)
    backend.decoder = decoders.ByteLevel()
    return backend

"""Read others' tokenizer files: tokenizer.json, and the formats of GPT-2, SentencePiece, llama2.c and nanoGPT."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lilliput.base.errors import DataError, FileError
from lilliput.base.reading import from_json, read_bytes, read_object, read_text
from lilliput.data.beginning import begins
from lilliput.data.characters import read_meta
from lilliput.data.chat_template import ChatTemplate
from lilliput.data.files import reading
from lilliput.data.patterns import MARK
from lilliput.data.tokenizer_bounds import check_pieces, check_spec, check_vocabulary, trusted

NORMAL = 1  # SentencePiece's type of an ordinary piece


def read(path: Path) -> tuple[str, dict[str, str], bool, str | None]:
    """Return the text of a tokenizer.json, the special tokens by role from the file beside it, whether a text begins
    with the beginning mark, and the chat template of the folder. Raises DataError."""
    file = find(path)
    with reading(file):
        if file.suffix == ".pkl":
            return read_meta(file), {}, False, None
        template = _template(file.parent)
        if file.name.endswith("vocab.json"):
            return read_gpt2(file), {}, True, template
        if file.suffix == ".model":
            return read_sentencepiece(read_bytes(file), file), {}, True, template
        if file.suffix == ".bin":
            return read_llama2c(read_bytes(file), file), {}, True, template
        content = read_bytes(file)
    try:
        text = content.decode()
        check_spec(from_json(text))
    except FileError as error:
        raise DataError(f"{file} {error.message}", "make one: lilliput tokenizer train") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not JSON: {error}") from None
    settings = _settings(file.with_name("tokenizer_config.json"))
    with trusted(f"{file} is not a tokenizer.json that 'tokenizers' can read"):
        return text, _names(settings), begins(text, settings, file), template


def find(path: Path) -> Path:
    """Return the tokenizer file of a path: the path itself, or a file in its folder (a checkpoint, a run, a run's
    name)."""
    path = path.expanduser()
    if not path.exists() and (Path("runs") / path).is_dir():
        path = Path("runs") / path
    if path.is_file():
        return path
    if not path.is_dir():
        raise DataError(
            f"there is no tokenizer at {path}", "make one: lilliput tokenizer train --data FILES --out FOLDER"
        )
    for folder in (path, path / "model", *sorted(path.glob("checkpoints/step-*/model"), reverse=True)):
        for pattern in ("tokenizer.json", "*vocab.json", "tokenizer.model", "tokenizer.bin", "meta.pkl"):
            for file in sorted(folder.glob(pattern)):
                return file
    raise DataError(f"the folder {path} holds no tokenizer.json", "make one: lilliput tokenizer train --out FOLDER")


def _template(folder: Path) -> str | None:
    """Return the Jinja text of the folder's chat template."""
    try:
        found = ChatTemplate.find(folder)
    except FileError as error:
        raise DataError(error.message) from None
    return found.source if found else None


def _settings(file: Path) -> dict[str, Any]:
    """Return the values of a tokenizer_config.json; an empty dictionary without such a file."""
    if not file.is_file():
        return {}
    try:
        return read_object(file)
    except FileError as error:
        raise DataError(error.message) from None


def _names(settings: dict[str, Any]) -> dict[str, str]:
    """Return the special tokens by role."""
    names = {}
    for role in ("bos", "eos", "pad", "unk"):
        value = settings.get(f"{role}_token")
        value = value.get("content") if isinstance(value, dict) else value
        if isinstance(value, str):
            names[role] = value
    return names


def read_gpt2(file: Path) -> str:
    """Return GPT-2's pair of files, NAMEvocab.json and NAMEmerges.txt, as a tokenizer.json with GPT-2's pattern."""
    from tokenizers import AddedToken, Tokenizer, decoders, models

    from lilliput.data.patterns import byte_level

    merges = file.with_name(file.name.removesuffix("vocab.json") + "merges.txt")
    if not merges.is_file():
        raise DataError(f"{file} needs {merges.name} beside it, which is missing")
    # Both files are read here, because the library has no bound: it would read a device for ever.
    lines = read_text(merges).split("\n")
    pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    if wrong := next((pair for pair in pairs if len(pair) != 2), None):
        raise DataError(f"{merges}: {' '.join(wrong)[:60]!r} is no pair of pieces")
    known = read_object(file)
    try:
        check_vocabulary(known)
    except FileError as error:
        raise DataError(f"{file} {error.message}") from None
    with trusted(f"{file} and {merges.name} are not a vocabulary and its merges"):
        model = models.BPE(vocab=known, merges=[(left, right) for left, right in pairs])
    backend = Tokenizer(model)
    backend.pre_tokenizer = byte_level("gpt-2")
    backend.decoder = decoders.ByteLevel()
    if backend.token_to_id("<|endoftext|>") is not None:
        backend.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    return backend.to_str(pretty=True)


def read_sentencepiece(data: bytes, file: Path) -> str:
    """Return a SentencePiece BPE model with byte fallback as a tokenizer.json (its ModelProto, field 1: piece, score,
    type)."""
    try:
        pieces = [_piece(value) for field, value in _fields(data) if field == 1]
    except (IndexError, ValueError, struct.error, TypeError, AttributeError):
        raise DataError(f"{file} is not a SentencePiece model") from None
    return _from_scores([piece for piece, _, _ in pieces], [s if t == NORMAL else None for _, s, t in pieces], file)


def _piece(data: bytes) -> tuple[str, float, int]:
    fields = {1: b"", 2: b"\0\0\0\0", 3: NORMAL} | dict(_fields(data))
    return fields[1].decode(), struct.unpack("<f", fields[2])[0], fields[3]


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of each field of a protobuf message."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        if tag & 7 == 0:
            value, position = _varint(data, position)
        else:
            size, position = (
                (4, position) if tag & 7 == 5 else (8, position) if tag & 7 == 1 else _varint(data, position)
            )
            if tag & 7 not in (1, 2, 5) or position + size > len(data):
                raise IndexError(position)
            value, position = data[position : position + size], position + size
        yield tag >> 3, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):  # 64 bits at most
        byte = data[position]
        value |= (byte & 127) << shift
        position += 1
        if byte < 128:
            return value, position
    raise IndexError(position)


def read_llama2c(data: bytes, file: Path) -> str:
    """Return llama2.c's tokenizer.bin as a tokenizer.json. The file holds the longest piece's length (int32), then for
    each piece its score (float32), length (int32) and bytes. The first pieces are unknown, beginning, end and 256
    bytes. Spaces are written as spaces."""
    pieces: list[str] = []
    scores: list[float | None] = []
    position = 4
    try:
        while position < len(data):
            score, size = struct.unpack_from("<fi", data, position)
            position += 8 + size
            if size < 0 or position > len(data):
                raise ValueError(size)
            pieces.append(data[position - size : position].decode().replace(" ", MARK))
            scores.append(score if len(pieces) > 259 else None)
    except (struct.error, ValueError):
        raise DataError(f"{file} is not a llama2.c tokenizer") from None
    # llama2.c's writer puts newlines around the two bounds, so that they are visible when printed.
    return _from_scores(
        [piece.strip("\n") if place in (1, 2) else piece for place, piece in enumerate(pieces)], scores, file
    )


def _from_scores(pieces: Sequence[str], scores: Sequence[float | None], file: Path) -> str:
    """Return a tokenizer.json made of pieces and their scores. The score is None for bounds and bytes, which no merge
    makes."""
    from lilliput.data.tokenizer_training import BYTES, byte_pieces, sentencepiece_backend

    check_pieces(pieces, str(file))
    if list(pieces[: 3 + BYTES]) != byte_pieces():
        raise DataError(f"{file}: only vocabularies that begin with <unk> <s> </s> and 256 bytes can be read")
    ordinary = [(score, piece) for piece, score in zip(pieces, scores, strict=True) if score is not None]
    ranked = [piece for _, piece in sorted(ordinary, key=lambda entry: -entry[0])]
    backend = sentencepiece_backend(pieces, ranked, [], None)
    return backend.to_str(pretty=True)

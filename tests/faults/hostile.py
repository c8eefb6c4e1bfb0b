"""Hostile files for every reader of the list: cut, flipped, of other types, with counts and depths beyond all sense.

A file under a megabyte is read, or refused in one line, within the budgets of time and memory of a case.
"""

from __future__ import annotations

import copy
import errno
import gzip
import importlib.util
import json
import os
import random
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.faults.harness import Build, Case, Lost, refused
from tests.faults.readers import READERS, Reader

Mutation = tuple[str, Callable[[Path], object]]
"""A name, and what is done to the file at a path."""

SMALL = 2**20
DEEP = 100_000
DIGITS = 5_000
NUMBERS = (-1, 0, 1.5, 10**9, 10**18, 10**30, float("inf"), float("nan"))
VALUES: tuple[Any, ...] = (*NUMBERS, None, True, "x", "", [], {}, [[]], {"x": 1}, "\ud800", "\x1b[2J\0", "x" * 100_000)
WIDE = ((-1, 4), (0, 4), (2**31 - 1, 4), (2**62, 8))
MARKER = "@@@"
BITS = 40
EACH = 5
"""Values of other kinds that each value of a JSON or YAML file is replaced by."""
FIELDS = 14
"""Fields of four bytes from the start of a binary file that are overwritten."""


def cases(build: Build) -> Iterator[Case]:
    """Every mutation of every reader's file."""
    for reader in READERS:
        if reader.needs is not None and importlib.util.find_spec(reader.needs) is None:
            continue
        made = build(f"hostile-{reader.name.replace(' ', '-')}", reader.fill)
        yield Case("hostile: as it was", reader.name, _case(reader, made, lambda path: None, accepted=True))
        for name, change in mutations(reader, made / reader.file):
            yield Case(f"hostile: {reader.form}", f"{reader.name}: {name}", _case(reader, made, change))
    yield from _commands()


def _case(
    reader: Reader, made: Path, change: Callable[[Path], object], accepted: bool = False
) -> Callable[[Path], object]:
    def run(folder: Path) -> None:
        place = folder / "input"
        shutil.copytree(made, place, symlinks=True)
        path = place / reader.file
        change(path)
        try:
            reader.read(path)
        except OSError as error:  # the command prints its one line of these as well
            if accepted or error.errno is None or error.errno in (errno.ENOMEM, errno.EMFILE):
                raise
        except Exception as error:
            if accepted:
                raise Lost(f"{reader.name} was not read as it was written: {error}") from error
            raise

    return run


def mutations(reader: Reader, file: Path) -> Iterator[Mutation]:
    """What is done to a file of the reader: what any file may suffer, and what its form may."""
    yield from _files(reader.endless)
    data = file.read_bytes()
    if reader.form == "binary":
        yield from _binary(len(data))
    else:
        yield from _cut()
    if reader.form == "text":
        yield from _texts()
    if reader.form in ("json", "yaml"):
        yield from _values(data, reader.form)


def _write(data: bytes | Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """The file replaced, or changed by a function of its bytes; nothing is made before the case runs."""
    return lambda path: path.write_bytes(data if isinstance(data, bytes) else data(path.read_bytes()))


def _instead(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


def _files(endless: bool) -> Iterator[Mutation]:
    """What is no regular file, or holds nothing of its form."""
    yield "a pipe", _instead(os.mkfifo)
    yield "a folder", _instead(os.mkdir)
    yield "a link to nothing", _instead(lambda path: path.symlink_to("nothing"))
    yield "a link to itself", _instead(lambda path: path.symlink_to(path.name))
    yield "a link to /dev/zero", _instead(lambda path: path.symlink_to("/dev/zero"))
    yield "without permission", lambda path: path.chmod(0)
    yield "empty", _write(b"")
    yield "a NUL", _write(b"\0")
    yield "a megabyte of NUL", _write(bytes(SMALL))
    yield "a megabyte of spaces", _write(b" " * SMALL)
    yield "a megabyte of line ends", _write(b"\n" * SMALL)
    yield "noise", _write(random.Random(1).randbytes(SMALL))
    if not endless:
        yield "a terabyte that is not there", lambda path: os.truncate(path, 2**40)


def _cut() -> Iterator[Mutation]:
    for part in (1, 3, 5, 7):
        yield f"cut at {part} of 8", _write(lambda data, part=part: data[: len(data) * part // 8])
    yield "twice", _write(lambda data: data + data)
    yield (
        "with bytes that are no text",
        _write(lambda data: data[: len(data) // 2] + b"\xff\xfe\x80" + data[len(data) // 2 :]),
    )
    yield "in UTF-16", _write(lambda data: data.decode("utf-8", "replace").encode("utf-16"))


def _binary(size: int) -> Iterator[Mutation]:
    for part in range(1, 8):
        yield f"cut at {part} of 8", _write(lambda data, part=part: data[: len(data) * part // 8])
    yield "with more behind it", _write(lambda data: data + b"\xff" * 1000)
    for place in range(0, min(4 * FIELDS, size - 8), 4):
        for value, width in WIDE:
            yield f"{value} in {width} bytes at {place}", _write(_field(place, value, width))
    rng = random.Random(size)
    for place in sorted(rng.sample(range(size), min(BITS, size))):
        yield f"a bit at {place}", _write(_bit(place, rng.randrange(8)))
    yield "its start, then its last byte", _write(lambda data: data[:64] + data[-1:] * (SMALL - 64))
    yield "its start, then bytes 0x80", _write(lambda data: data[:64] + b"\x80" * (SMALL - 64))


def _field(place: int, value: int, width: int) -> Callable[[bytes], bytes]:
    raw = struct.pack("<Q", value % 2**64)[:width]
    return lambda data: data[:place] + raw + data[place + width :]


def _bit(place: int, bit: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def _texts() -> Iterator[Mutation]:
    yield "one line", _write(lambda data: data.replace(b"\n", b" ") * (SMALL // len(data)))
    yield "one word", _write(b"a" * SMALL)
    yield "emoji without a break", _write("😀".encode() * (SMALL // 4))
    yield "brackets", _write(b"[" * SMALL)
    yield "braces", _write(b'{"text":' * (SMALL // 8))
    yield "quotes", _write(b'"' * SMALL)
    yield "one quote", _write(lambda data: b'"' + data * (SMALL // len(data) - 1))
    yield "control characters", _write(b"\x1b[2J\x07\x08" * 1000)
    yield "a number without end", _write(b'{"text": ' + b"1" * DIGITS + b"}")
    yield "a half of a pair", _write(b'{"text": "\\ud800"}\n')
    yield (
        "a loop without end",
        _write(b"{% for a in range(10**9) %}{% for b in range(10**9) %}x{% endfor %}{% endfor %}"),
    )
    yield "a product of text", _write(b"{{ 'x' * 10**10 }}")


def _values(data: bytes, form: str) -> Iterator[Mutation]:
    """Every value of a JSON or YAML file by each of other kinds, and gone; depth, aliases, numbers without end."""

    def dumped(value: Any) -> bytes:
        text = json.dumps(value) if form == "json" else yaml.safe_dump(value)
        return text.encode("utf-8", "surrogatepass")

    known = json.loads(data) if form == "json" else yaml.safe_load(data)
    for value in VALUES:
        yield f"{_named(value)} at the root", _safe(dumped, lambda value=value: value)
    rng = random.Random(len(data))
    for path in _paths(known):
        where = ".".join(map(str, path))
        yield f"{where} is gone", _safe(dumped, lambda path=path: _gone(known, path))
        for value in rng.sample(VALUES, EACH):
            yield f"{where} = {_named(value)}", _safe(dumped, lambda path=path, value=value: _put(known, path, value))
        name, text = rng.choice((("a number without end", b"1" * DIGITS), ("depth without end", b"[" * DEEP)))
        yield f"{where} = {name}", _safe(lambda text: text, _frame(dumped, known, path, text))
    yield "depth without end", _write(b'{"a":' * DEEP)
    yield "closed depth", _write(b"[" * 5000 + b"]" * 5000)
    if form == "yaml":
        yield from _yaml()


def _yaml() -> Iterator[Mutation]:
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 15)]
    yield "aliases of aliases", _write("\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x]", *lines]).encode())
    merged = [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 15)]
    yield "merges of merges", _write("\n".join(["a0: &a0 {x: 1}", *merged]).encode())
    yield "an alias of itself", _write(b"model: &m {d_model: *m}")
    yield "a list of itself", _write(b"&a [*a]")
    yield "depth by dashes", _write(b"- " * DEEP)
    yield "a number in base 60", _write(b"seed: " + b"1:" * DIGITS + b"1")
    for tag in (
        "!!python/object/apply:os.system [true]",
        "!!bool x",
        "!!int ''",
        "!!timestamp x",
        "!!binary x",
        "2024-99-99",
    ):
        yield tag, _write(f"name: {tag}".encode())


def _frame(dumped: Callable[[Any], bytes], known: Any, path: tuple[Any, ...], text: bytes) -> Callable[[], bytes]:
    """The file with `text` as it stands at a place, where a marker is, with or without its quotes."""

    def framed() -> bytes:
        frame = dumped(_put(known, path, MARKER))
        for quote in (b'"', b"'", b""):
            if (marked := quote + MARKER.encode() + quote) in frame:
                return frame.replace(marked, text)
        raise AssertionError("the marker is not there")

    return framed


def _safe(dumped: Callable[[Any], bytes], value: Callable[[], Any]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(dumped(value()))


def _named(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 40 else f"{text[:20]}... of {len(text)}"


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of a value, of long lists and mappings the first three."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for number, (key, inner) in enumerate(entries):
        if number >= 3 and (isinstance(value, list) or len(value) > 40):
            return
        yield (*at, key)
        if len(at) < 4:
            yield from _paths(inner, (*at, key))


def _put(known: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(known)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


def _gone(known: Any, path: tuple[Any, ...]) -> Any:
    changed = copy.deepcopy(known)
    place = changed
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return changed


# ---------------------------------------------------------------------------- what has a form of its own


def _commands() -> Iterator[Case]:
    """Hostile settings through the command, which has to end with one line."""
    group = "hostile: commands"
    wrong = (
        "model.n_layers=1000000",
        "model.d_model=64000000",
        "model.context_length=1000000000000",
        "train.threads=100000",
        "train.batch_tokens=1e13",
        "train.micro_batch_tokens=1e13",
        "evaluate.sample_tokens=1e24",
        "evaluate.heroes=1e12",
        "tokenizer.vocab_size=1e12",
        "train.seconds=.inf",
        "seed=" + "9" * DIGITS,
        "model.n_heads=1.5",
        "model.n_heads=x",
        "data.sources=" + "[" * DEEP,
    )
    for setting in wrong:
        words = ("train", "story", "data.max_documents=50", "train.steps=1", setting)
        yield Case(group, f"train with {setting[:40]}", lambda folder, words=words: refused(*words))
    largest = ("train", "story", "model.d_model=131072", "model.n_layers=2048", "model.n_heads=1024")
    yield Case(group, "train what no machine holds", lambda folder: refused(*largest))
    for name in ("\x1b[2J\x07name.txt", "a\nb.txt"):
        yield Case(group, f"a name with control characters: {name!r}", lambda folder, name=name: _control(name))
    yield Case(group, "a pipe as a recipe", lambda folder: (os.mkfifo("pipe.yaml"), refused("train", "pipe.yaml")))
    yield Case(group, "gzip that unpacks to a gigabyte", _gzip_bomb)
    yield Case(group, "Parquet that unpacks to gigabytes", _parquet_bomb)


def _control(name: str) -> None:
    Path(name).mkdir()
    shown = refused("data", "show", name)
    if any(ord(character) < 32 and character not in "\n\t" for character in shown):
        raise Lost(f"control characters reach the terminal: {shown!r}")


def _gzip_bomb(folder: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    block = b"a" * SMALL
    data = b"".join(packer.compress(block) for _ in range(900)) + packer.flush()
    assert len(data) < SMALL
    Path("data.txt.gz").write_bytes(data)
    refused("data", "show", "data.txt.gz")
    Path("lines.txt.gz").write_bytes(gzip.compress(b"\n" * 300 * SMALL))
    refused("data", "show", "lines.txt.gz")


def _parquet_bomb(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": pa.array(["x" * 25_000_000]).take(pa.array([0] * 4))})
    pq.write_table(table, "data.parquet", compression="zstd")
    assert Path("data.parquet").stat().st_size < SMALL
    refused("data", "show", "data.parquet")

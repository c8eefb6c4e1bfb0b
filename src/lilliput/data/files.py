"""Files of documents: finding them, opening them through gzip, bzip2 and zstd, decoding them with byte offsets."""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import os
import shlex
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from lilliput.base.errors import DataError, MissingExtra, nearest
from lilliput.base.reading import open_regular
from lilliput.data.source import MAX_DOCUMENT_CHARACTERS, Errors, Source, hash_of

COMPRESSIONS = (".gz", ".zst", ".bz2")
BLOCK_BYTES = 2**20
MOST_UNPACKED, MOST_RATIO = 2**27, 200
"""A file may unpack to this many bytes, or to this many times its own size. Packed text takes a third to a tenth."""
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
GLOB = frozenset("*?[")


class FileSource(Source):
    """A source of files, each of which may be compressed with gzip, bzip2 or zstd."""

    paths: tuple[str, ...] = Field(
        min_length=1, description="files, globs, and folders that are searched in depth for files of this kind"
    )

    suffixes: ClassVar[tuple[str, ...]]

    def files(self) -> list[Path]:
        """Return every file, in the order of `paths` and by name within a folder. Raises DataError when there is no
        file."""
        return expand(self.paths, self.suffixes)

    def fingerprint(self) -> str:
        """Return the hash of the files' names and bytes, and of the options that decide how the files are read."""
        options = self.model_dump(mode="json", exclude={"paths", "weight", "profile"})
        return hash_of(options, [(path.name, digest(path)) for path in self.files()])

    def describe(self) -> str:
        files = self.files()
        size = sum(path.stat().st_size for path in files)
        count = f"{files[0]}" if len(files) == 1 else f"{len(files):,} files"
        return f"{self.kind}: {count}, {megabytes(size)}{self.details(files)} · {self.fingerprint()[:12]}"

    def details(self, files: Sequence[Path]) -> str:
        """Return further words of describe() for this kind, starting with a comma; '' for none."""
        return ""


def megabytes(size: int) -> str:
    """Format a size such as '3.5 MB', in units of 10^6 bytes."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,} bytes"


def kind_suffix(path: Path) -> str:
    """Return the suffix that names the kind of a file, without the suffix of compression: '.jsonl' of 'a.jsonl.gz'."""
    if path.suffix.lower() in COMPRESSIONS:
        path = path.with_suffix("")
    return path.suffix.lower()


def expand(paths: Sequence[str], suffixes: Sequence[str]) -> list[Path]:
    """Return the files that `paths` name. A folder gives its files with one of `suffixes`, and a glob gives every file
    that it matches; hidden and empty files are left out. A named file is taken whatever its suffix. Raises DataError
    for a path that does not exist, a named file that is empty, and a folder or glob without files."""
    files: list[Path] = []
    for text in paths:
        path = Path(text).expanduser()
        if path.is_dir():
            found = [entry for entry in _inside(path) if kind_suffix(entry) in suffixes]
            files += _usable(found, f"the folder {text} holds no readable {', '.join(suffixes)} file", path)
        elif path.exists():
            if not path.is_file():
                raise DataError(
                    f"{text} is not a regular file, and data is read more than once", "save it to a file first"
                )
            if path.stat().st_size == 0:
                raise DataError(f"{text} is empty (0 bytes)", "give a file with text in it")
            files.append(path)
        elif GLOB & set(text):
            files += _usable(_glob(path), f"no file matches {text}", path)
        else:
            raise _missing(text, path)
    return list(dict.fromkeys(files))


def _inside(folder: Path) -> list[Path]:
    """Return every file in a folder, sorted. Links to folders are followed, and each folder is entered once."""
    found: list[Path] = []
    entered: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders.sort()
        found += [Path(place) / name for name in names]
    return sorted(found)


def _glob(path: Path) -> list[Path]:
    parts = path.parts
    fixed = next(index for index, part in enumerate(parts) if GLOB & set(part))
    return sorted(Path(*parts[:fixed]).glob(str(Path(*parts[fixed:]))))


def _usable(found: list[Path], otherwise: str, root: Path) -> list[Path]:
    depth = len(root.parts)
    visible = [path for path in found if path.is_file() and not any(p.startswith(".") for p in path.parts[depth:])]
    files = [path for path in visible if path.stat().st_size > 0]
    if not files:
        empty = f" ({len(visible)} empty)" if visible else ""
        raise DataError(otherwise + empty, "give files, folders or globs: 'texts/*.txt'")
    return files


def _missing(text: str, path: Path) -> DataError:
    neighbours = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    where = "" if path.parent.is_dir() else f": there is no folder {path.parent}"
    return DataError(f"{text} does not exist{nearest(path.name, neighbours)}{where}", "check the path")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the errors of reading a file into a DataError that names the file."""
    try:
        yield
    except PermissionError:
        raise DataError(f"no permission to read {path}", f"allow it: chmod u+r {shlex.quote(str(path))}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        tool = {".zst": "zstd", ".bz2": "bzip2"}.get(path.suffix.lower(), "gzip")
        raise DataError(
            f"{path} is damaged: {error}",
            f"copy or download it again; test it with: {tool} -t {shlex.quote(str(path))}",
        ) from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None


def byte_blocks(path: Path) -> Iterator[bytes]:
    """Yield the decompressed bytes of a file in blocks that are never empty. Raises EOFError for an archive that is cut
    short."""
    if path.suffix.lower() == ".zst":
        yield from _bounded(path, _zstd_blocks(path))
        return
    with open_regular(path) as raw:
        if path.suffix.lower() not in (".gz", ".bz2"):
            while block := raw.read(BLOCK_BYTES):
                yield block
            return
        with gzip.open(raw) if path.suffix.lower() == ".gz" else bz2.open(raw) as file:
            yield from _bounded(path, iter(lambda: file.read(BLOCK_BYTES), b""))


def _bounded(path: Path, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the blocks that a file unpacks to. Raises DataError for a decompression bomb: far more bytes than any text
    unpacks to."""
    total, packed = 0, path.stat().st_size
    for block in blocks:
        total += len(block)
        if total > max(MOST_UNPACKED, MOST_RATIO * packed):
            raise DataError(
                f"{path}: its {packed:,} bytes unpack to more than {MOST_RATIO} times as many, as no text does",
                "unpack the file yourself where you trust it",
            )
        yield block


def _zstd_blocks(path: Path) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise MissingExtra("zstandard", "data", f"reading {path.name}") from None
    decompressor = zstandard.ZstdDecompressor()
    frame = None
    with open_regular(path) as file:
        while packed := file.read(min(BLOCK_BYTES, 2**17)):
            while packed:
                frame = frame or decompressor.decompressobj()
                try:
                    block = frame.decompress(packed)
                except zstandard.ZstdError as error:
                    raise EOFError(str(error)) from None
                if block:
                    yield block
                packed, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None:  # the library's own reader would take a cut file for a complete one
        raise EOFError("compressed file ended before the end-of-stream marker was reached")


def text_blocks(path: Path, errors: Errors) -> Iterator[str]:
    """Yield the text of a file in blocks of about 1 MB. A byte order mark at the start of the file is not part of the
    text, and a UTF-16 mark makes the file be read as UTF-16.

    Raises DataError with the byte offset (of the decompressed bytes) where the file is not UTF-8, or binary."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    offset = 0
    with reading(path):
        for block in chain(byte_blocks(path), [b""]):
            if not offset and block[:2] in UTF16 and block[:4] != codecs.BOM_UTF32_LE:
                decoder = codecs.getincrementaldecoder("utf-16")(errors)
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise not_utf8(path, offset - pending + error.start, error) from None
            if "\0" in text:
                raise binary(path, offset + max(block.find(b"\0"), 0))
            # The mark may arrive in three blocks. Until it is complete, no text is decoded.
            if offset - pending == 0:
                text = text.removeprefix("\ufeff")
            offset += len(block)
            if text:
                yield text


def not_utf8(path: Path, offset: int, error: UnicodeDecodeError) -> DataError:
    """Return the error for bytes that are not UTF-8."""
    shown = f"0x{error.object[error.start]:02x}: {error.reason}" if error.object else error.reason
    encoding = "UTF-16" if error.encoding.startswith("utf-16") else "UTF-8"
    return DataError(
        f"{path} is not {encoding} at byte {offset:,} ({shown})",
        f"put a replacement character there with data.errors=replace, or convert the file, if it is Latin-1: "
        f"{_converted(path, 'LATIN1')}",
    )


def _converted(path: Path, encoding: str) -> str:
    """Return the shell command that converts a file, compressed or not, to UTF-8."""
    tool = {".gz": "gzip -dc", ".zst": "zstd -dc", ".bz2": "bzip2 -dc"}.get(path.suffix.lower())
    file, wanted = shlex.quote(str(path)), f"iconv -f {encoding} -t UTF-8"
    return f"{f'{tool} {file} | {wanted}' if tool else f'{wanted} {file}'} > utf8{kind_suffix(path)}"


def binary(path: Path, offset: int) -> DataError:
    """Return the error for a file with NUL bytes."""
    return DataError(
        f"{path} is a binary file, not text (a NUL byte at byte {offset:,})",
        "give text (.txt), .jsonl, .csv or .parquet files, plain or compressed (.gz, .zst); UTF-16 without its byte "
        f"order mark: {_converted(path, 'UTF-16LE')}",
    )


def lines(path: Path, errors: Errors) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line with its newline) for every line. Raises DataError for a line longer than the
    largest document."""
    rest, number = "", 0
    for block in text_blocks(path, errors):
        parts = (rest + block).split("\n")
        rest = parts.pop()
        for part in parts:
            number += 1
            yield number, part + "\n"
        if len(rest) > MAX_DOCUMENT_CHARACTERS:
            raise DataError(
                f"{path}: line {number + 1:,} is longer than {MAX_DOCUMENT_CHARACTERS:,} characters, the most that is "
                "held in memory",
                "split it into several documents, one a line",
            )
    if rest:
        yield number + 1, rest


def digest(path: Path) -> str:
    """Return the hex hash of a file's bytes on disk. Raises DataError where the file cannot be read."""
    with reading(path):
        status = path.stat()
        return _digest(path.absolute(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _digest(path: Path, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()

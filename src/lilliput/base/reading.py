"""Read others' files with bounds: only regular files, and JSON and YAML of bounded size, depth and repetition.

No reader trusts a file's own account of itself. Every reader of settings uses this file: a pipe does not block, and
deep nesting, aliases and very long numbers are refused before they cost memory or time."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO

from lilliput.base.errors import FileError

LARGEST_BYTES = 2**28
"""Most bytes of a file that is read whole. The largest known tokenizer.json has a tenth of it."""
LARGEST_YAML = 2**18
"""Most characters of a YAML text: ten times a recipe with every key, and a second or two of parsing."""
DEEPEST = 64
"""Most levels of nested lists and mappings. No settings nest deeper, and Python's stack is bounded."""
MOST_VALUES = 100_000
"""Most values of a YAML text. An alias counts as all values that it repeats."""
HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""JSON's spelling of half a surrogate pair. Two halves are a character."""
LONGEST_NUMBER = 40
"""Most characters of a number. A 64-bit integer has 20, and a float has 25 with its sign and exponent."""


def open_regular(path: Path | str) -> BinaryIO:
    """Open the regular file at `path` for reading bytes. Raises OSError for a file that cannot be opened, and at once
    for a pipe, a device, a socket or a folder."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except ValueError:
        raise FileError(f"{str(path)!r} cannot name a file: it holds a NUL") from None
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file (a pipe or a device)", str(path))
        return open(descriptor, "rb")  # closes the descriptor with the file
    except BaseException:
        os.close(descriptor)
        raise


def check_regular(path: Path | str) -> None:
    """Raise OSError where `open_regular` does. This is for a library that opens files by their names."""
    open_regular(path).close()


def read_bytes(path: Path | str, largest: int = LARGEST_BYTES) -> bytes:
    """Return the bytes of a regular file. Raises OSError, and FileError for more than `largest` bytes."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > largest:
            raise FileError(f"{path} is too large: {size:,} bytes, and at most {largest:,} are read")
        return file.read()


def read_text(path: Path | str, largest: int = LARGEST_BYTES, errors: str = "strict") -> str:
    """Return the text of a regular UTF-8 file, with line ends as `\\n`. Raises OSError, and FileError for other
    bytes."""
    try:
        text = read_bytes(path, largest).decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not UTF-8 at byte {error.start:,}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: Path | str) -> Any:
    """Return the value in a JSON file. Raises OSError, and FileError for text that is not JSON or exceeds the
    bounds."""
    text = read_text(path)
    try:
        return from_json(text)
    except FileError as error:
        raise FileError(f"{path} {error.message}") from None


def read_object(path: Path | str) -> dict[str, Any]:
    """Return the object in a JSON file. Raises OSError, and FileError also for any other value."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise FileError(f"{path} holds a JSON {_kind(value)}, not an object")
    return value


def inner(values: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the object under a key of an object from a file of others; an empty object where there is none."""
    found = values.get(key)
    return found if isinstance(found, dict) else {}


def from_json(text: str) -> Any:
    """Return the value in a JSON text. Raises FileError, whose message continues a sentence that begins with the file's
    name: "is not valid JSON: ..."."""
    try:
        value = json.loads(text, parse_int=_integer)
    except FileError:
        raise
    except RecursionError:
        raise FileError(f"is nested more than {DEEPEST} levels deep") from None
    except ValueError as error:
        raise FileError(f"is not valid JSON: {error}") from None
    if text.count("[") + text.count("{") > DEEPEST:
        _check_depth(value)
    if HALF.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise FileError(f"holds a text without a UTF-8 form: {error.reason}") from None
    return value


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise FileError(f"holds a number of {len(digits):,} digits")
    return int(digits)


def _check_depth(value: Any) -> None:
    """Check the depth level by level. A recursive check would itself overflow the stack on a deep value."""
    level = [value]
    for _ in range(DEEPEST):
        inner = [entry.values() if isinstance(entry, dict) else entry for entry in level]
        level = [entry for entries in inner for entry in entries if isinstance(entry, dict | list)]
        if not level:
            return
    raise FileError(f"is nested more than {DEEPEST} levels deep")


def from_yaml(text: str) -> Any:
    """Return the value in a YAML text of one document: mappings, lists, text, numbers, dates, truth values and null.
    Raises FileError, whose message continues a sentence that begins with the file's name."""
    import yaml

    if len(text) > LARGEST_YAML:
        raise FileError(f"is too large for YAML: {len(text):,} characters, and at most {LARGEST_YAML:,} are read")
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None
        _check_node(yaml, root)
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise FileError(f"is not valid YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise FileError(f"is nested more than {DEEPEST} levels deep") from None
    except FileError:
        raise
    except (ValueError, KeyError, IndexError, AttributeError) as error:  # of 2024-99-99, `!!bool x`, `!!int ''`
        raise FileError(f"is not valid YAML: a value does not fit its kind ({error})") from None
    finally:
        if loader is not None:
            loader.dispose()


def _check_node(yaml: Any, root: Any) -> None:
    """Check depth and size, with every alias written out, and the length of numbers, before any value is built."""
    known: dict[int, tuple[int, int]] = {}
    inside: set[int] = set()

    def measure(node: Any, depth: int) -> tuple[int, int]:
        """Return (values, levels) of a node. A node that an alias repeats is measured once."""
        line = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode):
            if node.tag.endswith((":int", ":float")) and len(node.value) > LONGEST_NUMBER:
                raise FileError(f"holds a number of {len(node.value):,} digits (line {line})")
            return 1, 0
        if id(node) in inside:
            raise FileError(f"holds an alias of itself (line {line})")
        if id(node) not in known:
            inside.add(id(node))
            values, levels = 1, 0
            pairs = isinstance(node, yaml.MappingNode)
            for child in (part for pair in node.value for part in pair) if pairs else node.value:
                more, deeper = measure(child, depth + 1)
                values, levels = values + more, max(levels, deeper + 1)
                if values > MOST_VALUES:
                    raise FileError(f"expands to more than {MOST_VALUES:,} values, by aliases of aliases")
            inside.discard(id(node))
            known[id(node)] = values, levels
        if depth + known[id(node)][1] > DEEPEST:
            raise FileError(f"is nested more than {DEEPEST} levels deep (line {line})")
        return known[id(node)]

    measure(root, 0)


def _kind(value: Any) -> str:
    names = {list: "list", str: "text", bool: "truth value", type(None): "null"}
    return names.get(type(value), "number")

"""Checks of others' tokenizer files: their parts, bounds on ids and pieces, and patterns that cannot take for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lilliput.base.errors import DataError, FileError
from lilliput.base.reading import from_json

LARGEST_ID = 2**21
"""Ids are below this number, eight times the largest known vocabulary. The bound is needed because a table has a row
for every id up to the largest."""
LONGEST_PIECE = 1024
"""Most characters of a piece. The bound is needed because the merges of a piece are searched at every place inside
it."""
LONGEST_PATTERN = 5000
MOST_REPEATS = 1000
OPEN_REPEATS = 3
"""Most endless repeats in one alternative. The time to find that an alternative does not match grows with the text's
length to this power."""
PARTS = frozenset(["added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model"])


@contextmanager
def trusted(what: str) -> Iterator[None]:
    """Turn every error of the library `tokenizers` into a DataError that begins with `what`. The library raises bare
    Exceptions, and a panic of its Rust code is not even a subclass of Exception."""
    try:
        yield
    except DataError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise DataError(f"{what}: {error}") from None


def check_spec(spec: Any) -> None:
    """Raise FileError for a value that is not a tokenizer.json, or that would cost unbounded memory or time."""
    if not isinstance(spec, dict) or not isinstance(spec.get("model"), dict):
        raise FileError("is not a tokenizer.json: it has no 'model'")
    added = spec.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        raise FileError("is not a tokenizer.json: its 'added_tokens' are no list of objects")
    vocabulary = spec["model"].get("vocab")
    for ids in (vocabulary if isinstance(vocabulary, dict) else {}, {n: t.get("id", 0) for n, t in enumerate(added)}):
        check_vocabulary(ids)
    prefix, merges = spec["model"].get("continuing_subword_prefix"), spec["model"].get("merges")
    if prefix and merges and not (isinstance(prefix, str) and _all_go_on(merges, prefix)):
        # `tokenizers` cuts the prefix's length off each right half unchecked. Where it cannot, it ends the process.
        raise FileError(f"has merges whose right halves do not begin with its prefix {str(prefix)[:20]!r}")
    for pattern in _patterns([spec.get(part) for part in ("normalizer", "pre_tokenizer", "decoder", "post_processor")]):
        check_pattern(pattern)


def _all_go_on(merges: Any, prefix: str) -> bool:
    """Return whether the right half of every merge begins with `prefix`, the mark of a piece that continues a word."""
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges] if _is_list(merges) else []
    return all(_is_list(pair) and len(pair) == 2 and str(pair[1]).startswith(prefix) for pair in pairs)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def check_vocabulary(ids: Mapping[Any, Any]) -> None:
    """Raise FileError for an id out of range. The bound is needed because `tokenizers` goes through all numbers up to
    the largest id."""
    for number in ids.values():
        if type(number) is not int or not 0 <= number < LARGEST_ID:
            raise FileError(f"has the id {str(number)[:40]}: ids are whole numbers from 0 to {LARGEST_ID - 1:,}")


def checked(content: str) -> str:
    """Return the text of a tokenizer.json unchanged. Raises DataError where `check_spec` refuses it."""
    try:
        check_spec(from_json(content))
    except FileError as error:
        raise DataError(f"the tokenizer {error.message}") from None
    return content


def complete(content: str) -> str:
    """Return the text of a tokenizer.json with every part. Missing parts are added as `tokenizers` writes them."""
    from tokenizers import Tokenizer as Backend

    return content if from_json(content).keys() >= PARTS else Backend.from_str(content).to_str(pretty=True)


def _patterns(parts: list[Any]) -> Iterator[str]:
    """Yield every regular expression in the parts of a tokenizer.json, at any depth."""
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if isinstance(part.get("Regex"), str):
                yield part["Regex"]
            parts += part.values()
        elif isinstance(part, list):
            parts += part


def spelled_bytes(token: str, alphabet: Mapping[str, int]) -> bytes:
    """Return the bytes that a token of byte-level BPE spells. Raises DataError for a character that spells no byte."""
    try:
        return bytes(alphabet[character] for character in token)
    except KeyError as error:
        raise DataError(f"the token {token[:40]!r} holds {error}, which spells no byte") from None


def check_pieces(pieces: Sequence[str], where: str) -> None:
    """Raise DataError for a vocabulary of too many or too long pieces."""
    if len(pieces) > LARGEST_ID:
        raise DataError(f"{where} has {len(pieces):,} pieces, of at most {LARGEST_ID:,}")
    longest = max(map(len, pieces), default=0)
    if longest > LONGEST_PIECE:
        raise DataError(f"{where} has a piece of {longest:,} characters, of at most {LONGEST_PIECE:,}")


# ---------------------------------------------------------------------------- regular expressions

_TOKEN = re.compile(
    r"""(?P<escape>\\(?:[pPxk]\{[^}]*\}|.))|(?P<set>\[)|(?P<close>\))|(?P<bar>\|)
    |(?P<open>\((?:\?(?:<[=!]|<\w+>|[=!:>]|[imsx-]*:|[imsx-]+\)|\#[^)]*\)))?)
    |(?P<repeat>(?:[*+?]|\{(?:\d+(?:,\d*)?|,\d+)\})[?+]?)|(?P<other>.)""",
    re.X | re.S,
)


class _Group:
    """The part of a group that has been read: whether its length or its choice is open, and its endless repeats."""

    def __init__(self) -> None:
        self.varies = False
        self.endless = 0
        self.most = 0

    def alternative(self) -> None:
        self.most, self.endless = max(self.most, self.endless), 0


def check_pattern(pattern: str) -> None:
    """Raise FileError for a regular expression whose matching can take exponential time, or a high power of a text's
    length.

    Such patterns have a repeated group that repeats or chooses inside itself, back references, or many endless repeats
    in a row. No published tokenizer has such a pattern: published patterns split text into runs of letters, digits,
    signs and white space."""
    if len(pattern) > LONGEST_PATTERN:
        raise FileError(f"has a regular expression of {len(pattern):,} characters, of at most {LONGEST_PATTERN:,}")
    groups, last, place, times = [_Group()], None, 0, 1
    while place < len(pattern):
        match = _TOKEN.match(pattern, place)
        assert match is not None, "the last alternative takes any character"
        place, kind, text = match.end(), match.lastgroup, match[0]
        if kind == "escape" and (text[1] in "123456789" or text.startswith("\\k")):
            raise _refused(pattern, "a back reference")
        if kind == "set":
            place = _set_end(pattern, place)
        elif kind == "open" and not text.endswith(")"):
            groups.append(_Group())
        elif kind == "bar":
            groups[-1].varies = True
            groups[-1].alternative()
        elif kind == "close" and len(groups) > 1:
            last = groups.pop()
            last.alternative()
            groups[-1].varies |= last.varies
            groups[-1].endless += last.most
        elif kind == "repeat":
            _repeat(pattern, text, groups[-1], last)
            times *= max([1, *_counts(text)])
            if times > MOST_REPEATS:
                raise _refused(pattern, f"more than {MOST_REPEATS:,} repeats")
        if kind != "close":
            last = None
        groups[-1].most = max(groups[-1].most, groups[-1].endless)
        if groups[-1].most > OPEN_REPEATS:
            raise _refused(pattern, f"more than {OPEN_REPEATS} endless repeats in a row")


def _repeat(pattern: str, text: str, outer: _Group, inner: _Group | None) -> None:
    """Count a repeat of the group that was just closed, or of a single character where `inner` is None."""
    counts = _counts(text)
    endless = text[0] in "*+" or (text[0] == "{" and text.rstrip("?+}").endswith(","))
    once = text[0] == "?" or (counts and max(counts) <= 1 and not endless)
    if inner is not None and not once and (inner.varies or inner.endless or inner.most):
        raise _refused(pattern, "a repeated group that repeats or chooses inside itself")
    outer.varies |= not (counts and len(counts) == 1 and "," not in text)
    outer.endless += endless


def _counts(repeat: str) -> list[int]:
    return [int(count[:9]) for count in re.findall(r"\d+", repeat)]


def _set_end(pattern: str, place: int) -> int:
    """Return the end of a set such as [^\\s[a-z]]. Sets may lie within sets."""
    depth = 1
    place += pattern.startswith("^", place)
    place += pattern.startswith("]", place)
    while place < len(pattern) and depth:
        place += 2 if pattern[place] == "\\" else 1
        before = pattern[place - 1 : place]
        if pattern[place - 2 : place - 1] != "\\":
            depth += (before == "[") - (before == "]")
    return place


def _refused(pattern: str, why: str) -> FileError:
    shown = pattern if len(pattern) <= 60 else f"{pattern[:60]}..."
    return FileError(f"has the regular expression {shown!r} with {why}: it may take for ever, and is not used")

"""Words of many texts at once: characters in arrays, the words among them, and hashes of the words.

A text is an array of characters here, and its words are found by comparing arrays. So a word is never a Python string,
and megabytes are split in tenths of a second. English is split nearly as spaCy splits it.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np

WORD, LETTER, DIGIT, SPACE, MARK, VOWEL = 1, 2, 4, 8, 16, 32
"""Classes of characters, as bits."""
VOWELS = "aeiouyàáâäæèéêëìíîïòóôöœùúûü"
LARGEST = 0x10000
"""Characters from here on, such as emoji, are words by themselves."""
PUNCTUATION = "!\"#%&'()*+,-./:;<=>?@[\\]^_`{|}~–—―‘’“”„«»…•·、。【】《》「」（），．：；？！％～−∶´"
"""Characters that make no word by themselves, beside control characters. "$" makes one."""
APOSTROPHES = tuple(map(ord, "'’"))
JOINTS = tuple(map(ord, ".,:/"))
"""Characters that join the parts of a number: 2,000 and 12:30."""
ENDINGS = ("s", "S", "ll", "re", "ve", "d", "m")
"""What follows an apostrophe in a word of its own: Tom 's."""
TITLES = ("Mr", "Mrs", "Ms", "Dr", "St", "Mt", "Jr", "Sr", "Prof", "Gen", "Sen", "Rep", "Gov", "Co", "Inc", "Ltd", "vs")
TITLES += ("Jan", "Feb", "Aug", "Sept", "Oct", "Nov", "Dec")
"""Words whose full stop belongs to them."""
BASE = np.uint64(0x9E3779B97F4A7C15)
"""The base of the hashes of words and sequences: odd, so that it has an inverse modulo 2^64."""


@cache
def _table() -> np.ndarray:
    """(LARGEST + 1,) uint8: the classes of each character, and of all beyond."""
    found = np.zeros(LARGEST + 1, np.uint8)
    for code in range(LARGEST):
        char = chr(code)
        if char.isspace():
            found[code] = SPACE
        elif char.isalnum():
            found[code] = WORD | (LETTER if char.isalpha() else 0) | (DIGIT if char.isdigit() else 0)
        elif char in PUNCTUATION or unicodedata.category(char) == "Cc":
            found[code] = MARK
        elif char.isalpha():
            found[code] = WORD | LETTER
        if char.lower() in VOWELS:
            found[code] |= VOWEL
    return found


def classes(codes: np.ndarray) -> np.ndarray:
    """(characters,) uint8: the classes of each character."""
    return _table()[np.minimum(codes, LARGEST)]


def folded(codes: np.ndarray) -> np.ndarray:
    """The characters with capital letters of ASCII and Latin-1 as small ones."""
    upper = ((codes >= 65) & (codes <= 90)) | ((codes >= 0xC0) & (codes <= 0xDE) & (codes != 0xD7))
    return codes + upper * np.uint32(32)


def _before(values: np.ndarray, by: int = 1) -> np.ndarray:
    """The values moved `by` places to the right: at each place, what stands so far before it."""
    return np.concatenate([np.zeros(by, values.dtype), values[:-by]])


def _after(values: np.ndarray, by: int = 1) -> np.ndarray:
    return np.concatenate([values[by:], np.zeros(by, values.dtype)])


def split(codes: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first character of each word and of each mark, and the character behind it."""
    word = (kinds & WORD) > 0
    own = np.zeros(len(codes), bool)  # a word begins here, although it goes on from a word
    odd = np.flatnonzero(~word & ((kinds & SPACE) == 0))  # all marks: few places, which are looked at one by one
    odd = odd[odd > 0]  # behind the last character a line end follows
    mark, left, right = codes[odd], odd - 1, odd + 1
    between = word[left] & word[right]
    digits = ((kinds[left] & kinds[right]) & DIGIT) > 0
    joined = odd[between & digits & np.isin(mark, JOINTS)]
    dots = odd[mark == ord(".")]
    left = np.maximum(dots - 2, 0)
    alone = (dots < 2) | (~word[left] & ~np.isin(codes[left], APOSTROPHES))
    single = ((kinds[dots - 1] & LETTER) > 0) & alone  # J., U.S.
    for title in TITLES:
        single |= _stands(codes, word, dots, title)
    apostrophes = odd[between & np.isin(mark, APOSTROPHES)]
    own, inside = _contracted(codes, word, apostrophes, own)
    word[joined] = True
    word[dots[single]] = True
    word[inside] = True
    starts_word = word & (~_before(word) | own)
    symbol = ~word & ((kinds & SPACE) == 0)
    again = symbol & _before(symbol) & (codes == _before(codes)) & ((codes == ord(".")) | (codes == ord("-")))
    starts = starts_word | (symbol & ~again)
    going = word | symbol
    ends = going & (~_after(going) | _after(starts))
    return np.flatnonzero(starts), np.flatnonzero(ends) + 1


def _stands(codes: np.ndarray, word: np.ndarray, places: np.ndarray, title: str) -> np.ndarray:
    """(places,) bool: whether this whole word stands before a place."""
    first = places - len(title)
    held = (first == 0) | ((first > 0) & ~word[np.maximum(first - 1, 0)])
    for place, char in enumerate(title):
        held[held] = codes[first[held] + place] == ord(char)
    return held


def _contracted(
    codes: np.ndarray, word: np.ndarray, apostrophes: np.ndarray, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where words begin within words, as n't does in don't; and the apostrophes that stand inside of a word."""
    for ending in ENDINGS:
        here = apostrophes
        for place, char in enumerate(ending, start=1):
            here = here[here + place < len(codes)]
            here = here[codes[here + place] == ord(char)]
        here = here[here + len(ending) + 1 < len(codes)]
        own[here[~word[here + len(ending) + 1]]] = True
    negations = apostrophes[(codes[apostrophes - 1] == ord("n")) & (codes[apostrophes + 1] == ord("t"))]
    own[negations[~word[np.minimum(negations + 2, len(codes) - 1)]] - 1] = True
    return own, apostrophes


def hashes_of(codes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Polynomial hashes of pieces of the characters, by differences of one running sum. The sum grows by c_i B^i; a
    piece's share of it, times B^-start, depends on the piece alone."""
    powers, inverses = _powers(len(codes))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum((codes.astype(np.uint64) + np.uint64(1)) * powers)])
    return spread((sums[ends] - sums[starts]) * inverses[starts])


_kept: tuple[np.ndarray, np.ndarray] = (np.ones(1, np.uint64), np.ones(1, np.uint64))


def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count,) uint64 each: the powers of BASE and of its inverse."""
    global _kept
    if len(_kept[0]) < count:
        inverse = np.uint64(pow(int(BASE), -1, 2**64))
        ones = np.ones(1, np.uint64)
        powers, inverses = (np.cumprod(np.full(count, base, np.uint64)) for base in (BASE, inverse))
        _kept = np.concatenate([ones, powers]), np.concatenate([ones, inverses])
    return _kept[0][:count], _kept[1][:count]


def spread(values: np.ndarray) -> np.ndarray:
    """uint64 -> uint64, one to one: near values become far ones (splitmix64, Steele et al. 2014)."""
    x = values.astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@cache
def hash_of_word(word: str) -> np.uint64:
    """The hash that `Texts.hashes` has for a word."""
    codes = np.frombuffer(word.encode("utf-32-le"), np.uint32)
    return hashes_of(codes, np.zeros(1, np.int64), np.full(1, len(codes)))[0]

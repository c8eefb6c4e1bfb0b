"""The grammar of the stories: articles, nouns, people and pronouns, places, lines to pick from."""

from __future__ import annotations

import re
from functools import cache
from textwrap import dedent

PRONOUNS = {
    "she": ("she", "her", "her", "herself"),
    "he": ("he", "him", "his", "himself"),
    "it": ("it", "it", "its", "itself"),
}
"""Subject, object, possessive and reflexive form of each pronoun."""

Ways = tuple[tuple[str, ...], ...]
"""Ways to phrase the same thing, each with its variants. First a way is drawn, then a variant of it."""

_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_VOWEL_SOUND = re.compile(r"(?!uni|use|one|eu)[aeiou]|hour|honest", re.IGNORECASE)


def article(phrase: str) -> str:
    """Return 'a' or 'an', by the first sound of `phrase`."""
    return "an" if _VOWEL_SOUND.match(phrase) else "a"


def capital(phrase: str) -> str:
    """Return `phrase` with its first letter as a capital, for the start of a sentence."""
    return phrase[:1].upper() + phrase[1:]


class Noun(str):
    """A common noun, perhaps with an adjective: `{kite}` kite, `{kite.full}` red kite, `{kite.a}` a red kite,
    `{kite.one}` a kite, `{kite.the}` the kite; `One` and `The` begin a sentence."""

    adj: str
    full: str
    a: str
    one: str
    One: str
    the: str
    The: str

    def __new__(cls, name: str, adj: str = "") -> Noun:
        self = super().__new__(cls, name)
        self.adj = adj
        self.full = f"{adj} {name}" if adj else name
        self.a = f"{article(self.full)} {self.full}"
        self.one = f"{article(name)} {name}"
        self.One = capital(self.one)
        self.the = f"the {name}"
        self.The = f"The {name}"
        return self


@cache
def noun(name: str, adj: str = "") -> Noun:
    """Return the Noun of this name and adjective. Each Noun is made once, because stories share them."""
    return Noun(name, adj)


class Person(str):
    """Somebody in a story, with every form a sentence may need: `{mom}` Mom, `{mom.he}` she, `{mom.him}` her,
    `{mom.his}` her, `{mom.himself}` herself; `Name`, `He` and `His` begin a sentence; `a` and `A` are the first
    mention of somebody without a name ("a crow"), `full` that of an animal with one ("Pip the fox")."""

    he: str
    him: str
    his: str
    himself: str
    He: str
    His: str
    Name: str
    a: str
    A: str
    full: str
    kind: str
    forms: dict[str, str]
    """The hero's forms that a template may use without a prefix: `{he}`, `{His}`, `{hands}`."""

    def __new__(cls, name: str, pronoun: str, kind: str, full: str = "", paws: bool = False) -> Person:
        self = super().__new__(cls, name)
        self.he, self.him, self.his, self.himself = PRONOUNS[pronoun]
        self.He, self.His, self.Name = capital(self.he), capital(self.his), capital(name)
        self.kind = kind
        self.a = f"{article(kind)} {kind}"
        self.A = capital(self.a)
        self.full = full or name
        hand = "paw" if paws else "hand"
        self.forms = {
            **{form: getattr(self, form) for form in ("he", "him", "his", "himself", "He", "His")},
            "hand": hand,
            "hands": hand + "s",
        }
        return self


@cache
def creature(kind: str, pronoun: str) -> Person:
    """Return an animal or person without a name: "a crow" at the first mention, "the crow" afterwards."""
    return Person(f"the {kind}", pronoun, kind)


class Place(str):
    """The place of a story: `{place}` park, `{place.at}` in the park, `{place.to}` to the park."""

    at: str
    to: str

    def __new__(cls, name: str, at: str, to: str) -> Place:
        self = super().__new__(cls, name)
        self.at, self.to = at, to
        return self


def words(block: str) -> tuple[str, ...]:
    """Return the words of `block`, separated by white space."""
    return tuple(block.split())


def lines(block: str) -> tuple[str, ...]:
    """Return the lines of `block`. An indented line continues the line before."""
    return tuple(re.sub(r"\n +", " ", dedent(block).strip()).splitlines())


def ways(block: str) -> Ways:
    """Return the ways to phrase the same thing. Each line of `block` is a way, and `[a|b]` inside a line, which may be
    nested, gives its variants: "a [red|blue] kite" has two. All variants are written out once, so that telling a story
    only picks a variant and fills in its slots."""
    return tuple(tuple(_spell_out(line)) for line in lines(block))


def _spell_out(line: str) -> list[str]:
    group = _INNERMOST.search(line)
    if group is None:
        return [line]
    before, after = line[: group.start()], line[group.end() :]
    return [way for choice in group[1].split("|") for way in _spell_out(before + choice + after)]

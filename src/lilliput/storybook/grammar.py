"""The grammar that stories are told with: articles, nouns, people and pronouns, places, lines to pick from."""

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
"""Ways of saying one thing, each with its variants; first a way is drawn, then a variant of it."""

_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_VOWEL_SOUND = re.compile(r"(?!uni|use|one|eu)[aeiou]|hour|honest", re.IGNORECASE)


def article(phrase: str) -> str:
    """'a' or 'an', by the sound that `phrase` begins with."""
    return "an" if _VOWEL_SOUND.match(phrase) else "a"


def capital(phrase: str) -> str:
    """`phrase` as it stands at the start of a sentence."""
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
    """The one Noun of this name and adjective (made once, since stories share them)."""
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
    """What a template may write of the hero without a prefix: `{he}`, `{His}`, `{hands}`."""

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
    """An animal or person without a name: "a crow" at first, "the crow" from then on."""
    return Person(f"the {kind}", pronoun, kind)


class Place(str):
    """Where a story happens: `{place}` park, `{place.at}` in the park, `{place.to}` to the park."""

    at: str
    to: str

    def __new__(cls, name: str, at: str, to: str) -> Place:
        self = super().__new__(cls, name)
        self.at, self.to = at, to
        return self


def words(block: str) -> tuple[str, ...]:
    """The words of `block`, which are separated by spaces."""
    return tuple(block.split())


def lines(block: str) -> tuple[str, ...]:
    """The lines of `block`; an indented line goes on with the one before."""
    return tuple(re.sub(r"\n +", " ", dedent(block).strip()).splitlines())


def ways(block: str) -> Ways:
    """The ways of saying one thing. Each line of `block` is one, and `[a|b]` inside a line (nested, if need be) lets it
    be said like this or like that. All are spelt out here, once, so that telling only has to pick and fill in."""
    return tuple(tuple(_spell_out(line)) for line in lines(block))


def _spell_out(line: str) -> list[str]:
    group = _INNERMOST.search(line)
    if group is None:
        return [line]
    before, after = line[: group.start()], line[group.end() :]
    return [way for choice in group[1].split("|") for way in _spell_out(before + choice + after)]

"""Biographies: a few facts of a made-up person, a short text that tells them, and templates that ask for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from lilliput.worlds.extraction.biography_words import (
    LANGUAGES,
    MONTHS,
    NUMBERS,
    PROFESSIONS,
    given_name,
    place,
    surname,
    title,
)
from lilliput.worlds.extraction.making import MAKERS, Example, Maker
from lilliput.worlds.extraction.template import read_template


@dataclass
class Life:
    """The facts of a person that a biography tells. None and empty lists are facts that it leaves out."""

    name: str
    pronoun: str
    born: str | None = None
    birthplace: str | None = None
    died: str | None = None
    deathplace: str | None = None
    profession: str | None = None
    area: str | None = None
    spouse: str | None = None
    married: str | None = None
    children: list[str] | None = None
    child_count: int | None = None
    towns: list[str] = field(default_factory=list)
    works: list[dict[str, Any]] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    height: float | None = None
    parent: str | None = None


Field = tuple[tuple[str, ...], Any, Callable[[Life], Any]]
FIELDS: list[Field] = [
    (("name", "full_name", "person"), "verbatim-string", lambda it: it.name),
    (("born", "birth_date", "date_of_birth"), "date", lambda it: it.born),
    (("birthplace", "born_in", "place_of_birth"), "verbatim-string", lambda it: it.birthplace),
    (("died", "death_date", "date_of_death"), "date", lambda it: it.died),
    (("died_in", "place_of_death"), "verbatim-string", lambda it: it.deathplace),
    (("profession", "occupation", "job"), "verbatim-string", lambda it: it.profession),
    (("area", "field"), list(PROFESSIONS), lambda it: it.area),
    (("spouse", "married_to", "partner"), "verbatim-string", lambda it: it.spouse),
    (("children", "children_names", "names_of_children"), ["verbatim-string"], lambda it: it.children or []),
    (("number_of_children", "child_count", "children"), "integer", lambda it: it.child_count),
    (("towns", "lived_in", "places"), ["verbatim-string"], lambda it: it.towns),
    (("works", "books"), [{"title": "verbatim-string", "year": "integer"}], lambda it: it.works),
    (("languages",), [list(LANGUAGES)], lambda it: it.languages),
    (("height", "height_m"), "number", lambda it: it.height),
    (("alive", "living"), ["yes", "no"], lambda it: "no" if it.died else "yes"),
    (("parent", "father_or_mother"), "verbatim-string", lambda it: it.parent),
    (("summary", "description"), "string", lambda it: _summary(it)),
    (("birth",), {"date": "date", "place": "verbatim-string"}, lambda it: {"date": it.born, "place": it.birthplace}),
    (("death",), {"date": "date", "place": "verbatim-string"}, lambda it: {"date": it.died, "place": it.deathplace}),
]
"""Each field: keys that ask for it, its type, and its value."""


def _summary(it: Life) -> str | None:
    return f"{it.profession or 'person'} from {it.birthplace}" if it.birthplace else it.profession


@MAKERS.add("biography")
class Biography(Maker):
    """Short biographies of made-up people, and templates of some of their fields under several names."""

    kind: Literal["biography"] = "biography"

    def example(self, random: Random, held_out: bool) -> Example:
        text, it = biography(random, held_out)
        chosen = sorted(random.sample(range(len(FIELDS)), random.randrange(3, 9)))
        if random.random() < 0.3:
            random.shuffle(chosen)
        template, values = {}, {}
        for number in chosen:
            keys, kind, value = FIELDS[number]
            key = random.choice(keys)
            if key not in template:
                template[key], values[key] = _asked(kind, it, random), value(it)
        return Example(text, read_template(template), values)


def _asked(kind: Any, it: Life, random: Random) -> Any:
    """Return the type of a field; of languages a few choices, among them those that the person speaks."""
    if kind != [list(LANGUAGES)]:
        return kind
    return [sorted({*it.languages, *random.sample(LANGUAGES, 4)})]


def biography(random: Random, held_out: bool = False) -> tuple[str, Life]:
    """Return a short biography and its facts. Each fact but the name is left out by chance."""
    pronoun = random.choice(("she", "he"))
    family = surname(random)
    middle = f"{random.choice('ABCDEFGHJKLMNPRST')}. " if random.random() < 0.15 else ""
    first = given_name(random, pronoun, held_out)
    it = Life(f"{first} {middle}{family}", pronoun)
    telling = _Telling(it, random, held_out, family)
    telling.birth()
    middle_parts = [telling.work, telling.family, telling.homes, telling.tongues, telling.size, telling.origin]
    random.shuffle(middle_parts)
    for tell in middle_parts:
        tell()
    telling.death()
    return " ".join(telling.sentences), it


class _Telling:
    """The sentences of a biography while they are made; each method tells a fact, or leaves it out by chance."""

    def __init__(self, it: Life, random: Random, held_out: bool, family: str):
        self.it, self.random, self.held_out, self.family_name = it, random, held_out, family
        self.sentences: list[str] = []
        self.year = random.randrange(1700, 1930)

    def say(self, *ways: str, **slots: Any) -> None:
        it = self.it
        he = random_of = self.random.choice((it.pronoun, it.pronoun, self.family_name))
        his = {"she": "her", "he": "his"}[it.pronoun]
        He = random_of[0].upper() + random_of[1:]
        way = self.random.choice(ways)
        self.sentences.append(way.format(he=he, He=He, his=his, His=his.capitalize(), name=it.name, **slots))

    def date(self, year: int) -> tuple[str, str]:
        """Return a date in words and as ISO 8601: a day, a month or a year."""
        month, day = self.random.randrange(1, 13), self.random.randrange(1, 29)
        word = MONTHS[month - 1]
        sort = self.random.random()
        if sort < 0.2:
            return f"in {year}", f"{year}"
        if sort < 0.3:
            return f"in {word} {year}", f"{year}-{month:02}"
        iso = f"{year}-{month:02}-{day:02}"
        return self.random.choice((f"on {day} {word} {year}", f"on {word} {day}, {year}", f"on {iso}")), iso

    def town(self) -> str:
        return place(self.random, self.held_out)

    def birth(self) -> None:
        it, random = self.it, self.random
        when, iso = self.date(self.year)
        where = self.town()
        sort = random.random()
        trade = ""
        if random.random() < 0.45:
            self._trade()
            trade = f"{_article(it.profession or '')} {it.profession}"
        if sort < 0.7:
            it.born, it.birthplace = iso, where
            ways = (
                "{name} was born {when} in {where}.",
                "{name} was born in {where} {when}.",
                "Born in {where} {when}, {name} grew up there.",
                "{name} (born {when} in {where}) was well known.",
            )
            trades = (
                "{name}, {trade}, was born {when} in {where}.",
                "{name} was {trade}. {He} was born in {where} {when}.",
                "{name} was {trade} who was born {when} in {where}.",
            )
        elif sort < 0.82:
            it.born = iso
            ways = ("{name} was born {when}.", "Born {when}, {name} was the first child of the family.")
            trades = ("{name} was {trade}, born {when}.",)
        elif sort < 0.92:
            it.birthplace = where
            ways = ("{name} was born in {where}.", "{name} came into the world in {where}.")
            trades = ("{name} was {trade}, born in {where}.",)
        else:
            ways = ("Little is known of the youth of {name}.",)
            trades = ("{name} was {trade}.", "This is the life of {name}, {trade}.")
        self.say(*(trades if trade else ways), when=when, where=where, trade=trade)

    def _trade(self) -> None:
        area = self.random.choice(list(PROFESSIONS))
        self.it.area, self.it.profession = area, self.random.choice(PROFESSIONS[area])

    def work(self) -> None:
        it, random = self.it, self.random
        if it.profession is None and random.random() < 0.8:
            self._trade()
            a = _article(it.profession or "")
            self.say("{He} became {a} {job}.", "{He} worked as {a} {job}.", "{He} was {a} {job} by profession.",
                     "{He} earned {his} living as {a} {job}.", a=a, job=it.profession)  # fmt: skip
        if it.profession and random.random() < 0.45:
            told = []
            for _ in range(random.choice((1, 1, 2, 3))):
                work = {"title": title(random), "year": self.year + random.randrange(20, 60)}
                it.works.append(work)
                told.append(
                    f"{work['title']} ({work['year']})"
                    if random.random() < 0.7
                    else f"{work['title']} in {work['year']}"
                )
            self.say("{He} is known for {works}.", "{His} best known works are {works}.", "{He} made {works}.",
                     works=_listed(told))  # fmt: skip

    def family(self) -> None:
        it, random = self.it, self.random
        other = "he" if it.pronoun == "she" else "she"
        if random.random() < 0.5:
            it.spouse = f"{given_name(random, other, self.held_out)} {surname(random)}"
            when, it.married = self.date(self.year + random.randrange(20, 40))
            where = self.town()
            self.say("{He} married {spouse} {when}.", "{He} married {spouse}.", "{He} married {spouse} in {where}.",
                     "{When}, {he} married {spouse}.", spouse=it.spouse, when=when, where=where,
                     When=when[0].upper() + when[1:])  # fmt: skip
        if random.random() < 0.6:
            self._children()

    def _children(self) -> None:
        it, random = self.it, self.random
        count = random.choice((0, 1, 1, 2, 2, 3, 3, 4))
        who = "They" if it.spouse and random.random() < 0.5 else "{He}"
        it.child_count, number = count, NUMBERS[count]
        if count == 0:
            self.say(f"{who} had no children.", f"{who} never had children.")
            it.children = []
            return
        noun = "child" if count == 1 else "children"
        if random.random() < 0.25:
            self.say(f"{who} had {{n}} {noun}.", n=random.choice((number, str(count))))
            return
        it.children = []
        while len(it.children) < count:
            name = given_name(random, random.choice(("she", "he")), self.held_out)
            if name not in it.children and name not in it.name.split() and name not in (it.spouse or "").split():
                it.children.append(name)
        self.say(f"{who} had {{n}} {noun}: {{names}}.", f"{who} had {{n}} {noun}, {{names}}.",
                 n=number, names=_listed(it.children))  # fmt: skip

    def homes(self) -> None:
        if self.random.random() < 0.45:
            towns = list(dict.fromkeys(self.town() for _ in range(self.random.choice((1, 2, 2, 3)))))
            self.it.towns = [each for each in towns if each != self.it.birthplace] or []
            if self.it.towns:
                self.say("{He} lived in {towns}.", "{He} lived and worked in {towns}.",
                         "Later {he} had a home in {towns}.", towns=_listed(self.it.towns))  # fmt: skip

    def tongues(self) -> None:
        if self.random.random() < 0.3:
            self.it.languages = self.random.sample(LANGUAGES, self.random.choice((1, 2, 2, 3)))
            self.say("{He} spoke {tongues}.", "{He} could read {tongues}.", tongues=_listed(self.it.languages))

    def size(self) -> None:
        if self.random.random() < 0.2:
            self.it.height = self.random.randrange(150, 200) / 100
            self.say("{He} was {height} m tall.", "{He} was {height} meters tall.", height=f"{self.it.height:.2f}")

    def origin(self) -> None:
        """Tell the name of a parent, whose profession is not that of the person."""
        if self.random.random() < 0.3:
            kind = self.random.choice(("father", "mother"))
            first = given_name(self.random, "he" if kind == "father" else "she", self.held_out)
            self.it.parent = f"{first} {self.family_name}" if self.random.random() < 0.5 else first
            job = self.random.choice(("a baker", "a clerk", "a farmer", "a judge", "a miller", "a nurse", "a tailor"))
            self.say("{His} {kind}, {parent}, was {job}.", "{His} {kind} was {parent}, {job}.",
                     kind=kind, parent=self.it.parent, job=job)  # fmt: skip

    def death(self) -> None:
        it, random = self.it, self.random
        if random.random() < 0.4:
            return
        when, it.died = self.date(self.year + random.randrange(61, 95))
        if random.random() < 0.6:
            it.deathplace = self.town()
            self.say("{He} died {when} in {where}.", "{He} died in {where} {when}.", when=when, where=it.deathplace)
        else:
            self.say("{He} died {when}.", "{He} died {when}, at a great age.", when=when)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _article(word: str) -> str:
    return "an" if word[:1] in "aeiou" else "a"

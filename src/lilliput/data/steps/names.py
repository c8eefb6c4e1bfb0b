"""Names: people, places and organisations are replaced, as word lists or a tagger find them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

from pydantic import Field

from lilliput.base.errors import DataError, MissingExtra
from lilliput.data.document import Document
from lilliput.data.steps.step import STEPS, Dropped, Step
from lilliput.data.steps.tagging import Span, tagger

Kind = Literal["person", "place", "organisation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
TYPES: dict[str, Kind] = {
    **dict.fromkeys(("person", "per"), "person"),
    **dict.fromkeys(("location", "loc", "gpe", "place"), "place"),
    **dict.fromkeys(("organisation", "organization", "org", "corporation", "group"), "organisation"),
}
"""The kind of each type of entity that taggers know, in small letters. Other types stay."""
WORD = r"(?:(?:Mrs?|Ms|Dr|Prof|St)\.|[A-Z]\.|[A-Z][\w'’-]*)"
RUN = re.compile(rf"{WORD}(?: (?:of |the )?{WORD})*(?: (?:Inc|Ltd|Corp)\.)?")
"""Words that begin with capital letters, one behind the other."""
TITLES = frozenset(
    ("Mr", "Mr.", "Mrs", "Mrs.", "Ms", "Ms.", "Miss", "Dr", "Dr.", "Prof", "Prof.", "Sir", "Lady", "Lord")
)
ENDINGS = ("Inc", "Inc.", "Ltd", "Ltd.", "LLC", "Corp", "Corp.", "Corporation", "Company", "GmbH", "PLC", "University")
ENDINGS += (
    "Institute",
    "Association",
    "Foundation",
    "Bank",
    "College",
    "Committee",
    "Ministry",
    "Department",
    "Council",
)
COMMON = frozenset(
    ("An", "Art", "Bill", "Chance", "Christian", "Dale", "Dawn", "Drew", "Faith", "Grace", "Grant", "Guy")
)
COMMON |= {
    "Hope",
    "Joy",
    "King",
    "Major",
    "Mark",
    "May",
    "Page",
    "Pat",
    "Price",
    "Rich",
    "Rose",
    "Royal",
    "Sky",
    "Will",
}
"""Names that are other words too: they count beside another name or a title alone."""


@STEPS.add("names")
class Names(Step):
    """Replaces the names of people, places and organisations. `by: lists` knows frequent English names, countries and
    states (Faker's lists; extra `curation`), and words beside them that begin with capitals; `by: FOLDER` asks a
    tagger of one's own (docs/encoders.md). docs/curation.md has the share that the lists find: they do not find all."""

    kind: Literal["names"] = "names"
    by: str = Field(default="lists", description="lists, or the folder of a tagger's run")
    details: tuple[Kind, ...] = Field(default=KINDS, description=f"what is replaced: {', '.join(KINDS)}")
    instead: Literal["tag", "invented"] = Field(
        default="tag",
        description="tag: [PERSON] and so on; invented: another name, the same one wherever a name occurs",
    )
    key: str = Field(default="", description="decides the invented names; a secret one keeps others from guessing")

    def reads(self) -> tuple[str, ...]:
        if self.by == "lists":
            return ()
        files = sorted(Path(self.by).expanduser().rglob("*.safetensors"))
        if not files:  # a name alone would not tell one training of the run from another
            raise DataError(f"the folder {self.by} holds no tagger", "name the folder of its run: by: runs/NAME")
        return tuple(map(str, files))

    def apply_all(self, documents: Sequence[Document]) -> list[Document | Dropped]:
        texts = [document.text for document in documents]
        found = map(by_lists, texts) if self.by == "lists" else tagger(self.by)(texts)
        return [
            document if (text := self._without(document.text, spans)) == document.text else replace(document, text=text)
            for document, spans in zip(documents, found, strict=True)
        ]

    def apply(self, document: Document) -> Document | Dropped:
        return self.apply_all([document])[0]

    def _without(self, text: str, spans: Sequence[Span]) -> str:
        pieces: list[str] = []
        done = 0
        for start, stop, type_ in sorted(spans):
            kind = TYPES.get(type_.lower())
            if kind not in self.details or start < done:
                continue
            new = f"[{kind.upper()}]" if self.instead == "tag" else invented(kind, text[start:stop], self.key)
            pieces += [text[done:start], new]
            done = stop
        return "".join([*pieces, text[done:]])


@cache
def _lists() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """First names, last names, and countries and states."""
    try:
        from faker.providers.address.en_US import Provider as Places
        from faker.providers.person.en_US import Provider as People
    except ImportError:
        raise MissingExtra("faker", "curation", "the step names") from None
    people: Any = People
    places: Any = Places
    countries = (name.partition(" (")[0] for name in places.countries)
    return (
        frozenset(people.first_names),
        frozenset(people.last_names),
        frozenset((*countries, *places.states, "America", "England", "Scotland", "Wales", "Europe", "Africa", "Asia")),
    )


def by_lists(text: str) -> list[Span]:
    """Return the names that lists and their neighbourhood give away."""
    return [span for run in RUN.finditer(text) for span in _in_run(run[0], run.start())]


def _in_run(run: str, begin: int) -> Iterator[Span]:
    """Yield the name in a run of words with capital letters, which is one name at most."""
    first, last, places = _lists()
    words = [(found[0].removesuffix("'s").removesuffix("’s"), found.start()) for found in re.finditer(r"\S+", run)]
    for place, word in _pieces(run, places):
        yield begin + place, begin + place + len(word), "place"
        return
    bare = [word.rstrip(".,") for word, _ in words]
    if len(words) > 1 and words[-1][0] in ENDINGS:
        yield begin, begin + words[-1][1] + len(words[-1][0]), "organisation"
        return
    for place, word in enumerate(bare):
        titled = place > 0 and words[place - 1][0] in TITLES
        followed = place + 1 < len(bare) and (bare[place + 1] in last or len(bare[place + 1]) == 1)
        if titled or (word in first and (word not in COMMON or followed)):
            start, (final, at) = words[place][1], words[-1]
            yield begin + start, begin + at + len(final.rstrip(".") if len(final) > 2 else final), "person"
            return


def _pieces(run: str, known: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield the known name of one to four words in a run, the longest first."""
    ends = [0, *(found.end() for found in re.finditer(r" ", run)), len(run) + 1]
    for size in range(min(4, len(ends) - 1), 0, -1):
        for first, stop in zip(ends, ends[size:], strict=False):
            part = run[first : stop - 1].rstrip(".,").removesuffix("'s").removesuffix("’s")
            if part in known:
                yield first, part


PLACES = ("Ashford", "Birchwood", "Cedarville", "Elmstead", "Fernhill", "Hazelton", "Maplewick", "Oakham", "Willowby")
FIRMS = ("Amber", "Beacon", "Cobalt", "Delta", "Ember", "Falcon", "Harbour", "Indigo", "Juniper", "Lantern")


def invented(kind: Kind, found: str, key: str = "") -> str:
    """Return another name with as many words, where it is a person's. The same name gives the same one."""
    seed = hashlib.blake2b(found.encode(), key=key.encode()[:64], digest_size=8).digest()
    random = Random(int.from_bytes(seed, "little"))
    if kind == "place":
        return random.choice(PLACES)
    if kind == "organisation":
        return f"{random.choice(FIRMS)} {random.choice(('Company', 'Association', 'Group'))}"
    first, last, _ = _lists()
    names = [random.choice(sorted(first))]
    names += [random.choice(sorted(last)) for _ in pairwise(found.split())]
    return " ".join(names)

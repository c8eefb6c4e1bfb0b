"""Stories of the built-in world with the roles of those who have a name, as tagged words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from lilliput.data.document import Document
from lilliput.data.example_rows import tagged
from lilliput.data.examples import Example
from lilliput.data.source import SOURCES, Errors, Source, hash_of
from lilliput.data.split_words import WORDS

ROLES = ("hero", "friend", "elder")
"""The roles of those who have a name."""


@SOURCES.add("story_roles")
class StoryRoles(Source):
    """Stories of the built-in world as words, with a tag for each: B-hero, B-friend or B-elder at a name (I- in its
    further words), else O. A name may be the hero of a story and a friend in another. Ids are
    `story_roles:seed:number`."""

    kind: Literal["story_roles"] = "story_roles"
    stories: int = Field(default=4_000, gt=0, description="number of stories")
    seed: int = Field(default=0, description="the same seed makes the same stories")

    def documents(self, errors: Errors = "strict") -> Iterator[Document]:
        from lilliput.storybook import story

        for number in range(self.stories):
            made = story(self.seed, number)
            words = WORDS.findall(made.text)
            names = {tuple(who.name.split()): who.role for who in made.plan.characters if who.role in ROLES}
            example = Example("tagged", tagged(words, tags(words, names)))
            yield Document(example.text, f"story_roles:{self.seed}:{number}", example=example)

    def fingerprint(self) -> str:
        from lilliput.storybook import VERSION

        return hash_of("story_roles", VERSION, self.stories, self.seed)

    def describe(self) -> str:
        print_of = self.fingerprint()[:12]
        return f"story_roles: {self.stories:,} stories with the roles of names, seed {self.seed} · {print_of}"


def tags(words: list[str], names: dict[tuple[str, ...], str]) -> list[str]:
    """The tags of words, given the types of names, each name a tuple of words.

    >>> tags(["Aunt", "Nell", "saw", "Tom"], {("Aunt", "Nell"): "elder"})
    ['B-elder', 'I-elder', 'O', 'O']
    """
    made, place = list[str](), 0
    while place < len(words):
        name = next((name for name in names if tuple(words[place : place + len(name)]) == name), None)
        if name is None:
            made.append("O")
        else:
            made += [f"{'I' if further else 'B'}-{names[name]}" for further in range(len(name))]
        place += 1 if name is None else len(name)
    return made

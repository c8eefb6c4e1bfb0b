"""Belongings: several people who each have a thing, and questions about who has what. They measure recall."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from lilliput.storybook.grammar import article, ways, words
from lilliput.storybook.people import CHILDREN, ELDERS
from lilliput.storybook.scenery import ANY, COLORS
from lilliput.storybook.tasks import Task, columns, phrase, random_of

PAIRS, DISTANCE = (2, 8), (0, 6)
"""The fewest and the most people, and sentences between what they have and the first question, of a mixture."""
MOST_PAIRS, MOST_DISTANCE = 16, 64
THINGS = words("""
    ball balloon bell blanket boat book bottle brush bucket cap clock coin crown cup doll drum feather flag flute hat
    kite lamp lantern map marble mirror necklace puppet puzzle ribbon ring robot rope scarf scooter shell shovel sled
    spoon teapot tent trophy umbrella vase wagon watch wheel whistle
""")
HAS = ways("""
    {who} has {thing}.
    {who} [found|got|made|bought|brought] {thing}.
    {who} [played with|carried|held|liked] {thing}.
""")
ASK = "What does {who} have?"
ANSWER = "{who} has"
SCENES = tuple(dict.fromkeys(sign for weather in ANY for way in weather.signs for sign in way))
"""Sentences that stand between what people have and the questions."""


@dataclass(frozen=True, slots=True)
class Belongings:
    """Who has what: `told` in sentences, with the scene after them, and `pairs` of a name and a thing ("a red ball") in
    the order of the questions. No two things have the same noun."""

    told: str
    pairs: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """The whole document: what is told, and a question and its answer for each person."""
        asked = (f"{ASK.format(who=who)} {ANSWER.format(who=who)} {thing}." for who, thing in self.pairs)
        return " ".join((self.told, *asked))


def belongings(seed: int, number: int, pairs: int = 0, distance: int | None = None, plain: bool = False) -> Belongings:
    """Return document `number` of `seed`, always the same: `pairs` people who have a thing each, 1 to MOST_PAIRS, and
    `distance` sentences of scene before the first question. 0 and None draw them from PAIRS and DISTANCE. `plain` tells
    all that people have by the word "has", as the answers do."""
    random = random_of("belongings", seed, number)
    count, apart = pairs or random.randint(*PAIRS), random.randint(*DISTANCE)
    people = random.sample((*CHILDREN, *ELDERS), count)
    things = [_thing(random, noun) for noun in random.sample(THINGS, count)]
    owned = list(zip(map(str, people), things, strict=True))
    told = [
        ("{who} has {thing}." if plain else phrase(random, HAS)).format(who=who, thing=thing) for who, thing in owned
    ]
    told += [random.choice(SCENES) for _ in range(apart if distance is None else distance)]
    random.shuffle(owned)
    return Belongings(" ".join(told), tuple(owned))


def belongings_text(
    seed: int, number: int, pairs: int = 0, distance: int | None = None, rounds: int = 1, plain: bool = False
) -> Task:
    """Return the same as a text to learn, in which each person is asked about `rounds` times, in a new order each
    time. A question that comes again can be answered from its first answer, which is the easier thing to learn."""
    made = belongings(seed, number, pairs, distance, plain)
    text, asked, random = made.text, list(made.pairs), random_of("rounds", seed, number)
    for _ in range(rounds - 1):
        random.shuffle(asked)
        text += "".join(f" {ASK.format(who=who)} {ANSWER.format(who=who)} {thing}." for who, thing in asked)
    return Task("text", {"text": text}, columns("belongings"))


def judged_owner(seed: int, number: int, pairs: int = 0) -> tuple[str, str, bool]:
    """Return what is told, who is said to have what, and whether that is right: judged owner `number` of `seed`, with
    2 to 4 people where `pairs` is 0. A wrong owner has the thing of another person, so that both kinds have the same
    words."""
    random = random_of("owner", seed, number)
    told = belongings(random.getrandbits(32), 0, pairs or random.randint(2, 4))
    (who, thing), (_, other) = random.sample(told.pairs, 2)
    right = random.random() < 0.5
    return told.told, f"{ANSWER.format(who=who)} {thing if right else other}.", right


def _thing(random: Random, noun: str) -> str:
    color = random.choice(COLORS)
    return f"{article(color)} {color} {noun}"

"""The people and animals of the story world: names, kinds, families, and the first description of a hero."""

from __future__ import annotations

from typing import NamedTuple

from lilliput.storybook.grammar import Person, words

GIRLS = words("""
    Lily Mia Anna Emma Zoe Nora Ella Rosie Lucy Amy Sara Kate Molly Clara Maya Lena Tess Nina Eva Alice
    Jane Amina Mei Priya Zara Leila Sofia Rosa Yuki Ines Aisha Carmen Elsa Ida Julia Marta Olga Hanna Tara Wendy
""")
BOYS = words("""
    Tom Ben Sam Tim Max Leo Jack Oscar Theo Adam Eli Milo Otto Jonas Peter Paul Henry Lucas Nico Omar
    Ravi Diego Kofi Hugo Luca Noah Finn Ali Sami Jamal Mateo Ken Oliver Anton Felix David Emil Arun Ivan Ned
""")
SHE_ANIMALS = words("Bella Coco Dolly Fifi Kiki Lulu Mimi Penny Posy Tilly Nellie Bonnie")
HE_ANIMALS = words("Bruno Buster Gus Monty Ollie Pip Rufus Toby Ziggy Bobo Barney Fergus")
KINDS = ("bunny", "puppy", "fox", "bear", "hedgehog", "badger", "raccoon", "panda", "mole")
"""Animals that live as people do. No such animal flies or swims well, so that a helper can."""

CHILDREN = tuple(Person(name, "she", "girl") for name in GIRLS) + tuple(Person(name, "he", "boy") for name in BOYS)
ANIMALS = tuple(
    Person(name, pronoun, kind, full=f"{name} the {kind}", paws=True)
    for names, pronoun in ((SHE_ANIMALS, "she"), (HE_ANIMALS, "he"))
    for name in names
    for kind in KINDS
)
ELDERS = (
    Person("Mom", "she", "mother"),
    Person("Dad", "he", "father"),
    Person("Grandma", "she", "grandmother"),
    Person("Grandpa", "he", "grandfather"),
    Person("Aunt Nell", "she", "aunt"),
    Person("Uncle Ray", "he", "uncle"),
)

EITHER = ("she", "he")
CREATURES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        words("""
            crow pigeon magpie parrot owl squirrel monkey cat duck swan otter turtle beaver mouse lizard chipmunk
            rabbit tortoise
            farmer beekeeper painter sailor gardener shepherd florist carpenter tailor shoemaker baker neighbor
            teacher woodcutter cook musician weaver diver mechanic librarian clockmaker
        """),
        EITHER,
    ),
    **dict.fromkeys(("candle maker", "hat maker", "puppet maker", "train driver"), EITHER),
    **dict.fromkeys(("fruit seller", "balloon seller", "lemonade seller"), EITHER),
    **dict.fromkeys(("old man", "mailman", "milkman", "quiet boy"), ("he",)),
    "tall girl": ("she",),
}
"""People and animals without a name, and the pronouns that each may have."""

NATURES = ("little",) * 6 + words("""
    small cheerful curious kind clever happy gentle funny busy friendly playful young sweet lively quiet polite
""")
"""The hero's adjectives; "little" most often, as in children's books."""


class Detail(NamedTuple):
    """A further detail that is told about a hero: an age, a home, a liking, or (with no kind) nothing."""

    kind: str
    text: str


NO_DETAIL = Detail("", "")
AGES = words("four five six seven eight nine")
HOMES = (
    "in a small house by the river",
    "in a yellow house on a hill",
    "in a little village near the woods",
    "in a tall house in the city",
    "in a cozy house with a red door",
    "on a quiet street near the school",
    "in a small town by the sea",
    "in a white house under an oak tree",
    "on a busy street with many shops",
    "in a little cottage with a green roof",
    "in a house with round windows",
    "in a village in a green valley",
)
LIKES = (
    "paint pictures",
    "sing songs",
    "count the stars",
    "read books about animals",
    "dance in the kitchen",
    "collect smooth stones",
    "jump in puddles",
    "tell funny jokes",
    "watch the clouds",
    "draw with chalk",
    "play the drum",
    "look at maps",
    "help in the garden",
    "listen to old stories",
    "feed the birds",
    "make paper boats",
    "hum little tunes",
    "play hide and seek",
    "look at bugs",
    "blow bubbles",
    "wear silly hats",
    "ask questions",
    "eat pancakes",
    "run in the grass",
    "roll down hills",
    "dress up as a pirate",
    "play with toy trains",
    "make up rhymes",
    "drink hot cocoa",
    "look out of the window",
)
_ANY_DETAILS = (
    *(NO_DETAIL for _ in range(12)),
    *(Detail("home", home) for home in HOMES),
    *(Detail("likes", it) for it in LIKES),
)
CHILD_DETAILS = (*_ANY_DETAILS, *(Detail("age", age) for age in AGES * 2))
ANIMAL_DETAILS = _ANY_DETAILS
"""The age of an animal is not told."""

"""Words of the built-in biographies: names, places, professions, works."""

from __future__ import annotations

from random import Random


def _of(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIVEN = {
    "she": _of("""
        Alma Amina Anna Astrid Beatrix Bella Bridget Camila Carla Celia Chloe Clara Dalia Daphne Dora Edith
        Elena Elsa Emilia Esther Farida Fiona Freya Gita Greta Hana Harriet Helga Ida Imani Ines Irma Jana Joan
        Julia Kamala Karin Katya Laila Leona Lotte Lucia Magda Maya Mila Mina Nadia Nora Olga Oriana Paula Petra
        Priya Ramona Rosa Ruth Salma Selma Signe Sofia Tamar Tessa Thea Uma Vera Wanda Yara Yuki Zelda
    """),
    "he": _of("""
        Adam Ahmed Albert Anton Arjun Bela Boris Bruno Carlos Cedric Claude Daniel Dario David Edgar Emil Eric
        Felix Franz Gaston George Gustav Hamid Hans Henry Hugo Igor Isaac Ivan Jakob Jorge Karl Kofi Lars Leo
        Louis Marco Martin Max Milan Nasir Niels Omar Oscar Otto Pablo Pavel Pedro Rafael Ravi Robert Samir
        Simon Stefan Tariq Theo Thomas Tomas Ulrich Victor Walter Wim Yusuf Zoltan
    """),
}
"""First names by pronoun."""
ONSETS = _of("""
    b br c ch d dr f fr g gr h j k kl l m n p pr r s sch sh st t tr v w z
""")
VOWELS = _of("""
    a e i o u ai ea ie ou
""")
ENDS = _of("""
    berg by croft da dell don er field ford hart ini ins ko land ler man mann mond ner ov ova owski ra ran sen
    ska son stad stein ston ton ville well wick wood y
""")
PLACES = _of("""
    Aarhus Accra Adelaide Algiers Amsterdam Ankara Antwerp Athens Baku Basel Beirut Belgrade Bergen Bern Bilbao
    Bogota Boston Bremen Brno Brussels Budapest Cairo Calcutta Cardiff Chicago Cologne Copenhagen Cordoba Cracow
    Dakar Delhi Dresden Dublin Edinburgh Florence Geneva Genoa Ghent Glasgow Graz Hamburg Hanoi Havana Helsinki
    Istanbul Jaipur Kiev Kyoto Lagos Leipzig Lima Lisbon London Lyon Madras Madrid Manchester Marseille Milan
    Montreal Munich Nairobi Nantes Naples Oslo Oxford Paris Porto Prague Quito Riga Rome Rotterdam Santiago
    Seville Sofia Stockholm Tallinn Tokyo Toronto Trieste Tunis Turin Utrecht Valencia Venice Vienna Vilnius
    Warsaw Zagreb Zurich
""")
TWO_WORDS = (
    "Buenos Aires",
    "New York",
    "Cape Town",
    "San Juan",
    "Tel Aviv",
    "Los Angeles",
    "Mexico City",
    "Saint Louis",
)
PROFESSIONS = {
    "science": ["astronomer", "biologist", "botanist", "chemist", "doctor", "engineer", "geologist", "inventor",
                "mathematician", "physicist", "zoologist"],
    "art": ["architect", "dancer", "painter", "photographer", "potter", "sculptor", "weaver"],
    "music": ["cellist", "composer", "conductor", "pianist", "singer", "violinist"],
    "letters": ["historian", "novelist", "playwright", "poet", "teacher", "translator", "writer"],
    "sport": ["boxer", "climber", "cyclist", "fencer", "rower", "runner", "swimmer"],
}  # fmt: skip
"""Professions by area."""
ADJECTIVES = _of("""
    Blue Broken Distant Early Empty Glass Golden Green Hidden Iron Last Little Long Lost Open Quiet Red Second
    Silver White Wild
""")
NOUNS = _of("""
    Bridge Cloud Door Field Forest Garden Harbor Hill House Island Journey Lamp Letter Morning Mountain Night
    River Road Sea Song Stone Summer Tower Valley Window Winter
""")
LANGUAGES = _of("""
    Arabic Danish Dutch English French German Greek Hindi Italian Polish Russian Spanish
""")
MONTHS = _of("""
    January February March April May June July August September October November December
""")
NUMBERS = _of("""
    no one two three four five six seven
""")


def _syllable(random: Random) -> str:
    return random.choice(ONSETS) + random.choice(VOWELS)


def made_up(random: Random) -> str:
    """Return a word that no list has, with a capital, such as Kloubra or Wem."""
    word = _syllable(random) + random.choice(ONSETS)
    return (word + random.choice(VOWELS) if random.random() < 0.6 else word).capitalize()


def surname(random: Random) -> str:
    """Return a surname of syllables, one of some millions, such as Brofield or Steamond."""
    word = _syllable(random) + (_syllable(random) if random.random() < 0.5 else "")
    return (word + random.choice(ENDS)).capitalize()


def given_name(random: Random, pronoun: str, held_out: bool) -> str:
    """Return a first name: of the list, or made up. A held-out name is of the third of the list that training examples
    lack, or made up."""
    if random.random() < 0.4:
        return made_up(random)
    names = GIVEN[pronoun]
    return random.choice([name for place, name in enumerate(names) if (place % 3 == 2) == held_out])


def place(random: Random, held_out: bool) -> str:
    """Return a town; held-out towns are those that training examples lack, or made up."""
    if random.random() < 0.35:
        return made_up(random) + random.choice(("", "", "burg", "ham", "ton", "stad"))
    if random.random() < 0.12:
        return random.choice(TWO_WORDS)
    return random.choice([name for number, name in enumerate(PLACES) if (number % 4 == 3) == held_out])


def title(random: Random) -> str:
    """Return the title of a work, such as The Glass Bridge."""
    first = random.choice(ADJECTIVES)
    return random.choice((f"The {first} {random.choice(NOUNS)}", f"{first} {random.choice(NOUNS)}",
                          f"{random.choice(NOUNS)} of {made_up(random)}"))  # fmt: skip

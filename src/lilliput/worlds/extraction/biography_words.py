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
    b bl br c ch cl cr d dr f fl fr g gl gr h j k kl kr l m n p ph pl pr qu r s sch sh sk sl sp st t th tr v w y z
""")
VOWELS = _of("a a a e e e i i o o u ai au ea ee ei ia ie io oa oo ou y")
CODAS = _of("b ck d ff g l ll m mb n nd ng nn nt p r rd rl rm rn rr rt s sh ss st t th tt v x z")
ENDS = _of("""
    a ard bella berg bert by croft da dell don ella er ette field ford hart ia in ina ine ini ins is ko la land ler ly
    man mann mond ner o on ov ova owski ra ran rick sen ska son stad stein ston ton us ville well wick win wood
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


def made_up(random: Random, most: int = 3) -> str:
    """Return a word that no list has, with a capital, such as Kloubra, Wemberg or Steath. A model that sees a new name
    in most examples learns to copy names, not to know them."""
    word = ""
    for _ in range(random.randrange(1, most + 1)):
        word += random.choice(ONSETS) + random.choice(VOWELS)
        word += random.choice(CODAS) if random.random() < 0.4 else ""
    if len(word) < 4 or random.random() < 0.3:
        word += random.choice(ENDS)
    return word[:12].capitalize()


def surname(random: Random) -> str:
    """Return a surname: of syllables, or a noun such as Stone."""
    if random.random() < 0.1:
        return random.choice(NOUNS)
    return (made_up(random, 2).lower() + (random.choice(ENDS) if random.random() < 0.6 else "")).capitalize()


def given_name(random: Random, pronoun: str, held_out: bool) -> str:
    """Return a first name: made up, or of the list. A held-out name is more often of the list, of the third of it that
    training examples lack."""
    if random.random() < (0.3 if held_out else 0.7):
        return made_up(random)
    names = GIVEN[pronoun]
    return random.choice([name for place, name in enumerate(names) if (place % 3 == 2) == held_out])


def place(random: Random, held_out: bool) -> str:
    """Return a town: made up, or of the list. Held-out towns are more often of the quarter of the list that training
    examples lack."""
    if random.random() < (0.3 if held_out else 0.65):
        return made_up(random)
    if random.random() < 0.12:
        return random.choice(TWO_WORDS)
    return random.choice([name for number, name in enumerate(PLACES) if (number % 4 == 3) == held_out])


def title(random: Random) -> str:
    """Return the title of a work, such as The Glass Bridge."""
    first = random.choice(ADJECTIVES)
    return random.choice((f"The {first} {random.choice(NOUNS)}", f"{first} {random.choice(NOUNS)}",
                          f"{random.choice(NOUNS)} of {made_up(random)}"))  # fmt: skip

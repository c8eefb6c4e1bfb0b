"""Words of people: names, jobs, interests with their places and prices."""

from __future__ import annotations

from dataclasses import dataclass

FEMALE = (
    "Anna", "Maria", "Elena", "Sofia", "Clara", "Hannah", "Julia", "Laura", "Nora", "Emma", "Ida", "Greta", "Paula",
    "Vera", "Olga", "Irina", "Mila", "Zoe", "Amira", "Leila", "Fatima", "Aylin", "Yara", "Mei", "Priya", "Ines",
    "Carmen", "Rosa", "Lucia", "Alba", "Chloe", "Marie", "Camille", "Sara", "Eva", "Astrid", "Freya", "Ingrid",
    "Karin", "Ella",
)  # fmt: skip
MALE = (
    "Tom", "Jonas", "Lukas", "Felix", "Max", "Paul", "Leo", "Emil", "Anton", "Oskar", "David", "Daniel", "Adam",
    "Jan", "Piotr", "Marek", "Ivan", "Nikola", "Stefan", "Milan", "Omar", "Karim", "Yusuf", "Emre", "Can", "Wei",
    "Arjun", "Diego", "Pablo", "Hugo", "Louis", "Jules", "Theo", "Simon", "Erik", "Lars", "Henrik", "Nils", "Finn",
    "Ben",
)  # fmt: skip
SURNAMES = (
    "Keller", "Berger", "Lange", "Vogel", "Hartmann", "Brandt", "Winter", "Sommer", "Novak", "Kovac", "Horvat",
    "Petrov", "Ivanova", "Kowalski", "Nowak", "Wolski", "Silva", "Costa", "Moreau", "Laurent", "Girard", "Dubois",
    "Rossi", "Conti", "Marino", "Lund", "Holm", "Dahl", "Berg", "Strand", "Haddad", "Nasser", "Demir", "Kaya",
    "Chen", "Singh", "Patel", "Okafor", "Mensah", "Murphy", "Walsh", "Baker", "Miller", "Turner", "Fisher", "Mason",
    "Cooper", "Reed", "Ashby", "Thorne",
)  # fmt: skip

JOBS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "manufacturing": (("a fitter", "a machinist", "a welder"), ("an engineer", "a planner")),
    "construction": (("a bricklayer", "a painter", "a roofer"), ("an architect", "a site manager")),
    "trade": (("a shop assistant", "a cashier", "a driver"), ("a buyer", "a shop manager")),
    "hospitality": (("a cook", "a waiter", "a porter"), ("a hotel manager", "an event planner")),
    "health care": (("a nurse", "a carer", "a midwife"), ("a doctor", "a pharmacist")),
    "education": (("a childminder", "a school secretary", "a caretaker"), ("a teacher", "a lecturer")),
    "public service": (("a clerk", "a postwoman", "a firefighter"), ("a lawyer", "a city planner")),
    "information technology": (("a technician", "a tester", "a web designer"), ("a programmer", "a data analyst")),
}
"""Jobs of each sector: those of people without and with a degree."""
ANY_JOB = "an employee"
DEGREE = "degree"
"""An education whose name holds this word leads to the second jobs."""
NOT_WORKING = {"student": "a student", "unemployed": "looking for work", "retired": "retired"}
"""Sectors whose people have no job, and the words for it."""
SHIFTS = ("hospitality", "trade")
"""Sectors that work from Tuesday to Saturday."""
HOUSEHOLDS = {
    "alone": "alone",
    "couple": "with my partner",
    "family": "with my family",
    "shared": "in a shared flat",
}
TENURES = {"rents": "rent", "owns": "own"}
SEXES = {"female": "woman", "male": "man"}
SHOPS = ("Green Market", "Corner Shop", "Baker's Lane", "Station Market", "Old Mill Store", "Harbour Market")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Interest:
    """Something that people like to do: "I went swimming". `place` is where it is done, `euros` is its price there,
    `together` whether friends come along."""

    name: str
    doing: str
    place: str
    euros: int = 0
    together: bool = True


INTERESTS = {
    each.name: each
    for each in (
        Interest("swimming", "went swimming", "Pool", 5),
        Interest("cinema", "went to the cinema", "Cinema", 11),
        Interest("theatre", "went to the theatre", "Theatre", 18),
        Interest("concerts", "went to a concert", "Concert Hall", 22),
        Interest("museums", "went to the museum", "Museum", 9),
        Interest("dancing", "went dancing", "Dance Hall", 8),
        Interest("climbing", "went climbing", "Climbing Hall", 14),
        Interest("bowling", "went bowling", "Bowling Alley", 12),
        Interest("football", "played football", "Park"),
        Interest("running", "went running", "Park"),
        Interest("hiking", "went hiking", "Hills"),
        Interest("fishing", "went fishing", "River"),
        Interest("chess", "played chess", "Club"),
        Interest("board games", "played board games", "Club"),
        Interest("singing", "sang in the choir", "Hall"),
        Interest("gardening", "worked in the garden", "Garden", together=False),
        Interest("reading", "read a book", "Home", together=False),
        Interest("cooking", "cooked a new dish", "Home", together=False),
        Interest("painting", "painted a picture", "Home", together=False),
        Interest("knitting", "knitted", "Home", together=False),
        Interest("music", "played music", "Home", together=False),
        Interest("baking", "baked a cake", "Home", together=False),
    )
}
CATEGORIES = ("Food", "Groceries", "Transport", "Housing", "Leisure", "Other")
"""Categories of an expense."""
DISHES = ("soup", "noodles", "a salad", "a stew", "rice", "a pie", "a sandwich", "dumplings")
CHORES = ("cleaned the flat", "did the laundry", "watched a film", "called my mother", "tidied my desk", "slept early")

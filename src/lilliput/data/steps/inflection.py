"""Inflection: the forms of English verbs, nouns and adjectives, for words that take the place of others."""

from __future__ import annotations

from typing import Literal

Part = Literal["verb", "noun", "adjective", "other"]

_IRREGULAR = """
    be was been | become became become | begin began begun | break broke broken | bring brought brought
    build built built | buy bought bought | catch caught caught | choose chose chosen | come came come
    cut cut cut | do did done | draw drew drawn | drink drank drunk | drive drove driven | eat ate eaten
    fall fell fallen | feel felt felt | find found found | fly flew flown | forget forgot forgotten
    get got got | give gave given | go went gone | grow grew grown | have had had | hear heard heard
    hide hid hidden | hit hit hit | hold held held | hurt hurt hurt | keep kept kept | know knew known
    lead led led | leave left left | let let let | lose lost lost | make made made | mean meant meant
    meet met met | pay paid paid | put put put | read read read | ride rode ridden | rise rose risen
    run ran run | say said said | see saw seen | sell sold sold | send sent sent | set set set
    shake shook shaken | show showed shown | shut shut shut | sit sat sat | sleep slept slept
    speak spoke spoken | spend spent spent | split split split | spread spread spread
    stand stood stood | stick stuck stuck | take took taken | teach taught taught | tell told told
    think thought thought | throw threw thrown | understand understood understood | wake woke woken
    wear wore worn | weep wept wept | win won won | write wrote written
"""
IRREGULAR = {
    verb: (past, participle)
    for verb, past, participle in (
        row.split() for line in _IRREGULAR.split("\n") for row in line.split("|") if row.strip()
    )
}
"""The past and the participle of irregular verbs."""
DOUBLED = (
    "plan",
    "stop",
    "drop",
    "plug",
    "ship",
    "begin",
    "get",
    "cut",
    "put",
    "set",
    "let",
    "run",
    "sit",
    "shut",
    "hit",
)
"""Verbs that double their last letter before -ed and -ing, with those that end in a consonant, one vowel and b, g, m or
n; travel and visit do not in American English."""
VOWELS = "aeiou"


def forms(phrase: str, part: Part) -> dict[str, str]:
    """Return the forms of a word by their names: base, s, ed (past), en (participle), ing for a verb; base and s for a
    noun; base, er and est for an adjective of one syllable. Of a phrase such as "set up" the first word of a verb, and
    the last word of a noun, is changed."""
    words = phrase.split()
    if part == "verb":
        first, rest = words[0], words[1:]
        return {name: " ".join([form, *rest]) for name, form in _verb(first).items()}
    if part == "noun":
        return {"base": phrase, "s": " ".join([*words[:-1], _s(words[-1])])}
    if part == "adjective" and len(words) == 1 and _short(phrase):
        stem = _stem(phrase)
        return {"base": phrase, "er": f"{stem}er", "est": f"{stem}est"}
    return {"base": phrase}


def _verb(verb: str) -> dict[str, str]:
    stem = _stem(verb)
    past, participle = IRREGULAR.get(verb, (f"{stem}ed", f"{stem}ed"))
    third = {"be": "is", "have": "has"}.get(verb, _s(verb))
    return {"base": verb, "s": third, "ed": past, "en": participle, "ing": f"{_before_ing(verb)}ing"}


def _s(word: str) -> str:
    """The plural of a noun, or the third person of a verb."""
    if word.endswith("y") and word[-2:-1] not in VOWELS:
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "z", "ch", "sh", "o")) else f"{word}s"


def _stem(word: str) -> str:
    """The word before -ed, -er and -est."""
    if word.endswith("e"):
        return word[:-1]
    if word.endswith("y") and word[-2:-1] not in VOWELS:
        return f"{word[:-1]}i"
    return word + word[-1] if _doubles(word) else word


def _before_ing(verb: str) -> str:
    if verb.endswith("ie"):
        return f"{verb[:-2]}y"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        return verb[:-1]
    return verb + verb[-1] if _doubles(verb) else verb


def _doubles(word: str) -> bool:
    """Whether the last letter is doubled before -ed and -ing."""
    last = word[-3:]
    closed = len(last) == 3 and last[0] not in VOWELS and last[1] in VOWELS and last[2] in "bdgmnpt"
    return word in DOUBLED or (closed and len(word) == 3)


def _short(word: str) -> bool:
    """Whether a word has one group of vowels, or two with y at its end."""
    groups = sum(word[at] in VOWELS + "y" and (at == 0 or word[at - 1] not in VOWELS + "y") for at in range(len(word)))
    return groups - word.endswith("e") <= 1 or (groups == 2 and word.endswith("y"))

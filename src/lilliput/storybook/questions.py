"""Questions about a short story, with answers from its plan; some ask for what the story does not tell."""

from __future__ import annotations

import re

from lilliput.storybook.grammar import Ways, article, capital, ways
from lilliput.storybook.short import ShortStory, short_story
from lilliput.storybook.tasks import Asked, Phrasings, Task, assistant, columns, phrase, random_of, user

UNKNOWN = "The story does not say that."
"""The answer to a question for what the story does not tell."""

ASK = {
    "who": Asked(ways("Who is [the story|it] about?\nWho is the hero of the story?"), ways("Whose story is it?")),
    "kind": Asked(ways("[What|Who] is {hero}?\nWhat do we know about {hero}?"), ways("What kind of hero is {hero}?")),
    "where": Asked(ways("Where was {hero}?\nWhere [did it happen|were they]?"), ways("In what place was {hero}?")),
    "weather": Asked(ways("[How|What] was the weather [|that day|that {time}]?"), ways("What was the sky like?")),
    "want": Asked(ways("What did {hero} want?\nWhat was the wish of {hero}?"), ways("What was {hero} hoping for?")),
    "why": Asked(ways("{why}"), ways("{why}")),
    "then": Asked(
        ways("What happened [then|in the end|at last]?\nHow did [it|the story] end?"), ways("How did it go on?")
    ),
    "feeling": Asked(ways("How did {hero} feel [in the end|at the end]?"), ways("What did {hero} feel at last?")),
    "lesson": Asked(
        ways("What did {hero} learn?\nWhat is the lesson of the story?"), ways("What can we learn from it?")
    ),
    "other": Asked(ways("Who else [is|was] in the story?"), ways("Who was there too?")),
}
"""Questions by what they ask for."""
ANSWERS: dict[str, Ways] = {
    "who": ways("The story is about {hero}.\nIt is about {hero}."),
    "kind": ways("{hero} is {sort}."),
    "where": ways("{hero} was {where}.\nIt happened {where}."),
    "weather": ways("It was {weather}.\nThe weather was {weather}."),
    "want": ways("{wanted}"),
    "why": ways("{reason}"),
    "then": ways("{outcome}"),
    "feeling": ways("{hero} felt {feeling}.\nIn the end, {hero} felt {feeling}."),
    "lesson": ways("{hero} learned that {lesson}."),
    "other": ways("{Others} {be} there too."),
}
UNANSWERABLE = Asked(
    ways("""
    What did {hero} eat for [lunch|breakfast|dinner]?
    [How old was|How old is] {hero}?
    What is the name of the [teacher|brother|sister] of {hero}?
    What did {hero} do the next [day|morning|week]?
    What color [was the door|were the shoes] of {hero}?
    What was the [birthday|favorite song|favorite game] of {hero}?
"""),
    ways("""
    What did {hero} dream of?
    Where did the [grandmother|cousin] of {hero} live?
"""),
)
"""Questions that no short story answers."""

JUDGED = ("who", "kind", "where", "weather", "want", "lesson")
"""What judged answers are about. Feelings are left out, because a word such as "happy" is true of a glad hero too."""


def question(seed: int, number: int, phrasings: Phrasings = "train", unanswerable: float = 0.15) -> Task:
    """Return question number `number` of `seed` as a conversation: a story with a question, and the answer.
    `unanswerable` is the share of questions whose answer is UNKNOWN. Its column `task` is "unanswerable"
    or "question". Its column `words` holds words that a right answer has, such as the hero's name."""
    random = random_of("question", seed, number)
    tale = short_story(random.getrandbits(32), 0)
    if random.random() < unanswerable:
        phrased = UNANSWERABLE.draw(random, phrasings, hero=tale.plan.hero.name)
        row = columns("unanswerable", words=["story", "not", "say"], held_out=phrased.held_out)
        return _conversation(tale, phrased.text, UNKNOWN, row)
    slots = _slots(tale)
    sort = random.choice([name for name in ASK if _known(name, tale)])
    phrased = ASK[sort].draw(random, phrasings, **slots)
    reply = phrase(random, ANSWERS[sort]).format_map(slots)
    row = columns("question", words=_words_of(sort, slots), held_out=phrased.held_out)
    return _conversation(tale, phrased.text, reply, row)


def judged_answer(seed: int, number: int) -> tuple[str, str, bool]:
    """Return a story, a question with an answer behind it, and whether the answer is right: judged answer `number` of
    `seed`. A wrong answer names another character of the story where it asks who the hero is; otherwise it is true of
    another story, and has this story's hero. So its words alone do not give it away."""
    random = random_of("judged", seed, number)
    tale = short_story(random.getrandbits(32), 0)
    sorts = [sort for sort in JUDGED if _known(sort, tale) and (sort != "who" or len(tale.plan.characters) > 1)]
    sort, right = random.choice(sorts), random.random() < 0.5
    slots = _slots(tale)
    asked = ASK[sort].draw(random, "train", **slots).text
    answer = phrase(random, ANSWERS[sort])
    truth = answer.format_map(slots)
    reply = truth
    while not right and reply == truth:
        if sort == "who":
            reply = answer.format_map({"hero": random.choice(tale.plan.characters[1:]).name})
            continue
        other = short_story(random.getrandbits(32), 0)
        if _known(sort, other) and other.plan.hero.pronoun == tale.plan.hero.pronoun:
            theirs = re.compile(rf"\b{re.escape(other.plan.hero.name)}\b")
            reply = theirs.sub(tale.plan.hero.name, answer.format_map(_slots(other)))
    return tale.text, f"{asked} {reply}", right


def _conversation(tale: ShortStory, asked: str, reply: str, row: dict[str, object]) -> Task:
    return Task("messages", {"messages": [user(f"{tale.text} {asked}"), assistant(reply)]}, row)


def _known(sort: str, tale: ShortStory) -> bool:
    plan = tale.plan
    return {"where": bool(tale.where), "weather": bool(plan.weather), "other": len(plan.characters) > 1}.get(sort, True)


def _slots(tale: ShortStory) -> dict[str, str]:
    plan, hero = tale.plan, tale.plan.hero
    nature = hero.traits[0]
    return {
        "hero": hero.name,
        "sort": f"{article(nature)} {nature} {hero.kind}",
        "where": tale.where,
        "place": plan.place,
        "time": plan.time,
        "weather": plan.weather,
        "wanted": tale.wanted,
        "why": tale.why[0],
        "reason": tale.why[1],
        "outcome": tale.outcome,
        "feeling": plan.feeling,
        "lesson": plan.lesson,
        "Others": capital(" and ".join(who.name for who in plan.characters[1:])),
        "be": "was" if len(plan.characters) == 2 else "were",
    }


def _words_of(sort: str, slots: dict[str, str]) -> list[str] | None:
    """Return the words that every right answer has, by what is asked for; None where an answer may be phrased in many
    ways."""
    named = {"who": "hero", "kind": "sort", "where": "place"}
    named |= {name: name for name in ("weather", "feeling", "lesson")}
    return [slots[named[sort]]] if sort in named else None

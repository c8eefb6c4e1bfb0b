"""Instructions: requests for a story, with a story that satisfies them by its plan, in one or several turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from lilliput.storybook.grammar import article, ways
from lilliput.storybook.people import KINDS
from lilliput.storybook.plan import Plan
from lilliput.storybook.rules import FEATURES, dialogue
from lilliput.storybook.rules import ending as ends_as
from lilliput.storybook.short import ENDS, LONGEST, ShortStory, short_story, two_ends
from lilliput.storybook.tasks import Asked, Phrasings, Task, assistant, columns, listed, phrase, pick, random_of, user
from lilliput.storybook.vocabulary import sentences
from lilliput.storybook.world import Story, story

SHARES = {
    "words": 3,
    "dialogue": 1,
    "ending": 2,
    "moral": 1,
    "animal": 1,
    "begins": 1,
    "summary": 1,
    "hero": 3,
    "both": 2,
}
"""How often each sort of request comes, relative to the others."""
SHORTEST = 35
"""Words of a short story at least."""

REQUESTS = {
    "words": Asked(
        ways("""
            Write a [story|short story] with the words {words}.
            [Please write|Tell me] a story with the words {words}.
            Can you [write|tell] a story with the words {words}?
            [Use|Take] the words {words} in a story.
            I want a story with the words {words}.
        """),
        ways("""
            Make up a story that has {words} in it.
            Here are some words: {words}. Put them in a story, please.
        """),
    ),
    "dialogue": Asked(
        ways("""
            Write a story with dialogue.
            [Tell me|Please write] a story in which somebody [says something|talks].
            Write a story where [people|they] talk.
        """),
        ways("""
            Make up a story and let them speak.
            I like it when people talk in a story. Write one.
        """),
    ),
    "ending": Asked(
        ways("""
            Write a story with a {ending} ending.
            [Tell me|Please write] a story that ends in a {ending} way.
            Can you [write|tell] a story with a {ending} ending?
            I want a {ending} ending. Write a story.
        """),
        ways("""
            Make up a story, and let the end be {ending}.
            Is there a story with a {ending} end? Please tell it.
        """),
    ),
    "moral": Asked(
        ways("""
            Write a story with a [moral|lesson].
            [Tell me|Please write] a story that [teaches something|has a lesson].
            Write a story in which somebody learns something.
        """),
        ways("""
            Make up a story that I can learn from.
            I want to learn something. Tell a story.
        """),
    ),
    "animal": Asked(
        ways("""
            Write a story about an animal.
            [Tell me|Please write] a story about [an animal|a little animal].
            Can you [write|tell] a story about an animal?
        """),
        ways("""
            Make up a story in which the hero is an animal.
            I like animals. Is there a story about one?
        """),
    ),
    "begins": Asked(
        ways("""
            Write a story that [begins|starts] with: {begins}
            [Go on with|Finish] this story: {begins}
            The first sentence is: {begins} Write the story.
        """),
        ways("""
            Here is how it begins: {begins} What happened?
            Make up a story. It begins like this: {begins}
        """),
    ),
    "summary": Asked(
        ways("""
            Write a story [from|for] this summary: {summary}
            Make a story [out of|from] this: {summary}
            Tell the whole story. {summary}
        """),
        ways("""
            This is what happened: {summary} Tell it as a story.
            {summary} Can you tell me more?
        """),
    ),
    "hero": Asked(
        ways("""
            Write a story about a {kind} named {hero}{with}.
            [Tell me|Please write] a story about {hero} the {kind}{with}.
            Can you [write|tell] a story about a {kind} named {hero}{with}?
            I want a story about {hero}, a {nature} {kind}{with}.
        """),
        ways("""
            Make up a story for {hero}, a {kind}{with}.
            My friend {hero} is a {kind}. Put {hero} in a story{with}.
        """),
    ),
    "both": Asked(
        ways("""
            Write a story about {hero} with a {ending} ending.
            [Tell me|Please write] a story about {hero} the {kind} that ends in a {ending} way.
            Write a story about {hero} with the words {words}.
            Write a story with a {ending} ending and the words {words}.
        """),
        ways("""
            Make up a story about {hero}, and let the end be {ending}.
            Put the words {words} in a story about {hero}.
        """),
    ),
}
"""The phrasings of each sort of request."""
CHANGE_END = Asked(
    ways("""
        [Please change|Change] the ending to a {ending} one.
        [Now tell|Tell] it with a {ending} ending.
        Can you give it a {ending} ending?
    """),
    ways("""
        What if the end was {ending}?
        Tell it again, but let the end be {ending}.
    """),
)
BEGIN = Asked(
    ways("""
        [Begin|Start] a story about {hero} the {kind}.
        [Tell me|Write] the beginning of a story about {hero}.
    """),
    ways("""
        How does a story about {hero} begin?
    """),
)
GO_ON = Asked(
    ways("[Go on.|Please go on.|Tell me more.|What happened then?|And then?]"), ways("[How did it end?|Finish it.]")
)
WHO = Asked(
    ways("""
        Who [was it|was the story|is the story] about?
        Who is the hero of the story?
    """),
    ways("Whose story was that?"),
)
WHO_IS = ways("""
    The story is about {hero}, a {nature} {kind}.
    It is about a {nature} {kind} named {hero}.
""")


@dataclass(frozen=True, slots=True)
class Request:
    """A request in words, the story that answers it, and the columns that a rule checks."""

    prompt: str
    reply: str
    plan: Plan
    columns: dict[str, Any]


def request(seed: int, number: int, phrasings: Phrasings = "train", sort: str = "", full: bool = False) -> Request:
    """Return request number `number` of `seed`, always the same. The story satisfies the columns by its plan. `sort` is
    a name of SHARES, or '' for any; `full` answers with a story of full length, whose ends are as they come. A full
    story has no summary, so that request becomes one for words."""
    random = random_of("request", seed, number)
    sort = sort or pick(random, SHARES)
    sort = "words" if full and sort == "summary" else sort
    ending = random.choice(ENDS[:2]) if sort in ("ending", "both") else ""
    tale = _find(random, FITS.get(sort, _any), ending, full)
    hero, plan = tale.plan.hero, tale.plan
    words = random.sample([word for word in plan.words if word.isalpha() and word.islower()], random.choice((2, 3)))
    counted = plan.plot in COUNTED and not plan.thing.endswith("s") and plan.thing in plan.words
    slots = {
        "words": listed(words),
        "ending": plan.ending,
        "begins": sentences(tale.text)[0],
        "summary": tale.summary if isinstance(tale, ShortStory) else "",
        "hero": hero.name,
        "kind": hero.kind,
        "nature": hero.traits[0],
        "with": f" with {article(plan.thing)} {plan.thing}" if counted and random.random() < 0.6 else "",
    }
    phrased = REQUESTS[sort].draw(random, phrasings, **slots)
    bounds = (60, 250) if full else (SHORTEST, LONGEST)
    needs: dict[str, Any] = dict(zip(("shortest", "longest"), bounds, strict=True)) | {"held_out": phrased.held_out}
    needs |= {name: slots[name] for name in ("ending", "begins", "hero") if name in phrased.slots}
    if sort in FEATURES:
        needs["feature"] = sort
    if "words" in phrased.slots:
        needs["words"] = words
    elif sort == "summary":
        needs |= {"hero": hero.name, "words": [plan.thing] if plan.thing else None}
    elif "with" in phrased.slots and slots["with"]:
        needs["words"] = [plan.thing]
    return Request(phrased.text, tale.text, plan, columns(sort, **needs))


def instruction(seed: int, number: int, phrasings: Phrasings = "train", turns: float = 0.3, full: bool = False) -> Task:
    """Return conversation number `number` of `seed`. `turns` is the share of conversations with a further turn."""
    random = random_of("instruction", seed, number)
    if random.random() < turns:
        return random.choice((_changed_end, _goes_on, _asks_who))(random, phrasings)
    asked = request(seed, number, phrasings, full=full)
    return Task("messages", {"messages": [user(asked.prompt), assistant(asked.reply)]}, asked.columns)


def _changed_end(random: Random, phrasings: Phrasings) -> Task:
    """Return a conversation that asks for a story about somebody, and then for another end of it."""
    while True:
        before, after = two_ends(random.getrandbits(32), 0)
        # Some feelings, such as "calm", belong to ends of two kinds, and such a change would not be seen.
        if ends_as(before.text, {"ending": after.plan.ending}) < 1:
            break
    hero = before.plan.hero
    first = REQUESTS["hero"].draw(
        random, phrasings, hero=hero.name, kind=hero.kind, nature=hero.traits[0], **{"with": ""}
    )
    second = CHANGE_END.draw(random, phrasings, ending=after.plan.ending)
    needs = {"hero": hero.name, "ending": after.plan.ending, "shortest": SHORTEST, "longest": LONGEST}
    turns = [user(first.text), assistant(before.text), user(second.text), assistant(after.text)]
    return Task(
        "messages",
        {"messages": turns},
        columns("change_ending", held_out=first.held_out or second.held_out, **needs),
    )


def _goes_on(random: Random, phrasings: Phrasings) -> Task:
    """Return a conversation that asks for the beginning of a story, and then for the rest."""
    tale = short_story(random.getrandbits(32), 0)
    hero = tale.plan.hero
    first = BEGIN.draw(random, phrasings, hero=hero.name, kind=hero.kind)
    second = GO_ON.draw(random, phrasings)
    turns = [user(first.text), assistant(tale.beginning), user(second.text), assistant(tale.rest)]
    return Task("messages", {"messages": turns}, columns("go_on", held_out=first.held_out or second.held_out))


def _asks_who(random: Random, phrasings: Phrasings) -> Task:
    """Return a conversation that asks for a story, and then for its hero."""
    asked = request(random.getrandbits(32), 0, phrasings)
    hero = asked.plan.hero
    second = WHO.draw(random, phrasings)
    about = phrase(random, WHO_IS)
    reply = about.format(hero=hero.name, kind=hero.kind, nature=hero.traits[0]).replace(" a a", " an a")
    turns = [user(asked.prompt), assistant(asked.reply), user(second.text), assistant(reply)]
    held_out = asked.columns["held_out"] or second.held_out
    return Task("messages", {"messages": turns}, columns("who", hero=hero.name, held_out=held_out))


def _find(random: Random, fits: Callable[[str, Plan], bool], ending: str, full: bool) -> ShortStory | Story:
    """Return a story that fits and has the ending, '' for any."""
    while True:
        key = random.getrandbits(32)
        tale = story(key, 0) if full else short_story(key, 0, ending)
        if fits(tale.text, tale.plan) and ending in ("", tale.plan.ending):
            return tale


def _any(text: str, plan: Plan) -> bool:
    return True


FITS: dict[str, Callable[[str, Plan], bool]] = {
    "dialogue": lambda text, plan: dialogue(text) == 1.0,
    "moral": lambda text, plan: bool(plan.lesson),
    "animal": lambda text, plan: plan.hero.kind in KINDS,
}
"""What the story has to be for a sort of request. The other sorts take their request from the story."""
COUNTED = frozenset({"build", "gift", "lost", "reach", "save", "trade", "race", "quarrel"})
"""Plots whose thing can be asked for: "a story about Mia with a kite"."""

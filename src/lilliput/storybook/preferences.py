"""Preferences, ratings and prompts: requests for a story with a good reply and replies that break the request."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from lilliput.storybook.arithmetic import arithmetic
from lilliput.storybook.hero import children
from lilliput.storybook.instructions import Request, request
from lilliput.storybook.refusals import refusal_or_answer
from lilliput.storybook.rules import ASKED, moral, overall
from lilliput.storybook.short import ENDS, short_story
from lilliput.storybook.tasks import Phrasings, Task, assistant, pick, random_of, user
from lilliput.storybook.vocabulary import sentences

Damage = Callable[[Request, Random], str]


def other_story(asked: Request, random: Random) -> str:
    """Return a true story that does not satisfy the request. Every short story has a moral, so that a request for a
    moral gets its own story without the sentence of the moral."""
    if asked.columns["feature"] == "moral":
        return " ".join(told for told in sentences(asked.reply) if moral(told) < 1)
    while True:
        text = short_story(random.getrandbits(32), 0).text
        if min(rule(text, asked.columns) for rule in ASKED.values()) < 1:
            return text


def wrong_ending(asked: Request, random: Random) -> str:
    """Return a story about the same hero with another ending, or the reply itself where no ending is asked for."""
    asks = asked.columns["ending"]
    if not asks:
        return asked.reply
    while True:
        tale = short_story(random.getrandbits(32), 0, random.choice([kind for kind in ENDS if kind != asks]))
        if asked.plan.hero.kind == tale.plan.hero.kind:
            return re.sub(rf"\b{tale.plan.hero.name}\b", asked.plan.hero.name, tale.text)


def another_hero(asked: Request, random: Random) -> str:
    """Give the hero another name from the middle of the story on."""
    told = sentences(asked.reply)
    name = asked.plan.hero.name
    other = random.choice(sorted(children() - {who.name for who in asked.plan.characters}))
    late = re.sub(rf"\b{name}\b", other, " ".join(told[2:]))
    return " ".join((*told[:2], late))


def repeated(asked: Request, random: Random) -> str:
    """Repeat a sentence two to four times in place of the rest."""
    told = sentences(asked.reply)
    place = random.randrange(1, max(2, len(told) // 2))
    return " ".join((*told[:place], *(told[place : place + 1] * random.randint(3, 5))))


def cut_off(asked: Request, random: Random) -> str:
    """Cut the story off inside a sentence, after 30% to 70% of its words."""
    told = asked.reply.split()
    kept = told[: int(len(told) * random.uniform(0.3, 0.7))]
    return " ".join(kept).rstrip('.!?,"')


def shuffled(asked: Request, random: Random) -> str:
    """Put the sentences in random order."""
    told = sentences(asked.reply)
    while (mixed := random.sample(told, len(told))) == told:
        pass
    return " ".join(mixed)


def word_salad(asked: Request, random: Random) -> str:
    """Put the words in random order."""
    told = asked.reply.split()
    return " ".join(random.sample(told, len(told)))


DAMAGES: dict[str, Damage] = {
    "other_story": other_story, "wrong_ending": wrong_ending, "another_hero": another_hero, "repeated": repeated,
    "cut_off": cut_off, "shuffled": shuffled, "word_salad": word_salad,
}  # fmt: skip
"""Ways to break a reply, by name. A way that leaves a reply as it was is not used."""
SHARES = {
    "other_story": 5,
    "wrong_ending": 4,
    "another_hero": 2,
    "repeated": 2,
    "cut_off": 2,
    "shuffled": 1,
    "word_salad": 0.5,
}
MARGIN = 0.02
"""The chosen reply scores better than the rejected reply by this much at least (rules.overall)."""
PROMPTS = {"story": 0.7, "arithmetic": 0.2, "refusal": 0.1}


def preference(seed: int, number: int, phrasings: Phrasings = "train") -> Task:
    """Return pair number `number` of `seed`: a prompt, the reply that satisfies it, and a reply that a rule scores
    lower. Further columns: `damage`, the way in which the rejected reply is broken; `chosen_score` and
    `rejected_score`, by rules.overall."""
    asked, damage, text, scores = _pair(random_of("preference", seed, number), phrasings)
    row = {"prompt": [user(asked.prompt)], "chosen": [assistant(asked.reply)], "rejected": [assistant(text)]}
    measured = {"damage": damage, "chosen_score": scores[0], "rejected_score": scores[1]}
    return Task("preference", row, {**asked.columns, **measured})


def rating(seed: int, number: int, phrasings: Phrasings = "train", good: float = 0.5) -> Task:
    """Return rating number `number` of `seed`: a prompt, a completion, and whether it satisfies the prompt. `good` is
    the share of completions that do."""
    random = random_of("rating", seed, number)
    asked, damage, text, scores = _pair(random, phrasings)
    label = random.random() < good
    shown = asked.reply if label else text
    row = {"prompt": [user(asked.prompt)], "completion": [assistant(shown)], "label": label}
    return Task("rating", row, {**asked.columns, "damage": "" if label else damage, "score": scores[not label]})


def story_prompt(
    seed: int, number: int, phrasings: Phrasings = "train", shares: dict[str, float] | None = None
) -> Task:
    """Return prompt number `number` of `seed` with the columns that rules check. `shares` gives the relative number of
    story, arithmetic and refusal prompts, PROMPTS by default."""
    random = random_of("story prompt", seed, number)
    sort = pick(random, shares or PROMPTS)
    key = random.getrandbits(32)
    if sort == "story":
        asked = request(key, 0, phrasings)
        return Task("prompt", {"prompt": [user(asked.prompt)]}, asked.columns)
    task = arithmetic(key, 0) if sort == "arithmetic" else refusal_or_answer(key, 0, phrasings)
    return Task("prompt", {"prompt": task.row["messages"][:1]}, task.columns)


def _pair(random: Random, phrasings: Phrasings) -> tuple[Request, str, str, tuple[float, float]]:
    """Return a request, a damage, the damaged reply, and the scores of the good reply and of the damaged reply."""
    while True:
        asked = request(random.getrandbits(32), 0, phrasings)
        damage = pick(random, SHARES)
        text = DAMAGES[damage](asked, random)
        if text == asked.reply:
            continue
        scores = (_score(asked.reply, asked), _score(text, asked))
        if scores[1] <= scores[0] - MARGIN:
            return asked, damage, text, scores


def _score(text: str, asked: Request) -> float:
    return round(overall(text, asked.columns), 4)

"""Arithmetic word problems in the world's words, of one to three steps, answered first or reasoned first."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from lilliput.storybook.grammar import Ways, ways, words
from lilliput.storybook.people import ANIMALS, CHILDREN, ELDERS
from lilliput.storybook.tasks import Task, assistant, columns, phrase, random_of, user

Order = Literal["answer", "reason"]
Form = Literal["dialogue", "exposition", "worked", "practice"]
MOST = 20
"""No number of a problem, and none on the way to its answer, is larger."""
THINGS = words("apples nuts coins shells stones berries marbles buttons stickers flowers cookies plums eggs kites cups")
ENOUGH = 3
"""Steps of a problem at most."""

START = ways("""
    {hero} has {n} {things}.
    {hero} found {n} {things} [in the garden|on the beach|by the river|in the yard].
    There are {n} {things} in the [basket|bag|box] of {hero}.
""")
STEPS: dict[str, Ways] = {
    "+": ways("""
        {other} gives {him} {n} more.
        Then {he} finds {n} more.
        {He} gets {n} more from {other}.
    """),
    "-": ways("""
        {He} gives {n} to {other}.
        Then {he} loses {n}.
        {other} takes {n}.
    """),
    "x": ways("""
        {hero} has {m} bags with {n} {things} in each bag.
        There are {m} boxes with {n} {things} in each box, and they all belong to {hero}.
        {hero} has {m} friends and gets {n} {things} from each friend.
    """),
}
ASK = ways("""
    How many {things} does {hero} have now?
    How many {things} does {hero} have in the end?
""")
ANSWER = "The answer is {}."
RULES_IN_WORDS: dict[str, Ways] = {
    "+": ways("""
        [When|If] somebody [gets|finds] more, you add. {hero} had {a} {things} and got {b} more. You count on from {a}:
            {a} + {b} = {c}. So {hero} has {c}.
        To add is to put together. {a} {things} and {b} {things} are {c} {things}, for {a} + {b} = {c}.
    """),
    "-": ways("""
        [When|If] somebody [gives away|loses] something, you take away. {hero} had {a} {things} and gave {b} to {other}.
            You count back from {a}: {a} - {b} = {c}. So {hero} has {c} left.
        To take away is to make less. {c} {things} are left when {b} of {a} are gone, for {a} - {b} = {c}.
    """),
    "x": ways("""
        [When|If] there are bags with the same number in each, you multiply. {a} bags with {b} {things} are {c}
            {things}, for {a} x {b} = {c}.
        To multiply is to add the same number again and again. {a} x {b} = {c}, and so {hero} has {c} {things}.
    """),
}
"""Expositions: what each operation means, with an example."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem in words, its steps ("3 + 4 = 7"), and its answer."""

    text: str
    steps: tuple[str, ...]
    answer: int

    @property
    def reason(self) -> str:
        """Return the steps in sentences: "First, 3 + 4 = 7. Then 7 - 2 = 5."."""
        if len(self.steps) == 1:
            return f"{self.steps[0]}."
        return " ".join(f"{'Then' if place else 'First,'} {step}." for place, step in enumerate(self.steps))

    def reply(self, order: Order) -> str:
        """Return the reply with the answer first, or with the reason first."""
        answer = ANSWER.format(self.answer)
        return f"{answer} {self.reason}" if order == "answer" else f"{self.reason} {answer}"


def problem(seed: int, number: int, steps: int = 0) -> Problem:
    """Return problem number `number` of `seed`, always the same. `steps` is 1, 2 or 3, or 0 for any."""
    random = random_of("problem", seed, number)
    count = steps or random.randint(1, ENOUGH)
    slots = _cast(random)
    told, made = [], []
    if random.random() < 0.25:
        boxes, each = random.randint(2, 4), random.randint(2, 5)
        total = boxes * each
        told.append(phrase(random, STEPS["x"]).format_map({**slots, "m": boxes, "n": each}))
        made.append(f"{boxes} x {each} = {total}")
    else:
        total = random.randint(2, 10)
        told.append(phrase(random, START).format_map({**slots, "n": total}))
    while len(made) < count:
        sign = random.choice("+-") if 1 < total < MOST else "+" if total < 2 else "-"
        amount = random.randint(1, min(9, MOST - total if sign == "+" else total - 1))
        after = total + amount if sign == "+" else total - amount
        told.append(phrase(random, STEPS[sign]).format_map({**slots, "n": amount}))
        made.append(f"{total} {sign} {amount} = {after}")
        total = after
    told.append(phrase(random, ASK).format_map(slots))
    return Problem(" ".join(told), tuple(made), total)


def arithmetic(seed: int, number: int, order: Order = "reason", steps: int = 0) -> Task:
    """Return a problem as a conversation. The same `seed` and `number` give the same problem in both orders."""
    made = problem(seed, number, steps)
    turns = [user(made.text), assistant(made.reply(order))]
    return Task("messages", {"messages": turns}, columns("arithmetic", answer=made.answer))


def arithmetic_text(seed: int, number: int, form: Form, order: Order = "reason", steps: int = 0) -> Task:
    """Return a text of one form: an exposition of an operation, a worked problem with its reason, or a problem to
    practise with its answer alone."""
    if form == "exposition":
        return Task("text", {"text": _exposition(random_of("exposition", seed, number))}, columns(form))
    made = problem(seed, number, steps)
    reply = made.reply(order) if form == "worked" else ANSWER.format(made.answer)
    return Task("text", {"text": f"{made.text}\n{reply}"}, columns(form, answer=made.answer))


def _exposition(random: Random) -> str:
    slots = _cast(random)
    sign = random.choice("+-x")
    if sign == "x":
        first, second = random.randint(2, 4), random.randint(2, 5)
        total = first * second
    elif sign == "+":
        first, second = random.randint(2, 10), random.randint(2, 9)
        total = first + second
    else:
        first = random.randint(4, MOST)
        second = random.randint(2, min(9, first - 2))
        total = first - second
    return phrase(random, RULES_IN_WORDS[sign]).format_map({**slots, "a": first, "b": second, "c": total})


def _cast(random: Random) -> dict[str, str]:
    people = CHILDREN if random.random() < 0.75 else ANIMALS
    hero = random.choice(people)
    other = random.choice((*ELDERS, *(person for person in people if person != hero)))
    slots = {"hero": str(hero), "he": hero.he, "He": hero.He, "him": hero.him, "other": str(other)}
    return {**slots, "things": random.choice(THINGS)}

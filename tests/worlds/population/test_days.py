"""People's texts and days: written, read back, and without contradictions."""

import re

import numpy as np
import pytest

from lilliput.base.errors import DataError
from lilliput.base.seeds import generator
from lilliput.worlds.population.days import Day, Expense, Heading, Interaction, day, read_day
from lilliput.worlds.population.files import diaries_of, read_diaries, read_people, write_diaries, write_people
from lilliput.worlds.population.joint import fit_joint
from lilliput.worlds.population.marginals import read_marginals
from lilliput.worlds.population.people import Person, draw_people
from lilliput.worlds.population.rules import by_rule, contradictions
from lilliput.worlds.population.telling import pattern, read, tell
from lilliput.worlds.population.training import any_heading
from lilliput.worlds.population.weeks import MONTH, Account, after_bills, evening, heading, morning, rule_writer

MARGINALS = read_marginals()
PEOPLE = draw_people(fit_joint(MARGINALS), 400, seed=5)
FORM = re.compile(pattern(MARGINALS))


def test_a_person_is_read_back_from_the_text() -> None:
    for person in [
        *PEOPLE,
        PEOPLE[0].model_copy(update={"friends": ()}),
        PEOPLE[1].model_copy(update={"friends": ("Tom",)}),
    ]:
        assert read(tell(person), FORM) == person
    assert read(tell(PEOPLE[0]).replace("years old", "years"), FORM) is None


def test_days_by_rule_are_read_back_and_contradict_nothing() -> None:
    for number, person in enumerate(PEOPLE):
        rng = generator(1, number)
        head = any_heading(person, rng)
        made = by_rule(person, head, rng)
        assert read_day(str(made)) == made
        assert contradictions(person, made) == []


def person_of(**values: object) -> Person:
    base = next(each for each in PEOPLE if each.job and each.sector not in ("trade", "hospitality"))
    given = {"fare": 3, "friends": ("Tom",), "interests": ("swimming", "chess", "reading"), "shops": "Friday"}
    return base.model_copy(update=given | {"shop": "Corner Shop"} | values)


TUESDAY = Heading("Tuesday", "sun", 20, 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            " I cycled to work. I went swimming. [Expense: 25 euros | Category: Other | Location: Pool]",
            "spent 25 euros of 20",
        ),
        (" I cycled to work. [Expense: 9 euros | Category: Transport | Location: Tram]", "it costs 3"),
        (" I cycled to work. [Expense: 9 euros | Category: Groceries | Location: Corner Shop]", "bought groceries"),
        (" I cycled to work. [Expense: 9 euros | Category: Leisure | Location: Museum]", "no interest"),
        (" I cycled to work. [Expense: 6 euros | Category: Leisure | Location: Pool]", "no interest"),
        (" I cycled to work. [Interaction: Ann | About: chess]", "no friend"),
        (" I cycled to work. [Interaction: Tom | About: dancing]", "dancing is no interest"),
        (" I slept early.", "did not go to work"),
        (" I cycled to work. [Expense: 600 euros | Category: Housing | Location: Home]", "for the home"),
    ],
)
def test_a_contradiction_is_found(text: str, reason: str) -> None:
    found = contradictions(person_of(), day(TUESDAY, text))
    assert any(reason in line for line in found), found


def test_a_rule_follows_the_heading() -> None:
    rng = np.random.default_rng(0)
    poor = by_rule(person_of(), Heading("Tuesday", "rain", 2, 3), rng)
    assert "I walked to work in the rain." in poor.text
    assert not poor.expenses
    rich = by_rule(person_of(), Heading("Tuesday", "rain", 90, 3, 700, "Ann", "cinema"), rng)
    assert Expense(700, "Housing", "Home") in rich.expenses
    assert Expense(3, "Transport", "Tram") in rich.expenses
    assert Interaction("Ann", "cinema") in rich.interactions
    assert Expense(11, "Leisure", "Cinema") in rich.expenses
    assert "for free" in by_rule(person_of(), Heading("Monday", "sun", 0, 0), rng).text


@pytest.mark.parametrize(
    "text",
    ["", " i slept.", " I slept. [Expense: 0 euros | Category: Food | Location: Pool]", " I slept. [Expense: 3 euros]",
     " I slept. [Expense: 3 euros | Category: Food | Location: Pool", " I slept.\nTuesday", " I [slept]."],
)  # fmt: skip
def test_a_text_that_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        day(TUESDAY, text)


def test_money_goes_through_a_month() -> None:
    """Income comes on the first of a month and the home is paid; what is left is spread over the days."""
    person = person_of(income=2000, home=600)
    account = morning(person, Account(100, 30))
    assert account.euros == 100 + after_bills(person) == 1600
    head = heading(person, account, "sun")
    assert (head.due, head.spend, head.weekday) == (600, 1000 // 30, "Wednesday")
    (made,) = rule_writer([person], [head], [4])
    after = evening(account, made)
    assert after == Account(1600 - made.spent - 600, 31)
    assert heading(person, Account(50, MONTH - 1), "sun").spend == 50
    assert morning(person, after) == after


def test_diaries_and_people_are_files(tmp_path) -> None:
    write_people(tmp_path / "people.jsonl", PEOPLE[:40])
    assert read_people(tmp_path / "people.jsonl") == PEOPLE[:40]
    done: list[int] = []
    made = list(diaries_of(PEOPLE[:40], rule_writer, 7, 0, done.append))
    assert sum(done) == 280
    write_diaries(tmp_path / "diaries.jsonl", made)
    assert read_diaries(tmp_path / "diaries.jsonl") == made
    assert [each.heading.weekday for each in made[0].days][::6] == ["Monday", "Sunday"]
    assert all(contradictions(each.person, day) == [] for each in made for day in each.days)
    assert list(diaries_of(PEOPLE[:5], rule_writer))[:5] == made[:5]
    damaged = (tmp_path / "diaries.jsonl").read_text().replace("Category: Food", "Category: Fun", 1)
    (tmp_path / "diaries.jsonl").write_text(damaged)
    with pytest.raises(DataError, match="line"):
        read_diaries(tmp_path / "diaries.jsonl")
    (tmp_path / "people.jsonl").write_text('{"name": "Tom"}\n')
    with pytest.raises(Exception, match="line 1"):
        read_people(tmp_path / "people.jsonl")


def test_a_day_is_its_line() -> None:
    made = Day(TUESDAY, " I slept.", (), ())
    assert str(made) == "Tuesday, sun, 20 euros to spend, tram 3 euros: I slept."

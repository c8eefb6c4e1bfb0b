"""A town by rule: money, friends, policies, and going on where it was interrupted."""

import json
from pathlib import Path

import pytest

pytest.importorskip("mesa")

from lilliput.base.errors import ConfigError, DataError
from lilliput.worlds.agents.outcomes import day_file
from lilliput.worlds.agents.policy import Policy, policy_of
from lilliput.worlds.agents.simulating import simulate_town
from lilliput.worlds.agents.town import State, Town
from lilliput.worlds.population.days import Expense, day
from lilliput.worlds.population.joint import fit_joint
from lilliput.worlds.population.marginals import read_marginals
from lilliput.worlds.population.people import draw_people
from lilliput.worlds.population.weeks import rule_writer

PEOPLE = draw_people(fit_joint(read_marginals()), 60, seed=1)


def test_money_is_neither_made_nor_lost() -> None:
    town = Town(PEOPLE, rule_writer, seed=0)
    for number in range(32):
        before = [each.state.euros for each in town.residents]
        town.step()
        for resident, euros in zip(town.residents, before, strict=True):
            assert resident.day is not None
            income = round(0.75 * resident.person.income) if number % 30 == 0 else 0
            paid = sum(each.euros for each in resident.day.expenses)
            owed = max(0, resident.person.home - euros - income) if number % 30 == 0 else 0
            assert resident.state.euros == max(0, euros + income - paid), resident.number
            assert resident.declined == 0
            assert resident.state.owed >= owed


def test_an_expense_beyond_the_account_is_declined() -> None:
    food, pool = Expense(30, "Food", "Canteen"), Expense(9000, "Leisure", "Pool")

    def writer(people, headings, seeds):
        return [day(head, f" I went out. {food} {pool}") for head in headings]

    town = Town(PEOPLE[:2], writer, 0, 5, [State(50), State(9)])
    town.step()
    assert [(each.state.euros, each.declined) for each in town.residents] == [(20, 9000), (9, 9030)]


def test_a_plan_reaches_the_friend_the_next_morning() -> None:
    first = PEOPLE[0].model_copy(update={"friends": ("Zora",)})
    friend = PEOPLE[1].model_copy(update={"name": "Zora Berg", "place": first.place})
    stranger = friend.model_copy(update={"place": "Elsewhere"})
    text = " I asked Zora about chess. [Interaction: Zora | About: a plan for chess]"

    def writer(people, headings, seeds):
        return [
            day(head, text if person.name == first.name else " I slept.")
            for person, head in zip(people, headings, strict=True)
        ]

    town = Town([stranger, first, friend], writer, 0, 3)
    town.step()
    assert [each.state.asked for each in town.residents] == [None, None, (first.first_name, "chess")]
    town.step()
    assert town.residents[2].heading is not None
    assert (town.residents[2].heading.asked, town.residents[2].heading.about) == (first.first_name, "chess")


def test_a_free_tram_is_taken_by_more_people(tmp_path: Path) -> None:
    found, page = simulate_town(None, tmp_path / "town", people=80, days=9, policy=["tram=0"], from_day=6)
    rides = found["outcomes"]["tram rides"]
    assert rides["policy"] > rides["control"]
    assert rides["low"] > 0
    assert found["outcomes"]["Transport euros"]["policy"] == 0
    series = {arm: each["tram rides"] for arm, each in found["series"].items()}
    assert series["policy"][:5] == series["control"][:5]
    assert series["policy"][5] > series["control"][5]
    assert "<svg" in page.read_text()


def test_an_interrupted_town_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    options = {"people": 30, "days": 6, "policy": ["rent=+50%"], "from_day": 2}
    whole, _ = simulate_town(None, tmp_path / "whole", **options)
    cut, _ = simulate_town(None, tmp_path / "cut", **options)
    for arm, day_ in (("control", 5), ("control", 6), ("policy", 4), ("policy", 5), ("policy", 6)):
        day_file(tmp_path / "cut", arm, day_).unlink()
    again, _ = simulate_town(None, tmp_path / "cut", **options)
    assert again == whole == cut
    for name in ("people=31", "days=7"):
        key, value = name.split("=")
        with pytest.raises(ConfigError, match="another simulation"):
            simulate_town(None, tmp_path / "cut", **{**options, key: int(value)})
    day_file(tmp_path / "cut", "control", 6).unlink()
    day_file(tmp_path / "cut", "control", 5).write_bytes(b"\x1f\x8b damaged")
    with pytest.raises(DataError, match="damaged"):
        simulate_town(None, tmp_path / "cut", **options)
    day_file(tmp_path / "whole", "control", 2).write_bytes(day_file(tmp_path / "whole", "control", 2).read_bytes()[:99])
    with pytest.raises(DataError, match="day-002"):
        simulate_town(None, tmp_path / "whole", **options)
    with pytest.raises(ConfigError, match="another simulation"):
        simulate_town(None, tmp_path / "cut", **options, tables="elsewhere")
    with pytest.raises(ConfigError, match="nothing begins on day 3"):
        simulate_town(None, tmp_path / "none", people=3, days=4, from_day=3)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        simulate_town(None, tmp_path / "full", **options)


def test_a_settings_file_holds_the_policy(tmp_path: Path) -> None:
    simulate_town(None, tmp_path / "town", people=5, days=1)
    assert json.loads((tmp_path / "town" / "simulation.json").read_text())["policy"] == []


def test_policies() -> None:
    assert policy_of(["tram=0", "rent=+10%", "income=200"]) == Policy(tram=0, rent=0.1, income=200)
    renter = next(each for each in PEOPLE if each.tenure == "rents")
    changed = policy_of(["rent=+10%", "income=200"]).of(renter)
    assert (changed.home, changed.income) == (round(1.1 * renter.home), renter.income + 200)
    owner = next(each for each in PEOPLE if each.tenure == "owns")
    assert policy_of(["rent=+10%"]).of(owner) == owner
    for wrong in ("tram", "trams=0", "tram=x", "tram=1", "rent=10", "income=-5", "tram=nan"):
        with pytest.raises(ConfigError):
            policy_of([wrong])

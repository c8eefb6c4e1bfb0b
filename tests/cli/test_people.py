"""`lilliput personas`, `diaries` and `simulate`: by rule, and by a model that has learned next to nothing."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

TINY = ("model.d_model=16", "model.n_layers=1", "model.n_heads=2", "model.d_mlp=16", "tokenizer.vocab_size=300")
TINY += ("train.epochs=null", "train.steps=2", "train.batch_tokens=2048", "train.compile=false", "evaluate.tokens=2000")
TINY += ("evaluate.final_tokens=2000", "model.context_length=2048")


@pytest.mark.usefixtures("peaks")
def test_people_days_and_a_town_by_a_model(command: Command) -> None:
    """Whatever a model has learned, its people and days can be read: a model after two steps shows it."""
    pytest.importorskip("llguidance")
    pytest.importorskip("mesa")
    result = command("personas", "train", "--people", "40", "--name", "town", *TINY, "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["summary"]["steps"] == 2
    other = command("personas", "train", "--people", "41", "--name", "town", *TINY)
    assert other.code == 2
    assert "is of other people" in other.err
    made = command("personas", "make", "2", "--run", "town", "--out", "made.jsonl", "--json")
    assert made.code == 0, made.err
    assert json.loads(made.out)["people"] == 2
    assert command("personas", "make", "3", "--seed", "1").code == 0
    again = command("personas", "make", "3")
    assert again.code == 2
    assert "is there already" in again.err
    days = command("diaries", "make", "people.jsonl", "--run", "town", "--days", "2", "--json")
    assert days.code == 0, days.err
    found = json.loads(days.out)
    assert (found["people"], found["days"]) == (3, 6)
    assert found["contradicting"]["share"] > 0.5
    report = command("diaries", "report", "diaries.jsonl")
    assert report.code == 0, report.err
    assert "contradict the person or the heading" in report.out + report.err
    words = ("simulate", "town", "--people", "3", "--days", "2", "--policy", "tram=0", "--from-day", "2", "--json")
    town = command(*words, "--out", "lived")
    assert town.code == 0, town.err
    outcomes = json.loads(town.out)["outcomes"]
    assert set(outcomes["tram rides"]) == {"control", "policy", "difference", "low", "high"}
    assert Path("lived/simulation.html").is_file()
    side_by_side = command(*words, "--out", "again", "--workers", "2")
    assert side_by_side.code == 0, side_by_side.err
    assert json.loads(side_by_side.out)["outcomes"] == outcomes


def test_people_by_rule_and_their_report(command: Command) -> None:
    assert command("personas", "make", "200").code == 0
    report = command("personas", "report", "people.jsonl", "--json")
    assert report.code == 0, report.err
    found = json.loads(report.out)
    assert found["contradicting"]["share"] == 0
    assert found["tables"]["age_sex"]["error"] < 0.2
    assert "<h3>household</h3>" in Path("people.html").read_text()
    assert command("diaries", "make", "people.jsonl").code == 0
    assert "0.0% of the days" in command("diaries", "report", "diaries.jsonl").out
    paid = json.loads(command("diaries", "payments", "diaries.jsonl", "--json").out)
    lines = Path("payments.csv").read_text().splitlines()
    assert lines[0] == "user_id,time,amount,category,location"
    assert len(lines) == paid["rows"] + 1 > 1000
    schema = command("tables", "schema", "payments.csv", "--entity", "user_id", "--time", "time", "--json")
    kinds = {name: each["kind"] for name, each in json.loads(schema.out)["schema"]["columns"].items()}
    assert (kinds["time"], kinds["amount"], kinds["category"]) == ("date", "number", "category")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("simulate", "--policy", "trams=0"), "did you mean 'tram'"),
        (("simulate", "--policy", "tram=0", "--from-day", "20"), "a --from-day from 1 to 14"),
        (("simulate", "nowhere"), "nowhere"),
        (("diaries", "make", "nobody.jsonl"), "nobody.jsonl cannot be read"),
        (("personas", "make", "--tables", "."), "holds no CSV file"),
    ],
)
def test_a_wrong_word_is_refused(command: Command, words: tuple[str, ...], message: str) -> None:
    result = command(*words)
    assert result.code == 2, result.out
    assert message in result.err

"""Exports: TRL's columns, every ordered pair, and files that are never lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from lilliput.base.errors import DataError
from lilliput.lab.labelling.exporting import export, rows_of
from lilliput.lab.labelling.figures import figures
from lilliput.lab.labelling.record import Record
from tests.lab.labelling.test_agreement import ranking, rating

CHAT = ({"role": "user", "content": "Who are you?"},)


def demonstration(labeller: str, item: str, text: str, **change: object) -> Record:
    return rating(labeller, item, True, mode="demonstrate", candidates=(), shown=(), answer=text, **change)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


RECORDS = [
    ranking("ada", "one", ((2,), (0, 1))),
    ranking("ben", "one", ((0,), (1,), (2,))),
    rating("ada", "two", True),
    rating("ben", "two", False),
    demonstration("ada", "three", " saw Zoë."),
    rating("ada", "four", True, event="skip", answer=None),
]


def test_each_kind_is_a_file_with_its_count(tmp_path: Path) -> None:
    counts = export(RECORDS, tmp_path / "rows")
    assert {Path(path).name: count for path, count in counts.items()} == {
        "preferences.jsonl": 5,
        "demonstrations.jsonl": 1,
        "ratings.jsonl": 2,
    }
    preferences = read(tmp_path / "rows" / "preferences.jsonl")
    assert preferences[0] == {"prompt": "One day", "chosen": " saw 2", "rejected": " saw 0"}
    ordered = [(row["chosen"][-1], row["rejected"][-1]) for row in preferences]
    assert ordered == [("2", "0"), ("2", "1"), ("0", "1"), ("0", "2"), ("1", "2")]
    assert read(tmp_path / "rows" / "demonstrations.jsonl") == [{"prompt": "One day", "completion": " saw Zoë."}]
    ratings = read(tmp_path / "rows" / "ratings.jsonl")
    assert ratings == [{"prompt": "One day", "completion": " saw 0", "label": label} for label in (True, False)]


def test_conversations_are_rows_of_messages() -> None:
    records = [
        ranking("ada", "one", ((1,), (0,)), prompt=CHAT),
        rating("ada", "two", False, prompt=CHAT),
        demonstration("ada", "three", "I am a toy.", prompt=CHAT),
    ]
    rows = rows_of(records)

    def said(text: str) -> list[dict[str, str]]:
        return [{"role": "assistant", "content": text}]

    assert rows["preference"] == [{"prompt": CHAT, "chosen": said(" saw 1"), "rejected": said(" saw 0")}]
    assert rows["rating"] == [{"prompt": CHAT, "completion": said(" saw 0"), "label": False}]
    assert rows["completion"] == [{"prompt": CHAT, "completion": said("I am a toy.")}]


def test_the_rows_are_tables_with_these_columns_alone(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    export([*RECORDS[:4]], tmp_path)
    for name, columns in (
        ("preferences", {"prompt", "chosen", "rejected"}),
        ("ratings", {"prompt", "completion", "label"}),
    ):
        table = datasets.Dataset.from_list(read(tmp_path / f"{name}.jsonl"))
        assert set(table.column_names) == columns


@pytest.mark.parametrize("prompt", ["One day", CHAT], ids=["text", "chat"])
def test_the_rows_are_read_back_as_examples_of_their_kind(tmp_path: Path, prompt: Any) -> None:
    forms = pytest.importorskip("lilliput.data.example_rows")
    export([record.model_copy(update={"prompt": prompt}) for record in RECORDS], tmp_path)
    for name, kind in (("preferences", "preference"), ("demonstrations", "completion"), ("ratings", "rating")):
        for row in read(tmp_path / f"{name}.jsonl"):
            form = next(form for form in forms.FORMS if form.fits(row))
            example = form.example(row)
            assert (example.kind, example.row, example.columns) == (kind, row, {})


def test_texts_and_messages_have_files_of_their_own(tmp_path: Path) -> None:
    """A reader refuses a file of both. The texts keep the name of the file."""
    chats = [record.model_copy(update={"prompt": CHAT, "item": f"{record.item} chat"}) for record in RECORDS[:3]]
    counts = export([*RECORDS, *chats], tmp_path)
    assert {Path(path).name: count for path, count in counts.items()} == {
        "preferences.jsonl": 5,
        "preferences-messages.jsonl": 5,
        "demonstrations.jsonl": 1,
        "ratings.jsonl": 2,
        "ratings-messages.jsonl": 1,
    }
    for path in counts:
        forms = {isinstance(row["prompt"], str) for row in read(Path(path))}
        assert forms == {"messages" not in Path(path).name}
    with pytest.raises(DataError, match="is there already"):
        export([*RECORDS, *chats], tmp_path)


def test_one_labeller_alone(tmp_path: Path) -> None:
    counts = export(RECORDS, tmp_path, labeller="ben")
    assert {Path(path).name: count for path, count in counts.items()} == {"preferences.jsonl": 3, "ratings.jsonl": 1}
    with pytest.raises(DataError, match="no answer of 'eve'"):
        export(RECORDS, tmp_path / "none", labeller="eve")
    assert not (tmp_path / "none").exists()


def test_undone_answers_and_ties_are_no_rows() -> None:
    tie = ranking("ada", "one", ((0, 1),))
    undo = rating("ada", "two", True, event="undo", answer=None)
    assert not any(rows_of([tie, rating("ada", "two", True), undo]).values())


def test_files_that_are_there_are_kept_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "ratings.jsonl").write_text("mine")
    with pytest.raises(DataError, match=r"ratings.jsonl is there already"):
        export(RECORDS, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ratings.jsonl"]
    assert (tmp_path / "ratings.jsonl").read_text() == "mine"
    export(RECORDS, tmp_path, replace=True)
    assert len(read(tmp_path / "ratings.jsonl")) == 2


def test_figures_and_cost() -> None:
    undone = [
        rating("ada", "five", True, seconds=30),
        rating("ada", "five", True, event="undo", answer=None, seconds=10),
    ]
    found = figures([*RECORDS, *undone], hourly_wage=18)
    # Six lines of 2 seconds, and 40 seconds of an answer that was taken back.
    assert found["minutes"] == pytest.approx(52 / 60)
    assert (found["answers"], found["skips"], found["undone"]) == (5, 1, 1)
    assert found["by_mode"] == {"rank": 2, "rate": 2, "demonstrate": 1}
    assert found["answers_per_hour"] == pytest.approx(5 * 3600 / 52)
    assert found["cost"] == pytest.approx(18 * 52 / 3600)
    assert found["cost_per_answer"] == pytest.approx(18 * 52 / 3600 / 5)
    assert found["median_seconds"] == 2
    assert found["first_places"] == [1, 0, 1, 0]
    assert found["labellers"]["ben"]["minutes"] == pytest.approx(4 / 60)


def test_figures_of_nothing() -> None:
    found = figures([])
    assert (found["answers"], found["minutes"], found["answers_per_hour"], found["cost"]) == (0, 0, None, None)
    assert figures([], 10)["cost_per_answer"] is None

"""The tasks of the story world as sources."""

import hashlib
from typing import Any

import pytest
from pydantic import ValidationError

from lilliput.data.config import DataConfig
from lilliput.data.examples import PARTS
from lilliput.data.source import Source
from lilliput.storybook.tasks import VERSION

KINDS = {
    "instructions": "messages", "questions": "messages", "refusals": "messages", "arithmetic": "messages",
    "preferences": "preference", "ratings": "rating", "story_prompts": "prompt",
}  # fmt: skip
FIELDS: dict[str, dict[str, Any]] = {
    "instructions": {"turns": 1.0, "length": "full"}, "questions": {"unanswerable": 1.0}, "refusals": {"harmful": 1.0},
    "arithmetic": {"order": "answer", "form": "worked", "operations": 3}, "preferences": {}, "ratings": {"good": 1.0},
    "story_prompts": {"shares": {"arithmetic": 1.0}},
}  # fmt: skip


def source(kind: str, **values: Any) -> Source:
    return DataConfig(sources=[{"kind": kind, **values}]).sources[0]  # type: ignore[arg-type]


DIGESTS = {1: "968408b434b7aee1"}
"""Of 60 examples of each kind with seed 0, by the VERSION of the tasks."""


def test_the_same_seed_makes_the_same_examples_under_one_version() -> None:
    made = [document for kind in KINDS for document in source(kind, count=60).documents()]
    columns = [document.example.columns for document in made if document.example]
    text = repr([(document.text, row) for document, row in zip(made, columns, strict=True)])
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert DIGESTS.get(VERSION) == digest, "the tasks changed: raise VERSION and note the new digest here"


@pytest.mark.parametrize("kind", KINDS)
def test_examples_with_ids_that_name_their_task(kind: str) -> None:
    documents = list(source(kind, count=6, seed=3).documents())
    assert [document.id for document in documents] == [f"{kind}:3:{number}" for number in range(6)]
    for document in documents:
        assert document.kind == KINDS[kind]
        assert document.example is not None
        assert set(PARTS[document.example.kind]) <= document.example.row.keys()
        assert document.example.conversational
        assert document.text == document.example.text
        assert "task" in document.example.columns
    again = [document.example for document in source(kind, count=6, seed=3).documents()]
    assert again == [document.example for document in documents]
    assert len({document.text for document in documents}) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_the_fingerprint_follows_every_field_but_the_weight(kind: str) -> None:
    prints = {source(kind, count=n, seed=s).fingerprint() for n in (5, 6) for s in (0, 1)}
    prints |= {source(kind, count=5, **{name: value}).fingerprint() for name, value in FIELDS[kind].items()}
    prints |= set() if kind == "arithmetic" else {source(kind, count=5, phrasings="held_out").fingerprint()}
    assert len(prints) == 4 + len(FIELDS[kind]) + (kind != "arithmetic")
    assert source(kind, count=5, weight=3.0).fingerprint() in prints
    assert f"{kind}: 5 examples of the story world" in source(kind, count=5).describe()


def test_fields_act() -> None:
    def rows(kind: str, **values: Any) -> list[Any]:
        return [document.example for document in source(kind, count=30, **values).documents()]

    assert all(len(row.row["messages"]) == 4 for row in rows("instructions", turns=1.0))
    assert all(row.columns["longest"] == 250 for row in rows("instructions", turns=0.0, length="full"))
    assert all(row.columns["held_out"] for row in rows("instructions", phrasings="held_out"))
    assert all("not say" in row.row["messages"][1]["content"] for row in rows("questions", unanswerable=1.0))
    assert all(row.columns["harmful"] for row in rows("refusals", harmful=1.0))
    assert all(row.row["messages"][1]["content"].startswith("The answer") for row in rows("arithmetic", order="answer"))
    assert not any(row.row["label"] for row in rows("ratings", good=0.0))
    assert all(row.columns["answer"] is not None for row in rows("story_prompts", shares={"arithmetic": 2}))


@pytest.mark.parametrize("form", ["exposition", "worked", "practice"])
def test_arithmetic_as_text(form: str) -> None:
    documents = list(source("arithmetic", form=form, count=5, operations=2).documents())
    assert all(document.kind == "text" and document.text for document in documents)
    assert f"(texts, {form}" in source("arithmetic", form=form).describe()


def test_shares_without_a_share_are_refused() -> None:
    for shares in ({"story": 0}, {"story": -1, "arithmetic": 2}, {"rhymes": 1}):
        with pytest.raises((ValidationError, ValueError)):
            source("story_prompts", shares=shares)


def test_belongings_are_texts_by_their_fields() -> None:
    made = list(source("belongings", count=5, pairs=3, distance=1, seed=2).documents())
    assert [document.id for document in made] == [f"belongings:2:{number}" for number in range(5)]
    assert all(document.text.count("What does") == 3 and document.text.count(".") == 7 for document in made)
    assert all(document.example is None and document.meta["task"] == "belongings" for document in made)
    fields: list[dict[str, Any]] = [{}, {"pairs": 3}, {"distance": 0}, {"seed": 1}, {"count": 6}]
    prints = {source("belongings", **{"count": 5, **values}).fingerprint() for values in fields}
    assert len(prints) == 5
    assert "belongings: 5 examples of the story world (texts), seed 0" in source("belongings", count=5).describe()
    with pytest.raises(ValidationError, match="less than or equal to 16"):
        source("belongings", pairs=17)

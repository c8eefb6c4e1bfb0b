"""The studies of teaching at their smallest size: every stage and every arm trains, is measured and is printed."""

import json
from pathlib import Path

import pytest

import align
import teaching
import word_problems
from lilliput.assembly.recipe import load
from lilliput.data.story_tasks import Instructions
from lilliput.data.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the runs, which both studies share."""
    return tmp_path_factory.mktemp("runs")


def _rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def found(runs: Path) -> dict:
    """What the study of all stages found."""
    return align.study([1], runs, 16, smoke=True)


@pytest.mark.study
def test_every_stage_is_trained_and_measured(found: dict) -> None:
    replying = [stage.name for stage in align.STAGES if stage.replies]
    assert list(found["stages"]) == replying
    assert all(0 <= row["done"] <= 1 and row["seconds"] > 0 for row in found["stages"].values())
    assert found["stages"]["chat"]["kl"] is None
    assert found["stages"]["base"]["forgot"] is None  # each stage has its own figures
    assert found["stages"]["format"]["forgot"] is not None
    assert found["stages"]["grpo"]["kl"] is not None
    assert 0 <= found["reward_model"]["val_accuracy"] <= 1
    page = align.page(found)
    assert all(f">{name}<" in page for name in replying)


@pytest.mark.study
def test_a_student_that_was_not_taught_to_chat_gets_its_teachers_tokenizer(runs: Path, found: dict) -> None:
    teacher = f"objective.teacher={runs / 'teacher-1'}"
    student = load("distill", [teacher, f"init.from={runs / 'base-1'}"])
    assert str(runs / "teacher-1") in str(student.tokenizer.path)
    assert Tokenizer.load(runs / "distilled-1/checkpoints/step-0000003/model").chat_template is not None
    longer = load("distill", [f"objective.teacher={runs / 'base-1'}", f"init.from={runs / 'chat-1'}"])
    assert str(runs / "chat-1") in str(longer.tokenizer.path)  # base has no tokens for turns


@pytest.mark.study
@pytest.mark.parametrize("arms", [word_problems.ORDERS, word_problems.STAGES], ids=["orders", "stages"])
def test_every_arm_is_trained_and_measured(arms: tuple[word_problems.Arm, ...], runs: Path) -> None:
    found = word_problems.measured(arms, [1], runs, 16, smoke=True)
    assert list(found) == [arm.name for arm in arms]
    assert all(0 <= row["right"] <= 1 and row["margin"] is None for row in found.values())


def test_mismatched_rows_have_every_reply_under_another_request(tmp_path: Path) -> None:
    source = Instructions(count=20, seed=3, turns=0.0)
    rows = [row["messages"] for row in _rows(teaching.mismatched(source, tmp_path / "rows.jsonl"))]
    told = [document.example.row["messages"] for document in source.documents() if document.example is not None]
    assert [row[:-1] for row in rows] == [row[:-1] for row in told]
    assert [row[-1] for row in rows] == [told[(place + 1) % 20][-1] for place in range(20)]


def test_rates_are_those_of_the_recipe_chat() -> None:
    assert load("distill", teaching.rates()).train.optimizer == load("chat").train.optimizer


def test_problems_have_numbers_for_answers(tmp_path: Path) -> None:
    rows = _rows(word_problems._plain_prompts(tmp_path, 30))
    assert len(rows) == 30
    assert all(row["prompt"].endswith("\n") and int(row["answer"]) >= 0 for row in rows)

"""The benchmark of frozen parts at a tiny size: every choice is measured, and what is frozen costs nothing."""

import json

import pytest

import freezing
from lilliput.base.console import use_json
from lilliput.model.config import resolve


def test_every_choice_is_a_row_and_frozen_parts_cost_no_gradient(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--sizes", "story_1m", "--context", "16", "--batch-tokens", "32", "--rounds", "1", "--json"]
    try:
        freezing.main(words)
    finally:
        use_json(False)
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["frozen"] for row in rows] == list(freezing.choices(resolve("story_1m")))
    nothing, *others = rows
    assert nothing["memory_saved"] == nothing["time_saved"] == 0
    assert nothing["optimizer_bytes"] > 2 * nothing["gradients_bytes"] - 1000
    assert all(row["trained"] < nothing["trained"] and row["memory_saved"] > 0 for row in others)
    assert all(row["gradients_bytes"] == 4 * row["trained"] for row in rows)


def test_the_table_has_a_line_for_each_row() -> None:
    rows = freezing.measure("llama2c_260k", context=16, batch_tokens=16, rounds=1)
    assert freezing.table(rows).row_count == len(rows) == 5

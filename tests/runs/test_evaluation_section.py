"""The report's section on what `lilliput evaluate` found."""

import json
from pathlib import Path

import pytest

from lilliput.runs.evaluation_section import evaluation
from lilliput.runs.record import RunRecord
from tests.runs.made_run import make_run

FOUND = {
    "text": {
        "bits_per_byte": 0.5,
        "tokens": 12345,
        "context_length": 64,
        "stride": 32,
        "sources": {"<a>": {"bits_per_byte": 0.4}, "b": {"bits_per_byte": 0.6}},
        "controls": {"untrained weights": {"<a>": 3.1, "b": 3.2, "total": 3.15}},
    },
    "held_out": {
        "val_error": 0.2,
        "baselines": {"majority class": 0.5},
        "accuracies": {
            "this model": {"accuracy": 0.8, "low": 0.71, "high": 0.87},
            "majority class": {"accuracy": 0.5, "low": 0.4, "high": 0.6},
        },
    },
    "benchmarks": [
        {
            "task": "piqa",
            "metric": "acc",
            "items": 9,
            "chance": 0.5,
            "cut": 0,
            "scores": {"runs/x": {"score": 0.7, "stderr": None, "verdict": "indistinguishable from chance"}},
            "parts": {},
        }
    ],
    "overlap": {"piqa": {"n": 13, "items": 9, "short": 1, "found": 2, "share": 0.25, "examples": []}},
}


REWARDS = {"held_out": {"val_accuracy": 0.75, "val_pairs": 400, "baselines": {}}}
"""The figures of a reward model, which has no baselines."""


def section(folder: Path, content: str) -> str:
    make_run(folder)
    (folder / "evaluation.json").write_text(content)
    return evaluation(RunRecord.read(folder))


def test_everything_that_was_found_is_shown(tmp_path: Path) -> None:
    html = section(tmp_path, json.dumps(FOUND))
    for part in ("&lt;a&gt;", "3.150", "stride 32", "0.700 ± -", "indistinguishable from chance", "13 words", "25.00%"):
        assert part in html
    assert "<a>" not in html
    assert "71.0% to 87.0%" in html
    assert "majority class" in html


def test_a_reward_model_has_its_figures(tmp_path: Path) -> None:
    html = section(tmp_path, json.dumps(REWARDS))
    assert "val_accuracy" in html
    assert "0.750" in html


@pytest.mark.parametrize("content", ["{", "[]", '{"text": {"tokens": 1}}', '{"benchmarks": 3}'])
def test_a_damaged_file_is_reported(tmp_path: Path, content: str) -> None:
    assert "evaluation.json cannot be used" in section(tmp_path, content)


def test_nothing_where_nothing_was_evaluated(tmp_path: Path) -> None:
    make_run(tmp_path)
    assert evaluation(RunRecord.read(tmp_path)) == ""

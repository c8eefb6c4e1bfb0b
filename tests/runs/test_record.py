import json

import pytest

from lilliput.base.errors import CheckpointError
from lilliput.runs.record import RunRecord, spread
from lilliput.runs.samples_file import Section


def test_a_finished_run_is_read_whole(run):
    record = RunRecord.read(run)
    assert record.name == "story"
    assert record.problems == []
    assert record.number("parameters") == 1_594_624
    assert [name for name, _ in record.baselines()] == ["unigram", "bigram", "trigram"]
    assert len(record.points("tokens", "bits_per_byte")) == 120
    assert len(record.samples) == 13


def test_without_a_summary_the_last_metrics_speak(run):
    (run / "summary.json").unlink()
    record = RunRecord.read(run)
    assert record.number("tokens") == 600 * 8192
    assert record.number("val_bits_per_byte") == pytest.approx(record.points("step", "val_bits_per_byte")[-1][1])
    assert "summary.json" in record.problems[0]


@pytest.mark.parametrize("name", ["recipe.yaml", "metrics.jsonl", "summary.json", "samples.md"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00garbage", b"[1, 2", b"3\n"])
def test_any_file_may_be_missing_or_damaged(run, name, content):
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_bytes(content)
    record = RunRecord.read(run)
    assert record.name


@pytest.mark.parametrize("name", ["recipe.yaml", "metrics.jsonl", "summary.json"])
def test_a_damaged_file_is_named(run, name):
    (run / name).write_bytes(b"\xff\xfe{")
    assert any(name in problem for problem in RunRecord.read(run).problems)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"no run in .*metrics\.jsonl"):
        RunRecord.read(tmp_path)


def test_numbers_that_are_not_finite_are_left_out(run):
    lines = [{"step": 1, "tokens": 8, "bits_per_byte": 2.0}, {"step": 2, "tokens": 16, "bits_per_byte": float("nan")}]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert RunRecord.read(run).points("tokens", "bits_per_byte") == [(8.0, 2.0)]


def test_validation_at_a_step_is_the_last_one_before_it(run):
    record = RunRecord.read(run)
    known = dict(record.points("step", "val_bits_per_byte"))
    assert record.validation_at(120) == known[100]
    assert record.validation_at(-1) is None


def test_moments_are_spread_from_first_to_last_and_dense_at_the_start():
    sections = [Section(step, step, step, [("a", "b")]) for step in range(0, 1001, 10)]
    steps = [section.step for section in spread(sections, 5)]
    assert steps[0] == 0
    assert steps[-1] == 1000
    assert len(steps) == len(set(steps)) == 5
    assert all(b - a < c - b for a, b, c in zip(steps[1:], steps[2:], steps[3:], strict=False))
    assert spread(sections[:3], 5) == sections[:3]

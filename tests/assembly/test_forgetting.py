"""Bits per byte on the text of the source run: measured before and after, printed, reported, or a sentence why not."""

import math
import shutil
from pathlib import Path

import pytest

from lilliput import api
from lilliput.cli import train as command
from lilliput.runs.run_folder import RunFolder
from tests.assembly.conftest import SHORT


def test_the_old_text_is_scored_before_and_after(begin, source: Path, tmp_path: Path, capsys):
    run = begin("train.optimizer.learning_rate=0.01")
    old = run.summary["old_domain"]
    assert old["name"] == "source"
    assert old["before"] == pytest.approx(RunFolder(source).read_summary()["val_bits_per_byte"], rel=0.02)
    assert old["difference"] == pytest.approx(old["after"] - old["before"])
    assert abs(old["difference"]) > 1e-4
    given = api.evaluate(run.path, str(source.parent / "new.txt"), notify=lambda text: None)
    assert math.isfinite(given.bits_per_byte)
    command.print_results(run)
    assert f"old text    {old['before']:.3f} bits per byte before, {old['after']:.3f} after" in capsys.readouterr().out
    page = (run.path / "report.html").read_text()
    assert "old domain (source)" in page
    assert f"{old['before']:.3f} before, {old['after']:.3f} after, {old['difference']:+.3f}" in page
    card = (RunFolder(run.path).checkpoint(run.summary["steps"]) / "model" / "README.md").read_text()
    assert "trained from the weights of source with Lilliput" in card
    assert "from scratch" not in card


def test_nothing_learned_is_nothing_forgotten(begin):
    old = begin("train.optimizer.learning_rate=1e-12").summary["old_domain"]
    assert old["difference"] == pytest.approx(0, abs=1e-5)


def test_it_can_be_left_out(begin):
    assert "old_domain" not in begin("evaluate.old_domain=false").summary


def test_a_run_from_nothing_has_no_old_text(tmp_path: Path, begin):
    options = [*SHORT, "model.style=null", "model.d_model=32", "model.n_layers=1", "tokenizer.vocab_size=300"]
    given = {"data": str(tmp_path / "new.txt"), "runs": tmp_path, "live": False, "notify": lambda text: None}
    summary = api.train("story", options, name="fresh", **given).summary
    assert "old_domain" not in summary
    assert "init" not in summary
    assert summary["parameters_trained"] == summary["parameters"]


def test_a_source_outside_any_run_is_a_sentence(begin, source: Path, tmp_path: Path, capsys):
    model = RunFolder(source).checkpoint(RunFolder(source).steps()[-1]) / "model"
    folder, lines = Path(shutil.copytree(model, tmp_path / "bare" / "a" / "b" / "c")), list[str]()
    run = begin(from_=folder, notify=lines.append)
    assert "belongs to no run" in run.summary["old_domain"]["why_not"]
    assert any("belongs to no run" in line for line in lines)
    command.print_results(run)
    assert "old text    not measured: " in capsys.readouterr().out
    assert "not measured: " in (run.path / "report.html").read_text()


def test_text_that_is_gone_is_a_sentence(begin, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    recipe = source / "recipe.yaml"
    text = recipe.read_text()
    assert "tales.txt" in text
    recipe.write_text(text.replace("tales.txt", "gone.txt"))
    assert "gone.txt" in begin().summary["old_domain"]["why_not"]


def test_a_source_that_is_not_judged_by_text_is_a_sentence(begin, source: Path):
    recipe = source / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("kind: causal", "kind: masked"))
    assert "'masked'" in begin().summary["old_domain"]["why_not"]

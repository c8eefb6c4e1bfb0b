"""`lilliput plan` and `lilliput init`: forecasts, figures, and studies of real runs of a second."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command

SMALL = tuple(words for words in TINY if not words.startswith("evaluate.steps"))


def test_a_forecast_is_checked_on_the_finished_run(command: Command, tales: Path) -> None:
    words = ("story", *TINY, "--data", str(tales), "--name", "tiny")
    assert command("train", *words).code == 0
    result = command("plan", *words, "--seconds", "0.1", "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    summary = json.loads(Path("runs/tiny/summary.json").read_text())
    assert (found["tokens"], found["flops"]) == (summary["tokens"], summary["flops"])
    assert found["parameters"] == summary["parameters"]
    assert found["checked"]["tokens"]["error"] == 0
    assert found["checked"]["seconds"]["actual"] == summary["seconds"]
    assert found["pilot"]["step_seconds"] > 0
    assert any("under 20" in doubt for doubt in found["warnings"])
    other = json.loads(command("plan", *words, "train.steps=13", "--seconds", "0.1", "--json").out)
    assert other["checked"] is None


def test_isoflop_and_tables_write_their_files(command: Command) -> None:
    result = command("plan", "isoflop", "--picture", "a.svg", "--page", "b/a.html", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["model"]["parameters"] == pytest.approx(47.9e6, rel=1e-3)
    assert Path("a.svg").stat().st_size
    assert Path("b/a.html").stat().st_size
    found = json.loads(command("plan", "tables", "--gpu-hours", "1000", "--page", "t.html", "--json").out)
    assert found["yours"]["energy"]["kwh"] == 700
    assert Path("t.html").stat().st_size


@pytest.mark.parametrize("size", ["117m", "117M", "117e6", "117_000_000", "0.117b"])
def test_a_size_takes_units(command: Command, size: str) -> None:
    model = json.loads(command("plan", "isoflop", "--parameters", size, "--json").out)["model"]
    assert model["parameters"] == 117e6
    with_tokens = command("plan", "isoflop", "--parameters", size, "--tokens", "2B", "--json")
    assert json.loads(with_tokens.out)["model"]["tokens"] == 2e9
    table = json.loads(command("plan", "tables", "--parameters", size, "--tokens", "3.4b", "--json").out)
    assert (
        table["yours"]
        == json.loads(command("plan", "tables", "--parameters", "117000000", "--tokens", "3400000000", "--json").out)[
            "yours"
        ]
    )


def test_whole_numbers_take_units_too(command: Command) -> None:
    def shown(*words: str) -> str:
        return command("model", "show", "story_1m", *words, "--json").out

    assert shown("--rows", "0.064k", "--context", "1.2e2") == shown("--rows", "64", "--context", "120")
    for rows in ("1.5", "0", "-3", "many"):
        refused = command("model", "show", "story_1m", "--rows", rows)
        assert (refused.code, refused.out) == (2, "")
        assert "whole number" in refused.err


def test_a_sweep_goes_on_where_it_was_left(command: Command, tales: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    monkeypatch.setattr("lilliput.planning.fit.DRAWS", 20)
    study = (
        "plan", "sweep", "story", *SMALL, "train.batch_tokens=256", "train.checkpoint_steps=100000",
        "--data", str(tales), "--budgets", "3e9,4e9,5e9",
        "--held-out", "none", "--sizes", "w32-d1,w64-d1,w96-d2", "--name", "s", "--json",
    )  # fmt: skip
    result = command(*study)
    # tiny budgets need not have minima inside; the runs are kept either way
    assert result.code in (0, 2), result.err
    runs = sorted(Path("runs/s").glob("c*/summary.json"))
    assert len(runs) == 9
    before = [path.stat().st_mtime_ns for path in runs]
    runs[0].unlink()
    again = command(*study)
    assert again.code == result.code
    assert [path.stat().st_mtime_ns for path in runs[1:]] == before[1:]
    assert runs[0].exists()
    if result.code == 0:
        assert len(json.loads(result.out)["runs"]) == 9
        assert Path("runs/s/study.html").stat().st_size
    other = command(*study[:-1], "--seeds", "2")
    assert other.code == 2
    assert "another recipe or other budgets" in other.err


def test_a_sweep_misses_its_package_before_it_trains(
    command: Command, tales: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    result = command("plan", "sweep", "story", *SMALL, "--data", str(tales), "--name", "s")
    assert result.code == 2
    assert "lilliput[plan]" in result.err
    assert not Path("runs/s").exists()


def test_learning_rates_show_a_divergent_one(command: Command, tales: Path) -> None:
    words = (
        "plan",
        "learning-rate",
        "story",
        *SMALL,
        "train.schedule.warmup_steps=2",
        "--data",
        str(tales),
        "--steps",
        "10",
        "--factors",
    )
    result = command(*words, "1/16,4,1e7", "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert [outcome["value"] for outcome in found["outcomes"]] == [1 / 16, 4, 1e7]
    assert found["verdicts"][0] == "too low"
    assert found["verdicts"][2] in ("divergent", "too high")
    assert found["best"] == 4
    assert Path(found["page"]).stat().st_size


def test_batch_sizes_have_memory_of_their_own(command: Command, tales: Path) -> None:
    words = ("plan", "batch-size", "story", *SMALL, "--data", str(tales), "--sizes", "64,256", "--json")
    result = command(*words)
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert [outcome["steps"] for outcome in found["outcomes"]] == [16, 4]
    assert all(outcome["tokens_per_second"] > 0 for outcome in found["outcomes"])
    assert found["largest_stable"] == 256


def test_init_writes_a_recipe_that_resolves_and_gives_reasons(command: Command, tales: Path) -> None:
    Path("more.txt").write_text(tales.read_text() * 10)
    words = ("init", "own.yaml", "--purpose", "text", "--data", "more.txt", "--machine", "1e11", "--time", "10m")
    result = command(*words, "--json")
    assert result.code == 0, result.err
    chosen = json.loads(result.out)
    text = Path("own.yaml").read_text()
    assert re.search(r"# [\d,]+: the largest that leaves about a thousand steps", text)
    shown = json.loads(command("recipe", "show", "own.yaml", "--json").out)
    assert (shown["train"]["seconds"], shown["train"]["epochs"], shown["train"]["steps"]) == (600, 4, None)
    assert chosen["recipe"]["train"]["seconds"] == 600
    assert shown["data"]["sources"][0]["paths"] == ["more.txt"]
    assert command(*words).code == 2
    assert command(*words, "--force").code == 0


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (("plan", "storry"), "there is no recipe 'storry'"),
        (("plan", "isoflop", "--tokens", "5"), "size open"),
        (("plan", "isoflop", "--parameters", "117x"), "'117x' is not a number above 0"),
        (("plan", "sweep", "--held-out", "none,1"), "--held-out 'none,1' is not a list of numbers"),
        (("plan", "learning-rate", "--factors", "1/0"), "--factors '1/0' is not a list of numbers"),
        (("plan", "sweep", "--budgets", "1e12,x,3"), "not a list of numbers"),
        (("plan", "sweep", "--budgets", "1e12,2e12"), "three budgets"),
        (("plan", "sweep", "--held-out", "1e10"), "has to be larger"),
        (("plan", "tables", "--tokens", "5", "--words", "5"), "2 are given"),
        (("plan", "batch-size", "--sizes", "8"), "less than one row"),
        (("init", "a.yaml", "--time", "soon"), "not a length of time"),
        (("init", "a.yaml", "b.yaml", "--time", "3m"), "init writes one recipe"),
        (("init", "a.yaml", "--machine", "h10"), "did you mean 'h100'"),
        (("init", "a.txt"), "a recipe is a YAML file"),
    ],
)
def test_bad_input_gives_one_line_and_2(command: Command, words: tuple[str, ...], printed: str) -> None:
    result = command(*words)
    assert result.code == 2
    assert printed in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("steps", [10, 20])
def test_trials_inside_their_warm_up_are_refused(command: Command, tales: Path, steps: int) -> None:
    words = ("plan", "learning-rate", "story", *SMALL, "--data", str(tales), "--steps", str(steps))
    result = command(*words)
    assert result.code != 0
    assert f"trials of {steps} steps end inside the warm-up of 20" in " ".join(result.err.split())
    assert "--steps 40" in result.err
    assert not Path("runs/learning-rate").exists()

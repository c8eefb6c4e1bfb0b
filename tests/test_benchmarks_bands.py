"""bands: the least and greatest figures of made-up runs, and the runs that are refused."""

import json
from pathlib import Path

import pytest

import bands
from lilliput.assembly.recipe import load, write
from lilliput.assembly.usual import bands_of, texts
from lilliput.base.console import use_json
from lilliput.base.damage import write_sealed
from lilliput.base.errors import CheckpointError, ConfigError
from lilliput.runs.bands import read_bands
from lilliput.runs.run_folder import RunFolder

STEPS = 2000


def run_of(folder: Path, seed: int, *overrides: str, steps: int = STEPS, recipe: str = "story") -> str:
    """A run whose training figure is 4 - 3 * progress, and validation a tenth above it, both raised by its seed / 100.
    It ended if it made all steps."""
    run = RunFolder(folder)
    run.path.mkdir()
    made = load(recipe, [f"seed={seed}", *overrides])
    write(made, run)
    run.settings.write_text(json.dumps({"torch": "2", "threads": seed}))
    for step in range(0, steps + 1, STEPS // 200):
        figure = 4 - 3 * step / STEPS + seed / 100
        line = {"step": step, "tokens": step * 2048} | ({"bits_per_byte": figure} if step else {})
        run.append_metrics(line | ({"val_bits_per_byte": figure + 0.1} if step % (STEPS // 10) == 0 else {}))
    if steps == STEPS:
        data = {"sources": [{"fingerprint": each} for each in texts(made)]}
        write_sealed(run.summary, {"stopped": "finished", "device": "cpu", "data": data})
    return str(folder)


@pytest.fixture
def two(tmp_path: Path) -> list[str]:
    return [run_of(tmp_path / f"run-{seed}", seed, "train.threads=1") for seed in (1, 4)]


def test_the_file_holds_the_least_and_greatest_at_each_point(two: list[str], tmp_path: Path, capsys) -> None:
    out = tmp_path / "out.json"
    bands.main(["story", *two, "--out", str(out)])
    found = read_bands(out)
    assert (found.name, found.seeds, found.runs) == ("story", (1, 4), 2)
    assert [point.tokens for point in found.points] == [STEPS * 2048 * share // 20 for share in range(1, 21)]
    assert found.points[4].training == pytest.approx((3.26, 3.29))
    assert found.points[5].validation == pytest.approx((3.21, 3.24))
    assert [point.validation is not None for point in found.points] == [False, True] * 10
    assert found.versions == {"torch": "2", "threads": [1, 4], "device": "cpu"}
    assert "2 runs, 20 points up to 4.1M tokens" in capsys.readouterr().out


def test_a_run_by_the_recipe_has_this_band(two: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "story.bands.json"
    bands.main(["story", *two, "--out", str(out)])
    monkeypatch.setattr("lilliput.assembly.usual.bands_files", lambda: {"story": out})
    found, why = bands_of(load("story", ["seed=9"]))
    assert (found, why) == (read_bands(out), "")


def test_json_names_the_file(two: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        bands.main(["story", *two, "--out", str(tmp_path / "out.json"), "--json"])
    finally:
        use_json(False)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["runs"], printed["points"], printed["path"]) == (2, 20, str(tmp_path / "out.json"))


def test_other_runs_are_refused(two: list[str], tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "out.json")]
    with pytest.raises(ConfigError, match=r"another recipe than story \(train.clip: 0.5 in the run, 1.0 in the recipe"):
        bands.main(["story", two[0], run_of(tmp_path / "other", 2, "train.clip=0.5"), *out])
    with pytest.raises(ConfigError, match=r"another recipe.*objective"):
        bands.main(["story", two[0], run_of(tmp_path / "back", 2, recipe="story-reversed"), *out])
    with pytest.raises(ConfigError, match=r"another clock than story: train.seconds is 60"):
        bands.main(["story", two[0], run_of(tmp_path / "clock", 2, "train.seconds=60"), *out])
    with pytest.raises(ConfigError, match="a seed counts once"):
        bands.main(["story", two[0], run_of(tmp_path / "same", 1), *out])
    with pytest.raises(ConfigError, match="two runs at least"):
        bands.main(["story", two[0], *out])
    with pytest.raises(ConfigError, match="no shipped recipe"):
        bands.main(["stories", *two, *out])
    assert not (tmp_path / "out.json").exists()


def test_a_run_on_another_text_is_refused(two: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lilliput.storybook.VERSION", -1)
    with pytest.raises(ConfigError, match="read another text"):
        bands.main(["story", *two, "--out", str(tmp_path / "out.json")])


def test_a_run_that_was_stopped_early_is_refused(two: list[str], tmp_path: Path) -> None:
    run = RunFolder(Path(two[1]))
    write_sealed(run.summary, {**run.read_summary(), "stopped": "early stopping"})
    with pytest.raises(CheckpointError, match="ended before its budget"):
        bands.main(["story", *two, "--out", str(tmp_path / "out.json")])


def test_runs_that_have_not_ended_give_the_part_that_they_have_done(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    runs = [run_of(tmp_path / f"half-{seed}", seed, steps=steps) for seed, steps in ((1, 1000), (2, 1490))]
    with pytest.raises(CheckpointError, match="has not ended"):
        bands.main(["story", *runs, "--out", str(out)])
    bands.main(["story", *runs, "--unfinished", "--out", str(out)])
    found = read_bands(out)
    assert [point.progress for point in found.points] == pytest.approx([share / 20 for share in range(1, 11)])
    assert found.points[-1].tokens == 1000 * 2048
    assert found.place(1400 * 2048, 0.7, 2.0, 2.0) is None

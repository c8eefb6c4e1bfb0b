"""The benchmarks of what curation gives: runs are whole, arms are measured, planted details and words are found."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import curating
import lilliput
import redaction
import whole_runs
import word_lists
from lilliput.base.errors import ConfigError

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def test_an_interrupted_run_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary: dict[str, int] = {}
    monkeypatch.setattr(lilliput, "train", lambda *given, **named: SimpleNamespace(summary=summary, path=tmp_path))
    with pytest.raises(ConfigError, match="was interrupted"):
        whole_runs.train_whole("story", [])
    summary["steps"] = 1
    assert whole_runs.train_whole("story", []) == tmp_path


def test_differences_are_of_the_same_seeds() -> None:
    found = {"raw": [{"bits": 2.0}, {"bits": 3.0}], "curated": [{"bits": 1.5}, {"bits": 2.5}]}
    less = curating.differences(found["curated"], found)["less_raw"]["bits"]
    assert (less["mean"], less["margin"]) == (-0.5, 0.0)
    assert curating.differences(found["raw"], found) == {}


@pytest.mark.study
@pytest.mark.parametrize("study", ["corpora", "steps", "words"])
def test_every_arm_is_trained_and_measured(study: str, tmp_path: Path) -> None:
    if not DATA.is_dir():
        pytest.skip("the folder of real data is not here")
    given = [study, "--data", str(DATA), "--seeds", "1", "--runs", str(tmp_path), "--smoke", "--json"]
    result = CliRunner().invoke(curating.app, given)
    curating.use_json(False)
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    for arms in found.values():
        assert len(arms) > 1
        for arm in arms.values():
            (row,) = arm["seeds"]
            assert 0 < row["held out"] < 20
            assert 0 <= row["BLiMP"] <= 1


def test_planted_details_are_found(tmp_path: Path) -> None:
    pytest.importorskip("faker")
    news, wnut = tmp_path / "news.txt", tmp_path / "wnut.conll"
    news.write_text("The market opened on Monday.\n\nPrices rose in the north.\n")
    wnut.write_text("Anna\tB-person\nsings\tO\nin\tO\nParis\tB-location\n.\tO\n\n")
    result = CliRunner().invoke(redaction.app, ["--news", str(news), "--wnut", str(wnut), "--json"])
    redaction.use_json(False)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["details"]["mail"]["recall"] == 1
    assert found["names"]["lists"]["WNUT-17"]["precision"] == 1


def test_lists_drop_planted_sentences_alone() -> None:
    for name, halves in word_lists.PLANTED.items():
        shares = {half: word_lists.found(name, texts) for half, texts in halves.items()}
        assert max(shares.values()) == 1
        assert min(shares.values()) == 0

"""The benchmark of curation: our jobs run, absent peers are named, and recall falls with the edits."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import curation
from lilliput.storybook import story


def test_it_runs_without_the_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": story(1, number).text}) + "\n" for number in range(120)))
    monkeypatch.setattr(curation, "PEERS", str(tmp_path / "none"))
    result = CliRunner().invoke(curation.app, ["--texts", str(texts), "--rounds", "1", "--json"])
    curation.use_json(False)
    found = json.loads(result.stdout)
    assert set(found["speed"]) == {"rules", "near duplicates", "exact documents", "exact paragraphs"}
    assert all(speed > 0 for speed in found["speed"].values())
    recall = [row["recall"] for row in found["near_duplicates"]]
    assert recall[0] > 0.9
    assert recall == sorted(recall, reverse=True)
    shown = CliRunner().invoke(curation.app, ["--texts", str(texts), "--rounds", "1"])
    assert "make curation-check" in shown.stdout
    assert "words edited" in shown.stdout


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert "one of --data and --texts" in str(run(curation.app, []).exception)
    assert "c4_demo" in str(run(curation.app, ["--data", str(tmp_path)]).exception)

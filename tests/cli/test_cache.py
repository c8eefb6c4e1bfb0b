"""`lilliput cache`: what it lists and removes, in words and in JSON."""

import json
from pathlib import Path

import pytest

from lilliput.base.cache import private_folder
from tests.cli.conftest import Command


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    folder = private_folder("tokens") / "some"
    folder.mkdir()
    (folder / "shard").write_text("x" * 2000)
    return folder


def test_list(command: Command, tokens: Path):
    out = command("cache", "list").out
    assert str(tokens) in out
    assert "2 kB" in out
    found = json.loads(command("cache", "list", "--json").out)
    (entry,) = [entry for entry in found["entries"] if entry["path"] == str(tokens)]
    assert (entry["kind"], entry["size"], entry["used"]) == ("tokens", 2000, False)
    assert entry["age"] >= 0
    assert "tokenised" in entry["purpose"]


def test_prune(command: Command, tokens: Path):
    assert command("cache", "prune", "--older", "1d", "--kind", "tokens").code == 0
    assert tokens.exists()
    assert "would be removed" in command("cache", "prune", "--dry-run", "--kind", "tokens").out
    assert tokens.exists()
    found = json.loads(command("cache", "prune", "--kind", "tokens", "--json").out)
    assert str(tokens) in [entry["path"] for entry in found["removed"]]
    assert not tokens.exists()


def test_wrong_words_are_named(command: Command, tokens: Path):
    result = command("cache", "prune", "--kind", "tokns")
    assert result.code == 2
    assert "did you mean 'tokens'" in result.err
    assert command("cache", "prune", "--older", "soon").code == 2
    assert tokens.exists()

"""A watched run: its file, its rewinding, and weights that are the same to the bit without watching."""

import json

import pytest

from lilliput.assembly.assembly import Assembly
from lilliput.assembly.recipe import load
from lilliput.base.files import sha256
from lilliput.runs.run_folder import RunFolder

SMALL = [
    *("data.sources.0.stories=80", "tokenizer.vocab_size=300", "model.d_model=32", "model.n_layers=2"),
    *("model.dropout=0.1", "model.context_length=64", "train.threads=1", "train.precision=fp32", "train.compile=false"),
    *("train.steps=9", "train.batch_tokens=256", "evaluate.tokens=256", "evaluate.samples=0", "evaluate.heroes=0"),
    *("evaluate.baselines=[]", "evaluate.final_heroes=0"),
]


@pytest.fixture
def trained(tmp_path, monkeypatch):
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))

    def train(name: str, *words: str) -> RunFolder:
        run = RunFolder(tmp_path / name)
        run.path.mkdir()
        Assembly(load("story", [*SMALL, *words]), run, lambda text: None).trainer(None).train()
        return run

    return train


def test_watching_changes_no_weight(trained):
    plain, watched = trained("plain"), trained("watched", "evaluate.watch=3")
    files = [run.checkpoint(9) / "model" / "model.safetensors" for run in (plain, watched)]
    assert sha256(files[0]) == sha256(files[1])
    assert not plain.heads.exists()
    lines = watched.read_heads()
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4, 6, 8, 9]
    assert [line["step"] for line in lines if "patterns" in line] == [0, 1, 2, 4, 8, 9]
    for line in lines:
        assert {"previous", "first", "duplicate", "induction", "induction_shuffled", "tokens"} <= line.keys()
        assert all(0 <= value <= 1 for layer in line["induction"] for value in layer)
    watched.rewind(4)
    assert [line["step"] for line in watched.read_heads()] == [0, 1, 2, 3, 4]
    assert json.loads(watched.heads.read_text().splitlines()[0])["step"] == 0

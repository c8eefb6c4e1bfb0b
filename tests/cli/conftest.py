"""The command as a person runs it, and one small trained run for all tests of this folder."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lilliput.base import console
from lilliput.cli.main import main

TINY = (
    "model.style=null",
    "model.d_model=32",
    "model.n_layers=1",
    "model.context_length=32",
    "tokenizer.vocab_size=320",
    "train.steps=12",
    "train.epochs=null",  # the tales are few
    "train.batch_tokens=256",
    "train.compile=false",
    "evaluate.tokens=512",
    "evaluate.final_tokens=2000",
    "evaluate.sample_tokens=20",
    "evaluate.steps=6",
)
"""Overrides that make any recipe's run a matter of a second or two."""


@dataclass
class Result:
    code: int
    out: str
    err: str


Command = Callable[..., Result]


def write_tales(path: Path, count: int = 300) -> Path:
    """A file of small texts that a tokenizer of 320 ids can be trained on."""
    rng = random.Random(0)
    names, things = ["Tom", "Lily", "Sam", "Anna"], ["ball", "kite", "cake", "boat", "drum"]
    tales = [
        f"One day {rng.choice(names)} saw a {rng.choice(things)} near the old tree. It was {rng.randrange(99)} steps "
        f"away. {rng.choice(names)} was happy and went home with the {rng.choice(things)}."
        for _ in range(count)
    ]
    path.write_text("\n<|endoftext|>\n".join(tales))
    return path


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `lilliput WORDS` in a folder of its own: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Result:
        monkeypatch.setattr("sys.argv", ["lilliput", *words])
        console.use_json(False)
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def tales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tales(tmp_path_factory.mktemp("tales") / "tales.txt")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, tales: Path) -> Iterator[Path]:
    """A finished run folder, trained once; tests must not change it (what writes into a run takes `run`)."""
    from lilliput import api

    folder = tmp_path_factory.mktemp("trained")
    before = os.environ.get("LILLIPUT_CACHE")
    os.environ["LILLIPUT_CACHE"] = str(folder / "cache")
    try:
        run = api.train("story", TINY, data=str(tales), name="tiny", runs=folder, notify=lambda text: None)
    finally:
        os.environ.pop("LILLIPUT_CACHE")
        if before is not None:
            os.environ["LILLIPUT_CACHE"] = before
    made = contents(run.path)
    yield run.path
    assert contents(run.path) == made, "a test changed the run that all tests of this folder share"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained run for a test that writes into it."""
    return Path(shutil.copytree(trained, tmp_path / "tiny-run"))


def contents(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="session")
def llama_run(tmp_path_factory: pytest.TempPathFactory, tales: Path) -> Path:
    """A run of Llama's parts with the SentencePiece-style tokenizer; tests must not change it."""
    from lilliput import api

    folder = tmp_path_factory.mktemp("llama")
    os.environ["LILLIPUT_CACHE"] = str(folder / "cache")
    options = [*TINY, "model.qk_norm=false", "tokenizer.kind=sentencepiece", "evaluate.baselines=[]"]
    try:
        return api.train("story", options, data=str(tales), name="tiny", runs=folder, notify=lambda text: None).path
    finally:
        del os.environ["LILLIPUT_CACHE"]

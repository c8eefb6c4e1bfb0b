"""--data alike in every command: files that a shell spelled out, and overrides that an error suggested."""

import json
import shlex
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import yaml

from lilliput.data.tokenizer import Tokenizer
from tests.cli.conftest import TINY, Command

NEEDED = ("data.sources.0.delimiter=;", "data.sources.0.column=body")
WARM = (*TINY, "train.schedule.warmup_steps=1")


@pytest.fixture
def tables(tmp_path: Path) -> list[str]:
    """Three files whose text a command finds with the overrides in NEEDED alone."""
    for name in ("a", "b", "k=v"):
        rows = (f"{n};One day {name} saw a kite near tree {n}. It was happy and went home." for n in range(60))
        (tmp_path / f"{name}.csv").write_text("\n".join(["id;body", *rows]))
    return ["a.csv", "b.csv", "k=v.csv"]


COMMANDS = {
    "data show": ["data", "show"],
    "tokenizer train": ["tokenizer", "train", "--out", "tok", "--vocab-size", "300"],
    "init": ["init", "own.yaml", "--purpose", "text", "--machine", "2e11", "--time", "3m"],
    "train": ["train", "story", "--name", "r", *TINY],
    "plan": ["plan", "story", "--seconds", "0.1", *TINY],
    "plan learning-rate": ["plan", "learning-rate", "story", "--factors", "1", "--steps", "4", *WARM],
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=list(COMMANDS))
def test_several_files_and_overrides(command: Command, tables: list[str], words: list[str]) -> None:
    missing = command(*words, "--data", *tables)
    assert missing.code == 2
    assert shlex.split(missing.err.splitlines()[-1].partition("name the delimiter: ")[2]) == [NEEDED[0]]
    done = command(*words, "--data", *tables, *NEEDED)
    assert done.code == 0, done.err


def test_evaluate_and_judge_take_them_too(command: Command, run: Path, tables: list[str]) -> None:
    words = ("evaluate", str(run), "--no-controls", "--data", *tables)
    assert "name the delimiter" in command(*words).err
    done = command(*words, *NEEDED)
    assert done.code == 0, done.err
    assert all(name in done.out for name in tables)
    words = ("judge", str(run), "--stories", "2", "--max-tokens", "4", "--human", *tables)
    assert "name the delimiter" in command(*words).err
    done = command(*words, *NEEDED)
    assert done.code == 0, done.err


def test_init_writes_what_was_typed_and_the_recipe_trains(command: Command, tables: list[str]) -> None:
    done = command("init", "--data", *tables, "own.yaml", *NEEDED, "data.errors=replace", "--time", "90s")
    assert done.code == 0, done.err
    written = yaml.safe_load(Path("own.yaml").read_text())["data"]
    assert written["sources"] == [{"kind": "csv", "paths": tables, "column": "body", "delimiter": ";"}]
    assert written["errors"] == "replace"
    done = command("train", "own.yaml", "train.steps=2", "train.seconds=null", *TINY[1:5], "train.compile=false")
    assert done.code == 0, done.err


def test_a_hint_counts_the_sources(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One day.\n\nTwo days.")
    (tmp_path / "b.csv").write_text("title,body\nA very long title indeed,a\nb,Once upon a time there was a dog.\n")
    hint = command("data", "show", "--data", "a.txt", "b.csv").err.splitlines()[-1]
    assert hint.endswith("data.sources.1.column=body")  # the longest text on average, not in the first row
    assert command("data", "show", "--data", "a.txt", "b.csv", hint.split()[-1]).code == 0


def test_a_separator_that_is_suggested_works_as_it_is_typed(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("emma\nolivia\nava")
    hint = command("data", "show", "--data", "a.txt").out.partition("more documents: ")[2].splitlines()[0]
    word = shlex.split(hint)[0]
    assert "3 documents" in command("data", "show", "--data", "a.txt", word).out


@pytest.mark.parametrize("layout", ["txt", "jsonl", "folder"])
def test_three_hundred_bytes_are_trained_on(command: Command, tmp_path: Path, layout: str) -> None:
    text = "Mia had a red kite. The wind took it up and up. " * 6
    if layout == "jsonl":
        (tmp_path / "a.jsonl").write_text(json.dumps({"text": text}))
    else:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "a.txt").write_text(text)
    path = {"txt": "a/a.txt", "jsonl": "a.jsonl", "folder": "a"}[layout]
    small = [word for word in TINY if "context" not in word and "vocab" not in word]
    done = command("train", "story", "--data", path, *small)
    assert done.code == 0, done.err
    assert "the text allows a vocabulary of" in done.err + done.out


def test_token_files_train_and_are_scored(command: Command, run: Path, tmp_path: Path) -> None:
    """nanoGPT's pair: one file is trained on, the other one scored, by the tokenizer that made them."""
    tokenizer = Tokenizer.load(run)
    for name, count in (("train.bin", 200), ("val.bin", 20)):
        text = "\n".join(f"One day Tom saw a kite near tree {n}. He went home." for n in range(count))
        rows = [[*tokenizer.encode(line), tokenizer.eos_id] for line in text.splitlines()]
        np.array(list(chain.from_iterable(rows)), dtype="<u2").tofile(tmp_path / name)
    words = ("train", "story", "--data", "train.bin", "--name", "binary", *TINY)
    missing = command(*words)
    assert missing.code == 2
    assert "name it: tokenizer.path=FOLDER" in missing.err
    done = command(*words, f"tokenizer.path={run}")
    assert done.code == 0, done.err
    source = yaml.safe_load(Path("runs/binary/recipe.yaml").read_text())["data"]["sources"][0]
    assert source["tokenizer"] == str(run)
    scored = command("evaluate", "binary", "--data", "val.bin", "--no-controls")
    assert scored.code == 0, scored.err
    shown = command("data", "show", "--data", "val.bin", f"tokenizer.path={run}")
    assert "20 documents" in shown.out
    refused = command("init", "--data", "train.bin", f"tokenizer.path={run}")
    assert "lilliput train story --data FILES tokenizer.path=FOLDER" in refused.err

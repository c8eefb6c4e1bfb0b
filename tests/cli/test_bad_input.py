"""Bad input of every kind: exit code 2, one line that says what is wrong, a hint, and never a traceback."""

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lilliput.data.source import MAX_DOCUMENT_CHARACTERS
from tests.cli.conftest import TINY, Command, write_tales


def text(name: str, content: str | bytes) -> Callable[[Path], list[str]]:
    """Makes a file, and gives the words that train on it."""

    def make(folder: Path) -> list[str]:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return ["--data", str(path)]

    return make


def words(*given: str) -> Callable[[Path], list[str]]:
    return lambda folder: list(given)


def on_tales(*given: str) -> Callable[[Path], list[str]]:
    """Overrides on a file that is sound."""
    return lambda folder: [*given, "--data", str(write_tales(folder / "tales.txt"))]


def one_huge_line(folder: Path) -> list[str]:
    return text("huge.txt", "a" * (MAX_DOCUMENT_CHARACTERS + 1))(folder)


def damaged_gzip(folder: Path) -> list[str]:
    return text("damaged.txt.gz", gzip.compress(b"Once upon a time. " * 500)[:-20])(folder)


def recipe(content: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (folder / "my.yaml").write_text(content)
        return ["RECIPE=my.yaml"]

    return make


def runs_is_a_file(folder: Path) -> list[str]:
    (folder / "runs").write_text("in the way")
    return on_tales()(folder)


CASES: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "unknown recipe": (words("RECIPE=storry"), "no recipe 'storry' (did you mean 'story'?)"),
    "recipe file missing": (words("RECIPE=none.yaml"), "cannot read none.yaml"),
    "recipe not YAML": (recipe("train: [1, 2"), "not valid YAML"),
    "recipe a list": (recipe("- 1\n- 2"), "holds a list"),
    "unknown key": (words("train.stepz=5"), "unknown key 'stepz' in 'train' (did you mean 'steps'?)"),
    "unknown section": (words("trian.steps=5"), "unknown key 'trian' (did you mean 'train'?)"),
    "wrong type": (words("train.steps=many"), "'train.steps': Input should be a valid integer"),
    "out of range": (words("train.steps=-5"), "'train.steps': Input should be greater than 0 (given -5)"),
    "through a value": (words("train.steps.x=1"), "'steps' is a value, not a section"),
    "no override": (words("train.steps"), "'train.steps' is not an override"),
    "no budget": (words("train.steps=null"), "the run has no end"),
    "name a path": (words("name=../elsewhere"), "'name': String should match pattern"),
    "unknown style": (words("model.style=lama"), "unknown model style 'lama'"),
    "heads do not fit": (words("model.n_heads=3", "model.d_model=32"), "d_model 32 is not a multiple of n_heads 3"),
    "two vocabularies": (words("model.vocab_size=100"), "model.vocab_size is 100 and tokenizer.vocab_size is 320"),
    "unknown objective": (words("objective.kind=casual"), "unknown objective 'casual' (did you mean 'causal'?)"),
    "unknown source": (words("data.sources=[{kind: txt}]"), "unknown data source 'txt'"),
    "unknown device": (on_tales("device=gpu9"), "device 'gpu9' cannot be used"),
    "unknown tracker": (on_tales("train.trackers=[tensorbord]"), "unknown tracker 'tensorbord'"),
    "data missing": (words("--data", "nowhere.txt"), "nowhere.txt"),
    "glob without match": (words("--data", "*.nothing"), "*.nothing"),
    "empty file": (text("empty.txt", ""), "empty.txt"),
    "white space only": (text("blank.txt", " \n\n \n"), "no document"),
    "binary file": (text("picture.txt", b"\x89PNG\r\n\x00\x00\x00data" * 50), "picture.txt"),
    "not UTF-8": (text("latin.txt", "caf\xe9 ".encode("latin-1") * 100), "latin.txt"),
    "one huge line": (one_huge_line, "huge.txt"),
    "one document": (text("one.txt", "Once upon a time there was a cat."), "validation"),
    "context too long": (on_tales("model.context_length=500000"), "longer than the whole train split"),
    "JSONL without the column": (text("rows.jsonl", '{"body": "hello"}\n' * 9), "body"),
    "JSONL line broken": (text("rows.jsonl", '{"text": "hello"}\n{"text": \n'), "rows.jsonl"),
    "CSV without the column": (text("rows.csv", "body,size\nhello,3\n"), "body"),
    "gzip damaged": (damaged_gzip, "damaged.txt.gz"),
    "hub unknown": (words("--data", "hf:nobody/nothing"), "nobody/nothing"),
    "runs cannot be written": (runs_is_a_file, "runs"),
}


@pytest.mark.parametrize("case", CASES)
def test_training(case: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    make, expected = CASES[case]
    given = make(tmp_path)
    name = next((word.removeprefix("RECIPE=") for word in given if word.startswith("RECIPE=")), "story")
    given = [word for word in given if not word.startswith("RECIPE=")]
    result = command("train", name, *TINY, *given)
    assert result.code == 2, result.err
    assert expected in result.err
    assert "Traceback" not in result.err
    error = next(line for line in result.err.splitlines() if line.startswith("error: "))
    assert len(result.err[result.err.index(error) :].splitlines()) <= 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--temperature", "2.5"], "temperature"),
        (["--temperature", "-1"], "temperature"),
        (["--top-p", "0"], "top_p"),
        (["-n", "0"], "'n'"),
        (["word " * 400], "context"),
        (["--ending", "The end."], "reads forwards"),
        (["--device", "tpu"], "device 'tpu'"),
    ],
)
def test_generating(given: list[str], expected: str, command: Command, trained: Path) -> None:
    result = command("generate", str(trained), *given)
    assert result.code == 2
    assert expected in result.err
    assert "Traceback" not in result.err


def test_a_run_that_is_not_there_names_those_that_are(command: Command, tmp_path: Path) -> None:
    (tmp_path / "runs" / "stories").mkdir(parents=True)
    result = command("generate", "storys")
    assert result.code == 2
    assert "did you mean 'stories'?" in result.err


def test_a_folder_of_another_kind_of_model(command: Command, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text(json.dumps({"architectures": ["WhisperModel"]}))
    result = command("generate", "m")
    assert result.code == 2
    assert "WhisperModel" in result.err


def test_another_recipe_in_the_same_run(command: Command, tales: Path) -> None:
    assert command("train", "story", *TINY, "--data", str(tales), "--name", "one").code == 0
    result = command("train", "story", *TINY, "--data", str(tales), "--name", "one", "seed=9", "train.seconds=165")
    assert result.code == 2
    assert "seed: 1 there, 9 now; train.seconds: not set there, 165.0 now" in result.err
    assert "add --name NEW to the line, or continue the old recipe: lilliput train" in result.err


def test_a_missing_extra_states_what_to_type(command: Command, tales: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    result = command("train", "story", *TINY, "--data", f"hf:{tales.parent}")
    assert result.code == 2
    assert "pip install 'lilliput[data]'" in result.err

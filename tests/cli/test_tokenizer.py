"""`lilliput tokenizer train` and `show`."""

import json

import pytest
from typer.testing import CliRunner

from lilliput.base import console
from lilliput.base.errors import ConfigError, DataError
from lilliput.cli.tokenizer import app
from lilliput.data.tokenizer import Tokenizer

TEXT = "Once upon a time, there was a little girl. She had a red ball.\n\nThe dog ran to the park and saw the girl.\n\n"


@pytest.fixture(autouse=True)
def plain_console():
    yield
    console.use_json(False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.txt").write_text(TEXT * 20)
    result = run("train", "--data", str(tmp_path / "a.txt"), "--vocab-size", "290", "--out", str(tmp_path / "tok"))
    assert result.exit_code == 0
    assert "290 tokens" in result.output
    return tmp_path / "tok"


def run(*arguments, **options):
    return CliRunner().invoke(app, list(arguments), **options)


def test_training_writes_what_transformers_loads(folder):
    assert {path.name for path in folder.iterdir()} == {"tokenizer.json", "tokenizer_config.json"}
    assert Tokenizer.load(folder).vocab_size == 290


@pytest.mark.parametrize("kind", ["bpe", "sentencepiece"])
def test_training_with_json_prints_one_object(tmp_path, kind):
    (tmp_path / "a.txt").write_text(TEXT * 20)
    out = tmp_path / "tok"
    options = ["--vocab-size", "290", "--kind", kind, "--pattern", "gpt-2", "--out", str(out), "--json"]
    result = run("train", "--data", str(tmp_path / "a.txt"), *options)
    report = json.loads(result.stdout)
    assert (report["vocab_size"], report["kind"], report["folder"]) == (290, kind, str(out))
    assert report["sha256"] == Tokenizer.load(out).sha256
    assert Tokenizer.load(out).pattern == ("gpt-2" if kind == "bpe" else None)


def test_show_prints_text_ids_and_counts(folder):
    result = run("show", "Once upon a time 🙂", "--tokenizer", str(folder))
    ids = Tokenizer.load(folder).encode("Once upon a time 🙂")
    lines = result.output.splitlines()
    assert lines[0].startswith("Once upon a time")
    assert lines[1].split() == [str(number) for number in ids]
    assert lines[2] == f"{len(ids)} tokens, 21 bytes, {21 / len(ids):.2f} bytes a token"


def test_show_colours_neighbours_differently(folder, monkeypatch):
    monkeypatch.setattr(console.console, "_force_terminal", True)
    monkeypatch.setattr(console.console, "_color_system", __import__("rich.console").console.ColorSystem.TRUECOLOR)
    result = run("show", "a time", "--tokenizer", str(folder))
    assert result.output.count("\x1b[") >= 4
    assert "48;2;168;216;234" in result.output
    assert "48;2;255;211;182" in result.output


def test_show_with_json_prints_one_object(folder):
    result = run("show", "Once<|im_start|>\n", "--tokenizer", str(folder / "tokenizer.json"), "--json")
    report = json.loads(result.stdout)
    assert report["bytes"] == 17
    assert report["tokens"] == len(report["ids"]) == len(report["pieces"])
    assert "".join(piece["text"] for piece in report["pieces"]) == "Once<|im_start|>\n"
    assert report["bytes_per_token"] == pytest.approx(17 / report["tokens"])


def test_show_reads_standard_input_and_files_even_when_they_are_not_text(folder, tmp_path):
    report = json.loads(run("show", "--tokenizer", str(folder), "--json", input=b"hi \xff").stdout)
    assert report["pieces"][-1]["text"] == "\\xff"
    (tmp_path / "b.txt").write_bytes("über".encode())
    report = json.loads(run("show", "--tokenizer", str(folder), "--file", str(tmp_path / "b.txt"), "--json").stdout)
    assert report["bytes"] == 5


def test_what_cannot_be_shown(folder, tmp_path):
    assert isinstance(run("show", "a", "--tokenizer", str(tmp_path / "none")).exception, DataError)
    assert isinstance(run("show", "--tokenizer", str(folder), "--file", str(tmp_path / "none")).exception, DataError)
    both = run("show", "a", "--file", str(tmp_path / "a.txt"), "--tokenizer", str(folder))
    assert isinstance(both.exception, ConfigError)


def test_what_cannot_be_trained(tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    wrong = run(
        "train", "--data", str(tmp_path / "a.txt"), "--kind", "wordpiece", "--out", str(tmp_path / "t")
    ).exception
    assert isinstance(wrong, ConfigError)

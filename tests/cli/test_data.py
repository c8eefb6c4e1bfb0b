"""`lilliput data show`."""

import json

import pytest
import typer
from typer.testing import CliRunner

from lilliput.base import console
from lilliput.base.errors import DataError
from lilliput.cli.data import app


@pytest.fixture(autouse=True)
def plain_console():
    yield
    console.use_json(False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.txt").write_text("\n\n".join(f"Story number {number}." for number in range(60)))
    (tmp_path / "b.jsonl").write_text('{"text": "row"}\n{"text": null}')
    return tmp_path


def run(*arguments):
    command = typer.Typer()
    command.add_typer(app, name="data")
    return CliRunner().invoke(command, ["data", "show", "--data", *arguments])


def test_sources_print_themselves(folder):
    output = run(str(folder)).output
    size = sum(len(f"Story number {number}.") for number in range(60))
    assert f"text: {folder}/a.txt, {size + 2 * 59:,} bytes, split on blank lines · " in output
    assert f"60 documents, {size} bytes, 0 dropped" in output
    assert "dropped: 1 empty" in output
    assert "a.txt#0:\nStory number 0." in output


def test_json_is_one_object(folder):
    report = json.loads(run(str(folder), "--json").stdout)
    assert [source["documents"] for source in report["sources"]] == [60, 1]
    assert sum(report["splits"].values()) == 61
    assert report["drops"] == {"empty": 1}
    assert report["sample"] == {"id": f"{folder}/a.txt#0", "text": "Story number 0."}


def test_options(folder):
    report = json.loads(run(str(folder / "a.txt"), "--max-documents", "30", "--json").stdout)
    assert report["sources"][0]["documents"] == 30
    (folder / "a.txt").write_bytes(b"caf\xe9\n\n" + b"\n\n".join(b"%d" % number for number in range(60)))
    assert isinstance(run(str(folder / "a.txt")).exception, DataError)
    assert run(str(folder / "a.txt"), "--errors", "replace").exit_code == 0


def test_data_that_cannot_be_split_is_shown_with_what_to_do(tmp_path):
    (tmp_path / "names.txt").write_text("emma\nolivia\n")  # too short for a part of it to be kept back
    report = json.loads(run(str(tmp_path / "names.txt"), "--json").stdout)
    assert report["sources"][0]["documents"] == 1
    assert "data.sources.0.separator" in report["problem"]
    assert "cannot be trained on yet: the only document is too short" in run(str(tmp_path / "names.txt")).output


def test_nothing_to_show_is_an_error(tmp_path):
    (tmp_path / "blank.txt").write_text(" \n\n ")
    assert isinstance(run(str(tmp_path / "blank.txt")).exception, DataError)


def test_several_files_and_overrides_work_as_in_train(tmp_path):
    """A glob that the shell spells out, and the override that an error suggests."""
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(f"id;body\n1;Once {name} dog ran home.\n2;Then {name} cat sat down.\n")
    paths = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    fits = ["data.sources.0.delimiter=;", "data.sources.0.column=body"]
    report = json.loads(run(*paths, *fits, "--json").stdout)
    assert report["sources"][0]["documents"] == 4
    assert "not in the data section" in str(run(*paths, *fits, "train.steps=5").exception)

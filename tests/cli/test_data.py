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
    (tmp_path / "names.txt").write_text("emma\nolivia\n")
    report = json.loads(run(str(tmp_path / "names.txt"), "--json").stdout)
    assert report["sources"][0]["documents"] == 1
    assert "data.sources.0.separator" in report["problem"]
    assert "it cannot be trained on yet: there is only one document" in run(str(tmp_path / "names.txt")).output


def test_nothing_to_show_is_an_error(tmp_path):
    (tmp_path / "blank.txt").write_text(" \n\n ")
    assert isinstance(run(str(tmp_path / "blank.txt")).exception, DataError)

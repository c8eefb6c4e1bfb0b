import json

import pytest
import typer
from typer.testing import CliRunner

from lilliput.base.console import use_json
from lilliput.base.errors import CheckpointError
from lilliput.cli.report import report
from tests.runs.made_run import make_run


@pytest.fixture
def command(tmp_path, monkeypatch):
    """`lilliput report ...` in a folder that holds one run."""
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs" / "story")
    app = typer.Typer()
    app.command()(report)
    yield lambda *words: CliRunner().invoke(app, list(words), catch_exceptions=False)
    use_json(False)


def test_it_writes_the_page_and_prints_its_path(command, tmp_path):
    result = command("story")
    assert result.stdout.split() == ["runs/story/report.html"]
    assert (tmp_path / "runs/story/report.html").exists()


def test_it_draws_the_picture(command, tmp_path):
    result = command("runs/story", "--picture", "docs/run.svg", "--json")
    assert json.loads(result.stdout) == {"report": "runs/story/report.html", "picture": "docs/run.svg"}
    assert (tmp_path / "docs/run.svg").read_text().startswith("<svg")


def test_it_opens_the_page_on_request(command, monkeypatch):
    opened = []
    monkeypatch.setattr(typer, "launch", opened.append)
    command("story")
    assert opened == []
    command("story", "--open")
    assert opened == ["runs/story/report.html"]


def test_an_unknown_run_is_refused(command):
    with pytest.raises(CheckpointError, match="stor"):
        command("stori")

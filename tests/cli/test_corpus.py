"""The commands of `lilliput data` that curate: what they print, what they write, and what they refuse."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lilliput.cli.app import app
from lilliput.data.document import Document
from lilliput.data.steps import Dropped
from lilliput.data.steps.annotate import Annotate
from lilliput.storybook import story
from tests.evaluation.judge.server import Server


def run(*words: object) -> str:
    result = CliRunner().invoke(app, ["data", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    stories = [story(0, number).text for number in range(30)]
    stories[4] = stories[3]
    path = tmp_path / "stories.jsonl"
    path.write_text("\n".join(json.dumps({"text": text, "date": "2024-01-01"}) for text in stories))
    return path


def test_a_corpus_is_prepared_and_reported(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    printed = run(
        "prepare", "--data", texts, "--profile", "auto", "--out", out, "steps=[{kind: length, max_words: 400}]"
    )
    assert "profile stories (chosen by its documents" in printed
    assert "dropped: 1 the same document before" in printed
    assert "kept 29 of 30 documents" in printed
    (out / "corpus.html").unlink()
    assert "kept 29 of 30 documents" in run("report", out)
    assert (out / "corpus.html").is_file()
    found = json.loads(run("report", out, "--json"))
    assert found["documents"] == {"read": 30, "kept": 29}
    again = json.loads(run("prepare", out / "corpus.yaml", "--out", tmp_path / "again", "--json"))
    assert again["documents"] == found["documents"]


def test_a_file_of_a_corpus_may_be_changed_by_words(texts: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({"sources": [{"kind": "jsonl", "paths": [str(texts)]}], "steps": ["exact_duplicates"]}))
    found = json.loads(run("prepare", file, "max_documents=4", "--out", tmp_path / "few", "--json"))
    assert found["documents"] == {"read": 4, "kept": 4}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({"data": json.loads(file.read_text()), "train": {"steps": 3}}))
    found = json.loads(run("prepare", recipe, "--out", tmp_path / "recipe", "--json"))
    assert found["documents"] == {"read": 30, "kept": 29}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prepare"], "no source is named"),
        (["prepare", "--data", "FILE", "--profile", "novel"], "novel"),
        (["prepare", "--data", "FILE", "steps=[{kind: lenth}]"], "did you mean 'length'"),
        (["report", "nowhere"], "is no prepared corpus"),
        (["check"], "no data is named"),
        (["download", "folder"], "a folder of your own"),
        (["download", "CommonCrawl"], "no crawl is named"),
        (["synthesize", "--data", "FILE"], "name what drafts"),
    ],
)
def test_refusals(words: list[str], message: str, texts: Path) -> None:
    result = CliRunner().invoke(app, ["data", *(str(texts) if word == "FILE" else word for word in words)])
    assert result.exit_code != 0
    assert message in f"{result.output} {result.exception}"


def test_a_corpus_is_checked(texts: Path) -> None:
    printed = run("check", "--data", texts, "--against", texts)
    assert "30 documents" in printed
    assert "2024" in printed
    assert "30 of 30 texts share 13 words in a row" in printed
    assert json.loads(run("check", "--data", texts, "--json"))["documents"] == 30


def test_a_classifier_is_trained_and_used(texts: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    rows = (json.loads(line)["text"].split() for line in texts.read_text().splitlines())
    bad.write_text("\n".join(json.dumps({"text": " ".join(sorted(words))}) for words in rows))
    out = tmp_path / "quality.safetensors"
    assert "area under the curve" in " ".join(run("classifier", texts, bad, "--out", out).split())
    step = f"steps=[{{kind: quality, classifier: {out}}}]"
    found = json.loads(run("prepare", "--data", texts, bad, "--out", tmp_path / "kept", step, "--json"))
    assert [source["documents_kept"] for source in found["sources"]] == [30, 0]


def test_known_sources_are_listed() -> None:
    printed = run("sources")
    for name in ("TinyStories", "FineWeb-Edu", "CommonCrawl", "StarCoder"):
        assert name in printed
    listed = json.loads(run("sources", "--json"))["sources"]
    assert all(each["licence"] for each in listed)


def test_a_model_grades_and_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    documents = [Document("4 is a good text.", "1"), Document("1 is a bad text.", "2")]
    with Server(lambda asked: f"Grade: {asked.split('Text:')[1].strip()[0]}") as server:
        step = Annotate(endpoint=server.url, model="grader")
        for _ in range(2):
            good, bad = step.apply_all(documents)
            assert isinstance(good, Document)
            assert good.meta == {"grade": 4.0}
            assert bad == Dropped("grade below 3")
    assert len(server.requests) == 2

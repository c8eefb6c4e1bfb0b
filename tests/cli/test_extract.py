"""`lilliput extract`: from made examples to a run, filled templates and figures."""

import json
from pathlib import Path

import pytest

from lilliput.worlds.extraction.template import misfits, read_template
from lilliput.worlds.extraction.three_biographies import TEMPLATE, TEXTS
from tests.cli.conftest import Command

TINY = ("model.d_model=32", "model.n_layers=1", "model.n_heads=2", "train.steps=6", "train.batch_tokens=1024")
TINY += ("evaluate.tokens=2000", "evaluate.final_tokens=2000", "evaluate.sample_tokens=8", "train.compile=false")
TINY += ("tokenizer.vocab_size=400", "tokenizer.sample_bytes=100000")


@pytest.mark.usefixtures("peaks")
def test_from_made_examples_to_filled_templates(command: Command) -> None:
    for package in ("llguidance", "jinja2", "scipy"):
        pytest.importorskip(package)
    made = command("extract", "make", "own.jsonl", "--kind", "biography", "--count", "6", "--held-out", "--json")
    assert json.loads(made.out) == {"file": "own.jsonl", "examples": 6}
    again = command("extract", "make", "own.jsonl")
    assert again.code == 2
    assert "is there already" in again.err

    result = command("extract", "train", "own.jsonl", "--count", "40", *TINY, "--json")
    assert result.code == 0, result.err
    run = Path(json.loads(result.out)["run"])
    rows = [json.loads(line) for line in (run / "extraction.jsonl").read_text().splitlines()]
    assert len(rows) == 46
    assert all([turn["role"] for turn in row["messages"]] == ["user", "assistant"] for row in rows)

    other = command("extract", "train", "--count", "50", *TINY)
    assert other.code == 2
    assert "is a run on other examples" in other.err

    filled = command("extract", "extractor", "--example", "--json")
    assert filled.code == 0, filled.err
    found = json.loads(filled.out)["texts"]
    assert len(found) == len(TEXTS) == 3
    for text, each in zip(TEXTS, found, strict=True):
        assert list(misfits(read_template(TEMPLATE), each["values"])) == []
        for field in each["fields"]:
            if field["path"] in ("name", "birthplace", "profession", "spouse") and field["value"] is not None:
                assert text[field["start"] : field["end"]] == field["value"]
    Path("bo.txt").write_text("Bo ran.")
    Path("template.json").write_text('{"n": "verbatim-string"}')
    shown = command("extract", "run", "extractor", "bo.txt", "--template", "template.json", "--text", "Ida swam.")
    assert shown.code == 0, shown.err
    assert "log-probability" in shown.out
    assert shown.out.count('{"n":') == 2
    assert shown.out.index("Ida swam.") < shown.out.index("Bo ran.")

    figures = command("extract", "evaluate", "extractor", "own.jsonl", "--json")
    assert figures.code == 0, figures.err
    figure = json.loads(figures.out)["sets"]["own.jsonl"]
    assert figure["texts"] == 6
    assert all(0 <= figure[name] <= 1 for name in ("f1", "exact", "valid", "grounded", "f1_unconstrained"))
    table = command("extract", "evaluate", "extractor", "--count", "1")
    assert table.code == 0, table.err
    assert "biography" in table.out
    assert "verbatim values in the text" in table.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("extract", "--text", "Bo"), "no template is given"),
        (("extract", "--template", '{"a": "string"}'), "no text is given"),
        (("extract", "--example", "--text", "Bo"), "--example has its own template and texts"),
        (("nowhere", "--template", '{"a": "strin"}', "--text", "Bo"), "did you mean 'string'?"),
        (("nowhere", "--template", '{"a": "string"}', "--text", "Bo"), "nowhere"),
        (("train", "--only"), "there is nothing to train on"),
        (("train", "--kind", "stry"), "did you mean 'story'?"),
        (("train", "missing.jsonl"), "missing.jsonl cannot be read"),
        (("make", "x.jsonl", "--kind", "entities"), "--tagged FILE"),
    ],
)
def test_bad_input_says_what_to_type(command: Command, words: tuple[str, ...], message: str) -> None:
    result = command("extract", *words)
    assert result.code == 2
    assert message in result.err

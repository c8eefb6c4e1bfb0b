"""The one model card: while a run goes on, when it has ended, and for a model that was brought here."""

import json
from pathlib import Path

import pytest

from lilliput.model.config import resolve
from lilliput.model.heads import Head
from lilliput.model.transformer import Model
from lilliput.objectives.masked import Masked
from lilliput.runs.card import Trained, model_card
from lilliput.runs.run_folder import RunFolder
from tests.model.families import config
from tests.runs.made_run import make_run


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(resolve("story_1m", d_model=32, n_layers=1, n_heads=2, vocab_size=300, context_length=64))


def test_a_run_under_way_knows_its_metrics_alone(model: Model, tmp_path: Path) -> None:
    run = RunFolder(make_run(tmp_path / "story"))
    card = model_card("story", model, "bpe", True, Trained.now(run))
    for words in (
        "# story",
        "trained from scratch",
        'folder = "."',
        "- 600 steps, 4,915,200 tokens",
        "step 600 | 0.8174",
    ):
        assert words in card, words
    for words in ("## Data", "## Samples", "## Energy", "n-gram", "None"):
        assert words not in card, words


def test_a_run_that_logged_nothing_yet_has_a_card(model: Model, tmp_path: Path) -> None:
    card = model_card("new", model, "bpe", True, Trained.now(RunFolder(tmp_path / "new")))
    assert "- 0 steps, 0 tokens" in card
    assert "## Loss" not in card


def test_a_model_that_generates_no_text_is_judged_by_its_own_figure(model: Model, tmp_path: Path) -> None:
    figure = Masked.figure
    run = RunFolder(tmp_path / "filled")
    run.path.mkdir()
    run.append_metrics({"step": 10, "tokens": 80, "seconds": 1.0, figure.validation: 2.5})
    card = model_card("filled", model, "bpe", True, Trained.now(run, figure), generates=False)
    assert "| this one, step 10 | 2.5000 |" in card
    assert "| model | bits a masked byte |" in card
    assert "It generates no text." in card
    for words in ("text-generation", "AutoModelForCausalLM", "lilliput generate"):
        assert words not in card, words


def test_a_card_names_the_class_with_the_head() -> None:
    encoder, decoder = (Model(config(family)) for family in ("bert", "story"))
    cases = [
        (encoder, None, "BertForMaskedLM", "AutoModelForMaskedLM"),
        (encoder, Head(encoder.config, 2), "BertForSequenceClassification", "AutoModelForSequenceClassification"),
        (encoder, Head(encoder.config, 2, each=True), "BertForTokenClassification", "AutoModelForTokenClassification"),
        (decoder, Head(decoder.config, 2), "Qwen3ForSequenceClassification", "AutoModelForSequenceClassification"),
    ]
    for model, head, named, auto in cases:
        card = model_card("it", model, "bpe", True, generates=False, head=head)
        assert f"- class: {named};" in card
        assert f"{auto}.from_pretrained(folder)" in card


def test_a_checkpoint_of_an_unfinished_run_is_judged_by_its_recipes_figure(model: Model, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "filled")
    run.path.mkdir()
    run.recipe.write_text("name: filled\nobjective: {kind: masked}\n")
    for step, bits in ((10, 2.5), (20, 2.25)):
        run.append_metrics({"step": step, "tokens": 8 * step, "seconds": 1.0, Masked.figure.validation: bits})
    trained = Trained.of(run.checkpoint(10) / "model")
    assert trained is not None
    assert trained.figure == Masked.figure
    card = model_card("filled", model, "bpe", True, trained, generates=False)
    assert "| this one, step 10 | 2.5000 |" in card
    assert "| model | bits a masked byte |" in card


def test_a_damaged_summary_stops_no_checkpoint(model: Model, tmp_path: Path) -> None:
    run = RunFolder(make_run(tmp_path / "story"))
    run.summary.write_text("{")
    run.samples.write_bytes(b"\xff\xfe")
    assert "step 600" in model_card("story", model, "bpe", True, Trained.now(run))


def test_a_finished_checkpoint_has_every_section(model: Model, tmp_path: Path) -> None:
    run = make_run(tmp_path / "story")
    summary = json.loads((run / "summary.json").read_text())
    summary["data"]["sources"] = [{"describe": "text: tales.txt, 12,053 bytes", "documents": 200}]  # as training writes
    (run / "summary.json").write_text(json.dumps(summary))
    trained = Trained.of(run / "checkpoints" / "step-0000600" / "model")
    assert trained is not None
    card = model_card("story", model, "bpe", True, trained, repo="ada/story", licence="mit")
    for words in (
        "license: mit",
        "lilliput pull ada/story",
        "## Data",
        "| trigram | 1.3180 |",
        "- text: tales.txt, 12,053 bytes\n",
        "## Samples",
        "## Energy",
    ):
        assert words in card, words


def test_a_model_from_elsewhere_and_one_that_reads_backwards(model: Model, tmp_path: Path) -> None:
    assert Trained.of(tmp_path / "model") is None
    card = model_card("there", model, "other", False)
    assert "brought into this layout by" in card
    assert "lilliput generate there --ending" in card
    assert "model.generate" not in card  # transformers would print its words in reverse order

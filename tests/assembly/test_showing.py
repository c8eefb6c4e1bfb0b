"""Showing: the examples of a recipe as the trainer sees them."""

# pyright: reportOptionalMemberAccess=false, reportOperatorIssue=false, reportAttributeAccessIssue=false

import json

import pytest

from lilliput.assembly.assembly import Assembly
from lilliput.assembly.recipe import load
from lilliput.assembly.showing import show_data
from lilliput.base.errors import DataError
from lilliput.objectives.objective import OBJECTIVES
from lilliput.runs.run_folder import RunFolder

from ..objectives.test_accepted import Replies


class Silent(Replies):
    """Nothing is learned."""

    def encode(self, documents, tokenizer):
        return [type(row)(row.ids, []) for row in super().encode(documents, tokenizer)]


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """`recipe(objective, *overrides)`: a recipe on 80 completions, the first of which is long."""
    assert "toy" not in OBJECTIVES  # the registry searches its package first
    monkeypatch.setitem(OBJECTIVES._entries, "toy_replies", Replies)
    rows = [{"prompt": f"Question {n}?", "completion": f" Answer {n}." + " more" * 60 * (n == 0)} for n in range(80)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))

    def make(objective, *overrides):
        monkeypatch.setitem(OBJECTIVES._entries, "toy_replies", objective or Replies)
        changes = ["model.context_length=32", "tokenizer.vocab_size=300", *overrides]
        named = ["objective.kind=toy_replies"] if objective else []
        return load("story", [*changes, *named], data=[str(path)])

    return make


def test_the_learned_tokens_are_the_completion(recipe):
    shown = show_data(recipe(Replies), 3, lambda line: None)
    assert len(shown.examples) == 3
    for example in shown.examples:
        (sequence,) = example.sequences
        number = int(example.id.rpartition(":")[2]) - 1
        before, learned = sequence.pieces
        assert not before.learned
        assert before.text.endswith(f"Question {number}?")
        assert before.text != f"Question {number}?", "the beginning mark is spelled out"
        assert learned.learned
        assert learned.text.startswith(f" Answer {number}.")
        assert sequence.tokens == before.tokens + learned.tokens == min(sequence.tokens, 33)
    train = shown.splits["train"]
    assert train.kinds == {"completion": train.sequences}
    assert 0.3 < train.share == train.learned / train.tokens < 0.8
    long = [part.sequences[0] for part in shown.examples if part.sequences[0].cut]
    total = sum(facts.longer for facts in shown.splits.values())
    assert total == 1
    assert (train.truncated, len(long)) == ((1, 1) if train.longer else (0, 0))
    assert train.packing == "best_fit"


def test_a_recipe_on_text_is_shown_too(recipe, tmp_path):
    (tmp_path / "t.txt").write_text("\n\n".join(f"Story number {n} of a dog." for n in range(90)))
    shown = show_data(load("story", ["tokenizer.vocab_size=300"], data=[str(tmp_path / "t.txt")]), 1, lambda line: None)
    (sequence,) = shown.examples[0].sequences
    assert [piece.learned for piece in sequence.pieces] == [False, True]
    assert sequence.pieces[1].text.startswith("Story number")


def test_a_run_that_would_learn_nothing_is_shown_and_refused(recipe, tmp_path):
    shown = show_data(recipe(Silent), 1, lambda line: None)
    assert shown.splits["train"].learned == 0
    assert "would learn nothing" in shown.splits["train"].problem
    with pytest.raises(DataError, match="would learn nothing"):
        Assembly(recipe(Silent), RunFolder(tmp_path / "run"), lambda line: None, live=False)


def test_an_objective_of_text_refuses_the_rows(recipe):
    with pytest.raises(DataError, match=r"a.jsonl:1: the rows .* prompts with completions, and the objective 'causal'"):
        show_data(recipe(None), 1, lambda line: None)


def test_long_examples_are_counted_in_the_run(recipe, tmp_path):
    notes = []
    made = Assembly(
        recipe(Replies, "data.validation_fraction=0.0001"), RunFolder(tmp_path / "r"), notes.append, live=False
    )
    count = made.loader.rows_per_epoch
    assert count
    assert any("1 of 79 examples of the train split are longer than a row of 33 tokens" in note for note in notes)

"""Neurons: examples with the marked token, values of neurons and directions, and the instrument."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from lilliput.lens.capture import capture
from lilliput.lens.concepts import concept_labels
from lilliput.lens.instrument import INSTRUMENTS, Subject
from lilliput.lens.neurons import Neurons, best_neurons, neuron_values, top_examples, unit_values
from lilliput.objectives.masked import Masked
from lilliput.objectives.reversed import Reversed
from lilliput.storybook.world import story
from tests.lens.small import generator, story_rows, tokenizer
from tests.model.families import NEURONS, stirred, tokens


@pytest.mark.parametrize("family", NEURONS)
def test_values_of_neurons_and_directions(family: str) -> None:
    model, rows = stirred(family), tokens(3, 8)
    with torch.no_grad(), capture(model, ["blocks.1.mlp.hook_post", "blocks.0.attn.hook_z"]) as seen:
        model(rows)
    post, z = seen["blocks.1.mlp.hook_post"], seen["blocks.0.attn.hook_z"].flatten(2)
    torch.testing.assert_close(unit_values(model, rows, "blocks.1.mlp.hook_post", 5), post[..., 5])
    direction = torch.randn(z.shape[2], generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(unit_values(model, rows, "blocks.0.attn.hook_z", direction), z @ direction)
    torch.testing.assert_close(neuron_values(model, rows)["blocks.1.mlp.hook_post"], post[:, 1:].flatten(0, 1))


def test_the_largest_tokens_are_marked_once_a_row_and_no_text_twice() -> None:
    made, rows = generator(), story_rows(6).clone()
    rows[3] = rows[1]  # the same text again
    values = torch.zeros(rows.shape)
    values[:, 0] = 100  # the beginning mark is not an example
    values[1, 20], values[3, 20], values[2, 5], values[0, 63] = 9.0, 9.0, 7.0, 8.0
    first, second, third = top_examples(values, rows, made, 3)
    assert [(one.row, one.position, one.value) for one in (first, second, third)] == [(1, 20, 9), (0, 63, 8), (2, 5, 7)]
    for one in (first, second, third):
        assert one.pieces[one.mark] == tokenizer().decode([int(rows[one.row, one.position])], continuing=True)
        assert "".join(one.pieces) in tokenizer().decode(rows[one.row].tolist(), continuing=True)
    assert first.mark == 12
    assert len(first.pieces) == 17


def test_examples_of_a_model_that_reads_backwards_are_in_a_persons_order() -> None:
    made, text = generator(objective=Reversed(by="token")), story(1, 0).text
    ids = [made.tokenizer.bos_id, *made.tokenizer.encode(text)[::-1]]
    values = torch.zeros(1, len(ids))
    values[0, 30] = 5
    (one,) = top_examples(values, torch.tensor([ids]), made, 1)
    assert "".join(one.pieces) in text
    assert one.pieces[one.mark] == made.tokenizer.decode([ids[30]], continuing=True)
    assert one.value == 5


@pytest.fixture(scope="module")
def subject() -> Subject:
    """A model whose neuron 7 of the first layer fires for the tokens of names alone."""
    made, rows = generator(), story_rows(60)
    names = rows[concept_labels(rows, made)["names"]].unique()
    block: Any = made.model.blocks[0]
    with torch.no_grad():
        block.attn.out.weight.zero_()
        embeddings = made.model.embed.weight
        embeddings[:, 0] = 0
        embeddings[names, 0] = 3
        up = block.mlp.gate_up.weight
        up[[7, 7 + len(up) // 2]] = 0
        up[[7, 7 + len(up) // 2], 0] = 2
    return Subject(made, rows)


def test_a_neuron_that_reads_names_is_found_beside_its_controls(subject: Subject) -> None:
    found = Neurons().measure(subject)
    assert found == Neurons().measure(subject)
    assert json.loads(json.dumps(found)) == found
    concepts = {one["concept"]: one for one in found["neurons"]}
    assert {"names", "past verbs"} <= set(concepts)
    names = concepts["names"]
    assert (names["hook"], names["unit"], names["sign"]) == ("blocks.0.mlp.hook_post", 7, 1)
    assert names["auc"] > 0.9
    assert names["low"] <= names["auc"] <= names["high"]
    assert names["low"] > max(names["shuffled"], found["others"]["untrained weights"]["names"]["auc"])
    assert all(one["examples"] for one in found["neurons"])


def test_the_section_has_the_examples_and_the_controls(subject: Subject) -> None:
    found = Neurons().measure(replace(subject, sibling=generator(3)))
    assert list(found["others"]) == ["untrained weights", "another seed"]
    html = Neurons().section(found)
    assert html.count("<details>") == len(found["neurons"])
    assert "<mark" in html
    assert "layer 0, neuron 7" in html
    for control in ("shuffled labels", "untrained weights", "another seed"):
        assert control in html


def test_text_is_escaped() -> None:
    example = {"mark": 0, "pieces": ["<script>"], "values": [1.0]}
    one = {"concept": "a<b", "hook": "blocks.0.mlp.hook_post", "unit": 1, "sign": -1, "auc": 0.7, "low": 0.6}
    one |= {"high": 0.8, "shuffled": 0.5, "examples": [example]}
    html = Neurons().section({"neurons": [one], "others": {"<i>": {}}})
    assert "<script>" not in html
    assert "<i>" not in html
    assert "too few words" in Neurons().section({"neurons": [], "others": {}})


def test_other_objectives_are_refused_and_the_instrument_is_found() -> None:
    assert INSTRUMENTS["neurons"] is Neurons
    made = generator()
    subject = Subject(made, story_rows(4))
    assert Neurons().refuses(subject) == ""
    assert "masked" in Neurons().refuses(replace(subject, generator=generator(objective=Masked())))
    assert "one row" in Neurons().refuses(replace(subject, rows=story_rows(1)))
    assert best_neurons(made, story_rows(2)[:, :6]) == []  # no concept has enough tokens

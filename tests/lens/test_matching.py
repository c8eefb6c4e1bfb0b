"""Matching: a model whose heads and neurons were put in another order finds them again."""

import copy
from typing import Any

import pytest
import torch

from lilliput.base.errors import ConfigError
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.matching import (
    best_matches,
    correlations,
    greedy_pairs,
    head_signals,
    match_models,
    neuron_signals,
)
from lilliput.lens.row_losses import held_out
from lilliput.model.transformer import Model
from lilliput.objectives.reversed import Reversed
from tests.lens.hand_made import rows_of, small


def reordered(model: Model) -> Model:
    """The same function with the heads of each layer in reverse order, and the neurons too."""
    other, width = copy.deepcopy(model), model.config.d_head
    heads = torch.arange(model.config.n_heads * width).view(-1, width).flip(0).flatten()
    neurons = torch.arange(model.config.d_mlp).flip(0)
    with torch.no_grad():
        layers: Any = other.blocks
        for block in layers:
            whole = torch.cat([heads + part * len(heads) for part in range(3)])
            block.attn.qkv.weight.copy_(block.attn.qkv.weight[whole])
            block.attn.out.weight.copy_(block.attn.out.weight[:, heads])
            both = torch.cat([neurons, neurons + len(neurons)])
            block.mlp.gate_up.weight.copy_(block.mlp.gate_up.weight[both])
            block.mlp.down.weight.copy_(block.mlp.down.weight[:, neurons])
    return other


def test_reordered_parts_are_found_again() -> None:
    generator = small()
    rows = rows_of(generator)
    held, other = held_out(generator, rows), reordered(generator.model)
    for signals in (head_signals, neuron_signals):
        first, second = signals(generator.model, held), signals(other, held)
        found = correlations(first, second)
        per_layer = len(first.names) // 2
        wanted = [layer * per_layer + place for layer in range(2) for place in reversed(range(per_layer))]
        assert [place for place, _ in best_matches(found)] == wanted
        assert [value for _, value in best_matches(found)] == pytest.approx([1] * len(wanted), abs=1e-4)
        assert {(a, b) for a, b, _ in greedy_pairs(found)} == set(enumerate(wanted))


def test_controls_are_less_alike() -> None:
    generator = small()
    rows = rows_of(generator)
    same = match_models(generator, generator.with_model(reordered(generator.model)), rows)
    other = match_models(generator, small(seed=9), rows)
    for kind in ("heads", "neurons"):
        assert same[kind]["best"]["mean"] == pytest.approx(1, abs=1e-4)
        assert same[kind]["best"]["low"] > same[kind]["shuffled"]["high"]
        assert same[kind]["best"]["low"] > other[kind]["best"]["high"]
    assert same["heads"]["pairs"][0][2] == pytest.approx(1, abs=1e-4)


def test_models_of_other_shapes_are_matched() -> None:
    found = match_models(small(), small(n_layers=1, n_heads=4, d_mlp=40, context_length=20), rows_of(small()))
    assert len(found["heads"]["pairs"]) == 4
    assert len(found["neurons"]["pairs"]) == 40


def test_greedy_pairs_use_each_unit_once() -> None:
    found = torch.tensor([[0.9, 0.8], [0.85, 0.1], [0.2, 0.0]])
    assert greedy_pairs(found) == [(0, 0, pytest.approx(0.9)), (1, 1, pytest.approx(0.1))]
    assert len(greedy_pairs(found, most=1)) == 1


def test_other_tokens_are_refused() -> None:
    generator = small()
    tokenizer = Tokenizer.train(["quite another text " * 9], TokenizerConfig(vocab_size=290))
    stranger = TextGenerator(generator.model, tokenizer, generator.objective)
    with pytest.raises(ConfigError, match=r"tokenizer\.path="):
        match_models(generator, stranger, rows_of(generator))
    backwards = TextGenerator(generator.model, generator.tokenizer, Reversed())
    with pytest.raises(ConfigError, match="reads backwards"):
        match_models(generator, backwards, rows_of(generator))

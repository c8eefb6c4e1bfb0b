"""The biases that a model lacks, and zeros in their place."""

import pytest
import torch

from lilliput.model.biases import absent_biases, with_zero_biases
from lilliput.model.mlps import Gelu
from lilliput.model.parts import MLPS, Linear
from lilliput.model.transformer import Model
from tests.model.families import config, stirred, tokens


class Bottleneck(Gelu):
    """A GELU with a map before it that never has a bias."""

    def __init__(self, config):
        super().__init__(config)
        self.narrow = Linear(config.d_model, config.d_model, bias=False)


def test_a_model_lacks_those_that_bias_would_add():
    names = {"attn.qkv.bias": 144, "attn.out.bias": 48, "mlp.up.bias": 80, "mlp.down.bias": 48}
    found = {name: tuple(bias.shape) for name, bias in absent_biases(config("gpt", n_layers=1)).items()}
    assert found == {f"blocks.0.{name}": (size,) for name, size in names.items()}
    assert not absent_biases(config("pythia"))


def test_a_matrix_that_never_has_a_bias_gets_none(monkeypatch):
    list(MLPS)
    monkeypatch.setitem(MLPS._entries, "bottleneck", Bottleneck)
    changed = config("gpt", mlp="bottleneck")
    assert absent_biases(changed).keys() == absent_biases(config("gpt")).keys()
    assert "blocks.0.mlp.narrow.bias" not in with_zero_biases(Model(changed))


@pytest.mark.parametrize("family", ["gpt", "llama", "story_grouped"])
def test_with_zeros_it_is_the_same_model(family):
    model = stirred(family)
    full = Model(config(family, bias=True), seed=None).eval()
    full.load_state_dict(with_zero_biases(model))
    with torch.no_grad():
        assert torch.equal(full(tokens()), model(tokens()))

"""Linear attention by layer: what a config may have, what a sight may be, first weights, steps, and what refuses it."""

import math
from typing import Any

import pytest
import torch

from lilliput.base.config import validate
from lilliput.base.errors import ConfigError, ModelError
from lilliput.decoding import compiled, int8, native
from lilliput.formats.gguf_format import Gguf
from lilliput.formats.llama2c import Llama2c
from lilliput.model.attention_layers import UNREAD_POSITION
from lilliput.model.config import ModelConfig
from lilliput.model.counts import parameters
from lilliput.model.huggingface import huggingface_class
from lilliput.model.linear_attention import FIRST_DECAY, GatedDelta
from lilliput.model.parts import Part, roles
from lilliput.model.short_convolution import STD, ShortConvolution, tail_after
from lilliput.model.sight import Sight
from lilliput.model.transformer import Model
from lilliput.training.config import OptimizerConfig
from lilliput.training.muon import Muon
from lilliput.training.optim import build
from tests.model.families import config, stirred, tokens

LINEAR: dict[str, Any] = {"attention": "gated_delta", "position": UNREAD_POSITION}


@pytest.mark.parametrize(
    ("fields", "printed"),
    [
        ({"attention_layers": [0]}, "given without a kind of attention: give attention=gated_delta"),
        ({"attention": "gated_delta", "attention_layers": []}, "has to name layers from 0 to 2"),
        ({"attention": "gated_delta", "attention_layers": [3]}, "has to name layers from 0 to 2"),
        ({"attention": "gated_delta", "attention_layers": [1, 0]}, "in order"),
        (
            {"attention": "gated_delta", "attention_layers": [0, 1], "window": 8},
            r"layers \[0, 1\] .*which has no window",
        ),
        ({**LINEAR, "window": 8}, r"layers \[0, 1, 2\] .*name the layers that have the window in window_layers"),
        ({**LINEAR, "n_heads": 4, "n_kv_heads": 2, "d_head": 16}, "n_kv_heads=2 would do nothing"),
        ({**LINEAR, "qk_norm": False, "rope_theta": 500.0}, "qk_norm=False, rope_theta=500.0 would do nothing"),
        ({**LINEAR, "rotary_fraction": 0.5}, "rotary_fraction=0.5 would do nothing.*name fewer layers"),
    ],
)
def test_a_field_that_would_do_nothing_is_refused(fields, printed):
    with pytest.raises(ConfigError, match=printed):
        validate(ModelConfig, fields, "model")


def test_a_hybrid_has_what_its_layers_read():
    made = ModelConfig(
        attention="gated_delta", attention_layers=(0, 2), window=8, window_layers=(1,), n_heads=4, d_head=16,
        n_kv_heads=2, qk_norm=False, rotary_fraction=0.5,
    )  # fmt: skip
    assert made.attentions == ("gated_delta", "full", "gated_delta")
    assert ModelConfig(**LINEAR, d_model=192).attentions == ("gated_delta",) * 3
    assert ModelConfig(**made.model_dump(mode="json")) == made
    assert ModelConfig(**made.model_dump(mode="json", exclude_defaults=True)) == made
    assert "attention_layers" not in config("story").model_dump(mode="json")


@pytest.mark.parametrize("family", ["own_gated_delta", "own_hybrid"])
def test_parameters_in_closed_form_and_their_roles(family):
    for bias in (False, True):
        model = Model(config(family, bias=bias))
        assert parameters(model.config).total == sum(one.numel() for one in model.parameters())
        known = roles(model)
        matrices = sum(model.get_parameter(name).numel() for name in known if known[name].kind == "matrix")
        parts = [part for block in model.blocks for part in block.children() if isinstance(part, Part)]
        assert matrices == sum(part.matrices_of(model.config) for part in parts)


def test_first_weights_follow_the_roles():
    model = Model(config("own_gated_delta", d_model=256, n_heads=4, init="zero_out"))
    attention = model.blocks[0].attn
    assert isinstance(attention, GatedDelta)
    assert (attention.base == FIRST_DECAY).all()
    assert (attention.out.weight == 0).all()
    assert attention.convolution.weight.std().item() == pytest.approx(STD, rel=0.1)
    assert attention.rates.weight.std().item() == pytest.approx(0.02, rel=0.1)
    alpha = math.exp(-math.log1p(math.exp(FIRST_DECAY)))
    assert alpha**69 == pytest.approx(0.5, rel=0.02)  # half is left after 69 tokens


def test_muon_steps_the_matrices_alone():
    model = Model(config("own_gated_delta"))
    made = build(model, OptimizerConfig(kind="muon"))
    (muon,) = [one for one in made.optimizers if isinstance(one, Muon)]
    stepped = {made.names[one] for group in muon.param_groups for one in group["params"]}
    inside = ("attn.qkv.weight", "attn.out.weight", "mlp.gate_up.weight", "mlp.down.weight")
    assert stepped == {f"blocks.{layer}.{name}" for layer in (0, 1) for name in inside}
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    ids = tokens()
    for _ in range(2):  # the first step moves the output matrices alone, which begin at zero
        model.loss(model(ids), ids, torch.ones(2, 20)).backward()
        made.step()
    assert all(not torch.equal(one, before[name]) for name, one in model.named_parameters())


def test_a_sight_that_a_state_cannot_have_is_refused_by_name():
    model, ids = stirred("own_gated_delta"), tokens()
    with pytest.raises(ModelError, match=r"gated_delta cannot see later positions \(causal=False\)"):
        model(ids, Sight(causal=False))
    with pytest.raises(ModelError, match="gated_delta cannot have a window of 5 positions"):
        model(ids, Sight(window=5))
    lengths = torch.tensor([20, 12])  # padding stands behind all that a causal sight shows
    assert torch.equal(model(ids, Sight(lengths=lengths)), model(ids))


@pytest.mark.parametrize("family", ["own_gated_delta", "own_hybrid"])
def test_what_does_not_know_it_refuses_by_name(family):
    model = stirred(family)
    for reasons in (int8.refuses(model), native.refuses(model), compiled.refuses(model), Gguf().refuses(model)):
        assert any("attention=gated_delta" in reason for reason in reasons), reasons
    assert any("attention=gated_delta" in reason for reason in Llama2c().refuses(model))
    name, reasons = huggingface_class(model.config)
    assert name is None
    assert any("attention=gated_delta" in reason for reason in reasons)


def test_a_convolution_reads_its_last_positions_and_goes_on_from_a_tail():
    made = ShortConvolution(2, 3)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([[1.0, 10.0, 100.0], [1.0, 0.0, 0.0]]))
    x = torch.arange(1.0, 6.0)[None, :, None].expand(1, 5, 2)
    assert made(x)[0].T.tolist() == [[1, 12, 123, 234, 345], [1, 2, 3, 4, 5]]
    first = torch.tensor([[0, 0, 2, 2, 2]])
    assert made(x, first)[0, :, 0].tolist() == [1, 12, 3, 34, 345]
    tail = tail_after(torch.zeros(1, 2, 2), x, torch.tensor([3]))
    assert tail[0, :, 0].tolist() == [2, 3]
    assert torch.equal(made(x[:, 3:], tail=tail), made(x)[:, 3:])
    assert tail_after(tail, x, torch.tensor([0])).equal(tail)
    assert tail_after(tail, x, torch.tensor([1]))[0, :, 0].tolist() == [3, 1]


@pytest.mark.parametrize("documents", [False, True])
def test_the_gradient_of_a_convolution_is_that_of_its_formula(documents):
    made, source = ShortConvolution(5, 4).double(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        made.weight.normal_(generator=source)
    first = torch.tensor([[0] * 3 + [3] + [4] * 7, [0] * 11]) if documents else None
    x = torch.randn(2, 11, 5, generator=source, dtype=torch.float64, requires_grad=True)
    tail = torch.randn(2, 3, 5, generator=source, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, tail: made(x, first, None if documents else tail), (x, tail))
    assert torch.autograd.gradcheck(lambda w: torch.func.functional_call(made, {"weight": w}, (x, first)), made.weight)


def test_under_autocast_the_rule_computes_in_float32():
    model, ids = stirred("own_gated_delta"), tokens()
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(ids)
    exact = model(ids)
    assert 0 < (rough.float() - exact).norm() < 0.02 * exact.norm()

"""Names of hook points: globs, both forms of TransformerLens' names, layers, and errors that name the nearest."""

import pytest
import torch

from lilliput import lens
from lilliput.base.errors import ModelError
from lilliput.lens.names import bridge_names, layer_of, ours
from tests.model.families import stirred

BY_THE_BRIDGE = {
    "embed.hook_out": "hook_embed",
    "blocks.0.hook_in": "blocks.0.hook_resid_pre",
    "blocks.0.hook_out": "blocks.0.hook_resid_post",
    "blocks.0.ln1.hook_in": "blocks.0.hook_resid_pre",
    "blocks.0.ln2.hook_in": "blocks.0.hook_resid_mid",
    "blocks.0.attn.q.hook_out": "blocks.0.attn.hook_q",
    "blocks.0.attn.k.hook_out": "blocks.0.attn.hook_k",
    "blocks.0.attn.v.hook_out": "blocks.0.attn.hook_v",
    "blocks.0.attn.o.hook_in": "blocks.0.attn.hook_z",
    "blocks.0.attn.o.hook_out": "blocks.0.hook_attn_out",
    "blocks.0.attn.hook_out": "blocks.0.hook_attn_out",
    "blocks.0.mlp.gate.hook_out": "blocks.0.mlp.hook_pre",
    "blocks.0.mlp.in.hook_out": "blocks.0.mlp.hook_pre_linear",
    "blocks.0.mlp.out.hook_in": "blocks.0.mlp.hook_post",
    "blocks.0.mlp.out.hook_out": "blocks.0.hook_mlp_out",
    "blocks.0.mlp.hook_out": "blocks.0.hook_mlp_out",
}
"""Compared value by value with TransformerBridge of TransformerLens 4.3.0, on the family `story`."""


@pytest.mark.parametrize(("theirs", "own"), BY_THE_BRIDGE.items())
def test_the_bridges_names_are_known(theirs, own):
    model = stirred("story")
    assert lens.hook_names(model, theirs) == [own]
    assert lens.hook_names(model, own) == [own]


def test_a_plain_mlp_has_one_side_and_a_parallel_block_one_input():
    gpt2, pythia = stirred("gpt2"), stirred("pythia")
    assert lens.hook_names(gpt2, "blocks.1.mlp.in.hook_out") == ["blocks.1.mlp.hook_pre"]
    assert lens.hook_names(gpt2, "pos_embed.hook_out") == ["hook_pos_embed"]
    assert lens.hook_names(pythia, "blocks.1.ln2.hook_in") == ["blocks.1.hook_resid_pre"]


@pytest.mark.parametrize("family", ["story", "gpt2", "pythia", "own"])
def test_every_name_of_the_bridge_is_a_hook_point(family):
    model = stirred(family)
    for theirs in bridge_names(model):
        whole = theirs if theirs.startswith(("embed", "pos_embed")) else f"blocks.0.{theirs}"
        if theirs == "mlp.gate.hook_out" and model.config.mlp != "swiglu":
            continue
        assert lens.hook_names(model, whole)


def test_globs_come_in_the_order_of_the_model():
    model = stirred("story")
    assert lens.hook_names(model, "*") == list(model.hooks)
    assert lens.hook_names(model, "blocks.*.hook_out") == ["blocks.0.hook_resid_post", "blocks.1.hook_resid_post"]
    both = lens.hook_names(model, ["blocks.1.hook_resid_post", "blocks.*.attn.hook_[qk]"])
    wanted = [f"blocks.{layer}.attn.hook_{x}" for layer in (0, 1) for x in "qk"] + ["blocks.1.hook_resid_post"]
    assert both == wanted


def test_layers_count_from_either_end():
    model = stirred("story")
    assert lens.hook_names(model, "*.hook_z", layers=[-1]) == ["blocks.1.attn.hook_z"]
    assert lens.hook_names(model, "*.hook_z", layers=range(2)) == ["blocks.0.attn.hook_z", "blocks.1.attn.hook_z"]
    assert lens.hook_names(model, "*", layers=[]) == []
    with pytest.raises(ModelError, match=r"no layer 2\s.*0 to 1"):
        lens.hook_names(model, "*", layers=[2])
    assert layer_of("blocks.11.hook_resid_pre") == 11
    assert layer_of("ln_final.hook_scale") is None


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(ModelError, match=r"hook_patern.*blocks\.0\.attn\.hook_pattern"):
        lens.hook_names(stirred("story"), "blocks.0.attn.hook_patern")
    assert ours("blocks.3.hook_resid_mid") == "blocks.3.hook_resid_mid"


def test_a_model_compiled_as_a_whole_is_refused():
    model = stirred("story")
    compiled = torch.compile(model, backend="eager")
    with pytest.raises(ModelError, match="give `model`"), lens.capture(compiled):  # pyright: ignore
        pass
    model.compile(backend="eager")
    with pytest.raises(ModelError, match="compiled in place"), lens.intervene(model, {"*": lambda x, hook: x}):
        pass

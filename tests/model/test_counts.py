"""FLOPs by the stated rule, and memory against what a model really holds."""

import pytest
import torch

from lilliput.model.config import resolve
from lilliput.model.counts import flops_per_token, memory, parameters, training_flops
from lilliput.model.delta_rule import CHUNK
from lilliput.model.kernels import library
from lilliput.model.linear_attention import NEIGHBOURS
from lilliput.model.lora import AdapterConfig, attach
from lilliput.model.selection import freeze
from lilliput.model.transformer import Model
from tests.model.families import config, on


def test_flops_follow_the_rule():
    chosen = resolve("llama_6L_6H_288D")
    counts, flops = parameters(chosen), flops_per_token(chosen, 512)
    assert flops.training == 6 * counts.non_embedding + 12 * 6 * 288 * 512 + 6 * 32_000 * 288
    assert flops.training == 3 * flops.forward
    assert flops_per_token(chosen) == flops_per_token(chosen, 1024)


def test_a_window_bounds_attention():
    narrow, wide = flops_per_token(config("story_window"), 24), flops_per_token(config("story"), 24)
    assert narrow.attention * 24 == wide.attention * 5
    assert narrow.blocks == wide.blocks


def test_flops_equal_those_that_pytorch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    model, ids = Model(config("story", n_kv_heads=2)), torch.zeros(1, 24, dtype=torch.int64)
    for name, hook in model.hooks.items():
        if name.endswith("hook_pattern"):
            # PyTorch's counter does not know the fused kernel; a spelled-out pattern it counts.
            on(hook, lambda _: None)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.logits(model(ids))
    counts = parameters(model.config)
    vectors = counts.norms + 2 * 2 * model.config.d_head
    assert counter.get_total_flops() == 24 * (flops_per_token(model.config, 24).forward - 2 * vectors)


@pytest.mark.parametrize("context", [24, 200])
def test_flops_of_linear_attention_do_not_grow_with_the_context(context):
    from torch.utils.flop_counter import FlopCounterMode

    chosen = config("own_gated_delta", context_length=256)
    model, ids = Model(chosen), torch.zeros(1, context, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.logits(model(ids))
    counts, chunk, heads, width = parameters(chosen), min(CHUNK, context), chosen.n_heads, chosen.d_head
    # PyTorch counts neither vectors (norms, the convolution, the base of the decay) nor the solution of a triangle.
    vectors = counts.norms + 2 * (width + heads + 3 * NEIGHBOURS * heads * width)
    uncounted = 2 * vectors + 2 * heads * 2 * chunk * width
    spare = -context % chunk  # positions that fill the last chunk are computed as well
    products = flops_per_token(chosen, context).attention - 2 * heads * 2 * chunk * width
    found = counter.get_total_flops() - spare * products
    assert found == context * (flops_per_token(chosen, context).forward - uncounted)
    assert training_flops(model, context) == flops_per_token(chosen, context).training
    assert flops_per_token(chosen, 200) == flops_per_token(chosen, 256)


def test_a_hybrid_counts_each_layer_by_its_kind():
    hybrid = config("own_hybrid")
    linear, full = config("own_hybrid", attention_layers=None, n_kv_heads=4), config("story", bias=True, n_kv_heads=2)
    assert hybrid.attentions == ("gated_delta", "full")
    for count in (lambda one: parameters(one).attention, lambda one: flops_per_token(one, 24).attention):
        assert 2 * count(hybrid) == count(linear) + count(full)
    for field in ("training", "inference"):
        for part, found in getattr(memory(hybrid), field).items():
            if part != "logits":
                assert 2 * found == getattr(memory(linear), field)[part] + getattr(memory(full), field)[part]
    # 4 heads of 12 x 12 and the last 3 positions of 3 x 48 channels, and keys and values of 2 heads.
    assert memory(hybrid, rows=3, context=10).inference["cache"] == 4 * (3 * (576 + 432) + 3 * 10 * 2 * 2 * 12)


@pytest.mark.parametrize("family", ["story", "gpt", "pythia"])
@pytest.mark.parametrize(
    ("frozen", "adapter"),
    [
        ([], None),
        (["embed"], None),
        (["embed", "blocks.0"], None),
        (["embed", "blocks.0.ln1", "blocks.0.attn", "blocks.0.ln2", "blocks.0.mlp.down"], None),
        (["embed", "blocks.0", "blocks.1.ln1", "blocks.1.attn.out"], None),
        (["blocks.0-1"], None),
        ([], {}),
        ([], {"rank": 4, "targets": ["blocks.1"]}),
        ([], {"rank": 3, "targets": ["attn.out"]}),
    ],
    ids=str,
)
def test_flops_of_training_are_those_that_pytorch_counts(family, frozen, adapter):
    """Forward and backward of a model of which only a part is trained. PyTorch counts no vectors (norms, biases), whose
    part of the work is small in a model of this width."""
    from torch.utils.flop_counter import FlopCounterMode

    model, ids = Model(config(family, d_model=192, d_mlp=320)), torch.arange(24)[None]
    if adapter is not None:
        attach(model, AdapterConfig(**adapter), seed=0)
    names = [name for name in frozen if name != "embed" or model.unembed is not None]  # tied: it is the head as well
    if names:
        freeze(model, names)
    for name, hook in model.hooks.items():
        if name.endswith("hook_pattern"):
            on(hook, lambda _: None)
    with FlopCounterMode(display=False) as counter:
        model.logits(model(ids)).sum().backward()
    found = training_flops(model, 24)
    assert found == pytest.approx(counter.get_total_flops() / 24, rel=0.02)
    whole = flops_per_token(model.config, 24).training
    if adapter is None:  # the matrices of an adapter cost more than they save in a model of this size
        assert found < whole if names else found == whole


@pytest.mark.parametrize(
    "family",
    ["story", "llama_grouped_biased", "gpt", "pythia", "gpt2", "gpt2_unbiased", "own_gated_delta", "own_hybrid"],
)
def test_activations_are_estimated_well(family, monkeypatch):
    kept = activations_kept(family)
    estimated = memory(config(family, **KEPT_SHAPE), rows=8).training["activations"]
    assert 0.6 * estimated < kept <= 1.15 * estimated  # a CPU's kernels keep less
    monkeypatch.setattr(library, "available", lambda: False)
    assert estimated == pytest.approx(activations_kept(family), rel=0.2)


KEPT_SHAPE = {"d_model": 128, "n_heads": 4, "d_mlp": 320, "n_layers": 4, "context_length": 64}


def activations_kept(family: str) -> int:
    """Bytes that the backward pass of 8 rows of 64 tokens finds kept, without the parameters."""
    chosen = config(family, **KEPT_SHAPE)
    model, kept = Model(chosen).train(), {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(torch.zeros(8, 64, dtype=torch.int64))
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    return sum(size for pointer, (size, _) in kept.items() if pointer not in own)


def test_optimizer_states():
    chosen, total = config("llama"), parameters(config("llama")).total
    model = Model(chosen)
    matrices = sum(p.numel() for name, p in model.named_parameters() if name.startswith("blocks") and p.dim() == 2)
    assert memory(chosen).training["optimizer"] == 4 * 2 * total
    assert memory(chosen, optimizer="muon").training["optimizer"] == 4 * (2 * total - matrices)
    assert memory(chosen, rows=3, context=10).inference["cache"] == 3 * 10 * 2 * 2 * 48 * 4

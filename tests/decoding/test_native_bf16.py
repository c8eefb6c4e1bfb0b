"""Native steps with bf16 weights: products exact to the rounding of sums, by each kind of instruction."""

import copy
import sys

import pytest
import torch

from lilliput.base import machine
from lilliput.base.errors import ConfigError
from lilliput.decoding.cache import KVCache
from lilliput.decoding.engine import Engine
from lilliput.decoding.int8 import quantised
from lilliput.decoding.native import BF16_INSTRUCTIONS, bf16_by, native
from lilliput.generation.loading import faster
from lilliput.model.parts import Linear
from tests.decoding.test_native import steps

rooms = sys.modules["lilliput.decoding.native"]
pytestmark = pytest.mark.skipif(machine.compiler() is None, reason="no C++ compiler")
HERE = [] if machine.compiler() is None else BF16_INSTRUCTIONS[1 : BF16_INSTRUCTIONS.index(bf16_by()) + 1]
"""The instructions of this machine; a processor with AMX has both."""


@pytest.fixture(params=HERE)
def by(request, monkeypatch):
    monkeypatch.setattr(rooms, "bf16_by", lambda: request.param)
    return request.param


def ids_of(rows, length=16):
    return torch.randint(0, 50, (rows, length), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("rows", [1, 5, 16, 17, 33, 70])
def test_a_product_is_exact_to_the_rounding_of_its_sums(tiny, by, rows):
    """Products of two bf16 numbers are exact in fp32. Each of the sums rounds by 2^-24 of the sum of magnitudes at
    most, once a column and once for the bias."""
    model = tiny(d_model=52, n_heads=2, d_head=26, vocab_size=51, rotary_fraction=1.0)
    hidden = torch.randn(rows, 1, 52, generator=torch.Generator().manual_seed(1))
    head = model.embed if model.unembed is None else model.unembed
    x, w = hidden.bfloat16().double(), head.weight.detach().bfloat16().double()
    bias = getattr(head, "bias", None)
    exact = x @ w.T + (0 if bias is None else bias.detach().double())
    most = (52 + 1) * 2.0**-24 * (x.abs() @ w.abs().T + (0 if bias is None else bias.detach().double().abs()))
    assert ((native(model, "bf16").logits(hidden).double() - exact).abs() <= most).all()


def rounded(model, cache):
    """A copy of the model whose products round weights and activations to bf16, and with `cache` keys and values."""
    made = copy.deepcopy(model)
    for name, module in made.named_modules():
        if isinstance(module, Linear):
            module.weight.data = module.weight.data.bfloat16().float()
            module.register_forward_pre_hook(lambda module, given: (given[0].bfloat16().float(),))
        if cache and name.endswith(("hook_rot_k", "hook_v")):
            module.register_forward_hook(lambda module, given, found: found.bfloat16().float())
    return made


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("changes", [{}, {"mlp": "gelu", "d_head": 20, "d_mlp": 37, "bias": True}], ids=str)
def test_steps_are_those_of_a_model_that_rounds_alike(tiny, by, changes, dtype):
    """The distance to such a model is a tenth at most of what bf16 loses. It is not 0: a sum in another order may round
    to the neighbouring bf16 number."""
    if tiny().config.position == "rotary":
        changes = {**changes, "rotary_fraction": 0.5}
    model = tiny(tied_embeddings=False, **changes)
    exact = model.logits(model(ids_of(7))).detach()
    alike = rounded(model, dtype == torch.bfloat16)
    rough = alike.logits(alike(ids_of(7))).detach()
    for splits in ([1] * 16, [4, 1, 7, 1, 1, 2]):
        found = steps(native(model, "bf16"), ids_of(7), splits, dtype)
        assert (found - rough).norm() < 0.1 * (rough - exact).norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_text_does_not_depend_on_its_company_to_the_bit(tiny, by, dtype):
    fast = native(tiny(), "bf16")
    together = steps(fast, ids_of(35), [1] * 16, dtype)
    for row in (0, 16, 34):
        assert torch.equal(steps(fast, ids_of(35)[row : row + 1], [1] * 16, dtype)[0], together[row])


@pytest.mark.parametrize("new", [1, 16])
def test_changes_to_the_weights_are_seen_when_a_text_begins(tiny, by, new, monkeypatch):
    """Also where PyTorch reads a long prompt."""
    monkeypatch.setitem(rooms.MOST_TOKENS, "bf16", 8)
    model = tiny(context_length=32)
    fast, cache, ids = native(model, "bf16"), KVCache(model.config, 1, 32), ids_of(1, 17)
    with torch.no_grad():
        model.blocks[0].mlp.down.weight.mul_(2)
        fast(ids[:, :new], cache=cache)
        cache.advance(new)
        found = fast(ids[:, new : new + 1], cache=cache)
    exact = model(ids[:, : new + 1]).detach()[:, -1:]
    assert (found - exact).norm() < 0.1 * exact.norm()
    with torch.no_grad():
        model.blocks[0].mlp.down.weight.mul_(2)
        assert torch.equal(fast(ids[:, new : new + 1], cache=cache), found)


def test_damaged_weights_and_activations_are_not_rounded_away(tiny, by):
    model = tiny()
    with torch.no_grad():
        model.embed.weight[3] = torch.nan
    assert steps(native(model, "bf16"), torch.tensor([[3]]), [1]).isnan().all()


def test_bf16_weights_are_refused_with_the_reason(tiny, monkeypatch):
    model = tiny()
    with pytest.raises(ConfigError, match="int8"):
        native(quantised(model), "bf16")
    monkeypatch.setattr(rooms, "bf16_by", lambda: None)
    with pytest.raises(ConfigError, match="no instructions for products in bf16"):
        native(model, "bf16")


def test_without_instructions_a_decoder_with_bf16_weights_computes_in_fp32(tiny, monkeypatch):
    monkeypatch.setattr("lilliput.generation.loading.bf16_by", lambda: None)
    model = tiny()
    made = faster(model, print, weights="bf16")
    assert made is not None
    assert torch.equal(steps(made(model), ids_of(3), [1] * 16), steps(native(model), ids_of(3), [1] * 16))


@pytest.mark.skipif(not HERE, reason="no instructions for bf16")
def test_a_decoder_computes_with_bf16_weights_only_where_it_is_asked(tiny):
    model = tiny()
    makers = [faster(model, print), faster(model, print, weights="bf16")]
    own, half = (made(model) for made in makers if made is not None)
    assert torch.equal(steps(own, ids_of(3), [1] * 16), steps(native(model), ids_of(3), [1] * 16))
    assert torch.equal(steps(half, ids_of(3), [1] * 16), steps(native(model, "bf16"), ids_of(3), [1] * 16))
    assert not torch.equal(steps(own, ids_of(3), [1]), steps(half, ids_of(3), [1]))


def test_only_an_engine_that_computes_in_bf16_keeps_its_cache_in_bf16(tiny, by):
    model = tiny()
    assert Engine(native(model, "bf16"), 5)._cache.keys[0].dtype == torch.bfloat16
    assert Engine(native(model), 5)._cache.keys[0].dtype == torch.float32
    ours, plain = (KVCache(model.config, 1, 4, dtype=torch.bfloat16) for _ in range(2))
    with torch.inference_mode():  # steps in fp32 do not read such a cache: the model does
        assert torch.equal(native(model)(ids_of(1, 1), cache=ours), model(ids_of(1, 1), cache=plain))


def test_the_model_itself_computes_with_a_cache_in_bf16(tiny, by, capsys):
    """While a hook is set, PyTorch's operators read and write the same cache."""
    model = tiny()
    fast, ids = native(model, "bf16"), ids_of(3)
    clean = steps(model, ids, [1] * 16)
    cache, found = KVCache(model.config, 3, 16, dtype=fast.cache_dtype), []
    for at in range(16):
        handle = model.ln_final.register_forward_hook(lambda *given: None) if at % 2 else None
        with torch.inference_mode():
            found.append(model.logits(fast(ids[:, at : at + 1], cache=cache)))
        cache.advance(1)
        if handle is not None:
            handle.remove()
    assert "step aside" in capsys.readouterr().err
    assert (torch.cat(found, 1) - clean).norm() < 0.02 * clean.norm()

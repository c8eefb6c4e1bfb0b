"""What every style promises: shapes, no look ahead, learning, saving, caching, segments, the names of its taps."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.base.files import sha256
from lilliput.decoding.cache import KVCache
from lilliput.model.config import ModelConfig
from lilliput.model.huggingface import from_huggingface, to_huggingface
from lilliput.model.sight import Sight
from lilliput.model.transformer import Model
from tests.model.families import DECODERS, FAMILIES, SOURCED, config, gradients, on, read, stirred, tokens

families = pytest.mark.parametrize("family", [*FAMILIES, *SOURCED])
decoders = pytest.mark.parametrize("family", DECODERS)
cached = pytest.mark.parametrize("family", [*DECODERS, *SOURCED])
encoders = pytest.mark.parametrize("family", [family for family in FAMILIES if family not in DECODERS])


@families
def test_shapes(family):
    model, ids = stirred(family), tokens()
    hidden = read(model, ids)
    assert hidden.shape == (2, 20, 48)
    logits = model.logits(hidden)
    assert logits.shape == (2, 20, 61)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()
    assert model.loss(hidden, ids, torch.ones(2, 20)).shape == ()


def _reach(model: Model, at: int) -> torch.Tensor:
    """(20,): how much the first row's hidden state at a position depends on each embedding. The other row has to have
    no part in it."""
    seen = []
    on(model.hook_embed, lambda x: seen.append(x) or x.retain_grad())
    model(tokens())[0, at].square().sum().backward()
    reach = seen[0].grad.abs().sum(-1)
    assert (reach[1] == 0).all()
    return reach[0]


@encoders
def test_an_encoder_sees_both_sides_as_far_as_its_windows_reach(family):
    model = stirred(family)
    reach = _reach(model, 9)
    furthest = sum(20 if window is None else window - 1 for window in model.config.windows)
    seen = [abs(place - 9) <= furthest for place in range(20)]
    assert (reach > 0).tolist() == seen


@decoders
def test_no_look_into_the_future(family):
    model = stirred(family)
    reach = _reach(model, 9)[None]
    assert (reach[0, 10:] == 0).all()
    assert (reach[0, 9:10] > 0).all()
    # Each layer looks back window - 1 positions further, or to the beginning.
    first = max(0, 9 - sum(20 if window is None else window - 1 for window in model.config.windows))
    assert (reach[0, :first] == 0).all()
    assert (reach[0, first:10] > 0).all()


@families
def test_overfits_one_batch(family):
    model, ids = Model(config(family), seed=1), tokens(2, 16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    slow = model.config.residual == "none" or model.config.unembed_scale  # without a stream, or from small logits
    for _ in range(400 if slow else 60):
        optimizer.zero_grad()
        loss = model.loss(read(model, ids[:, :-1]), ids[:, 1:], torch.ones(2, 15)) / 30
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # Drawn evenly from 61 ids, the first guess costs about ln 61 = 4.1 nats.
    assert 3 < losses[0] < 6
    assert losses[-1] < 0.2


@families
@pytest.mark.parametrize("tied", [False, True])
def test_saved_and_loaded_is_the_same(family, tied, tmp_path):
    model = stirred(family, tied_embeddings=tied)
    to_huggingface(model, tmp_path / "a")
    loaded = from_huggingface(tmp_path / "a")
    assert loaded.config == model.config
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    to_huggingface(loaded, tmp_path / "b")
    for file in ("config.json", "generation_config.json", "model.safetensors"):
        assert sha256(tmp_path / "a" / file) == sha256(tmp_path / "b" / file)


@cached
def test_cached_equals_uncached(family):
    model, ids = stirred(family), tokens(2, 20)
    whole = read(model, ids)
    cache, parts = KVCache(model.config, 2, 20), []
    for start, stop in ((0, 7), (7, 8), (8, 13), *((i, i + 1) for i in range(13, 20))):
        parts.append(read(model, ids[:, start:stop], cache=cache))
        cache.advance(stop - start)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)


@decoders
def test_rows_of_different_lengths_do_not_see_padding(family):
    model, ids, more = stirred(family), tokens(2, 17), tokens(2, 4, seed=3)
    cache = KVCache(model.config, 2, 24)
    model(ids, cache=cache)
    cache.advance([5, 17])
    rest = [model(more[:, :3], cache=cache)]
    cache.advance(3)
    rest.append(model(more[:, 3:], cache=cache))
    for row, length in enumerate((5, 17)):
        whole = model(torch.cat([ids[row, :length], more[row]])[None])[0, length:]
        torch.testing.assert_close(torch.cat(rest, 1)[row], whole, atol=1e-5, rtol=1e-5)


@families
def test_segments_equal_separate_documents(family):
    model, ids = stirred(family), tokens(2, 20)
    segments = torch.tensor([[0] * 6 + [1] * 9 + [-1] * 5, [3] * 20])
    packed = read(model, ids, replace(model.sight, segments=segments))
    torch.testing.assert_close(packed[0, :6], read(model, ids[:1, :6])[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(packed[0, 6:15], read(model, ids[:1, 6:15])[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(packed[1], read(model, ids)[1], atol=1e-5, rtol=1e-5)
    assert torch.isfinite(packed).all()


@families
def test_taps_have_their_names_and_shapes(family):
    model, ids = stirred(family), tokens()
    seen: dict[str, tuple[int, ...]] = {}
    for name, hook in model.hooks.items():
        on(hook, lambda x, name=name: seen.__setitem__(name, tuple(x.shape)))
    read(model, ids)
    whole = _taps(model.config, 20)
    if model.encoder is not None:
        whole |= {f"encoder.{name}": shape for name, shape in _taps(model.config.encoder, 9).items()}
    whole["hook_embed"] = (2, 20, 48)
    assert seen == whole


def _taps(c: ModelConfig, length: int) -> dict[str, tuple[int, ...]]:
    """The hook points of a stack and their shapes."""
    stream, width = (2, length, 48), (2, length, c.d_mlp)
    each, shared = (2, length, c.n_heads, c.d_head), (2, length, c.n_kv_heads, c.d_head)
    square = (2, c.n_heads, length, length)
    inner = dict.fromkeys(("hook_pre", "hook_post"), width)
    if c.mlp == "experts":
        chosen = dict.fromkeys(("hook_expert_weights", "hook_expert_indices"), (2, length, c.experts_per_token))
        inner = {"hook_router_logits": (2, length, c.n_experts), **chosen}
        if c.d_shared:
            names = ("hook_pre", "hook_pre_linear", "hook_post")
            inner |= {f"shared.{name}": (2, length, c.d_shared) for name in names}
    expected = {f"mlp.{name}": shape for name, shape in inner.items()}
    names = ["resid_pre", "attn_out", "mlp_out", "resid_post", *(["resid_mid"] if "parallel" not in c.residual else [])]
    expected |= {f"hook_{name}": stream for name in (*names, *(["cross_out"] if c.encoder_layers else []))}
    scale = (2, length, 48 if c.norm == "batch" else 1)
    parts = ["ln1", "ln2", *(["ln_cross"] if c.encoder_layers else [])]
    norms = {
        "pre": ["ln1"] if c.residual == "parallel_shared" else parts,
        "post": parts,
        "output": [f"{part}_post" for part in parts],
        "sandwich": [*parts, *(f"{part}_post" for part in parts)],
    }[c.norm_place]
    expected |= {
        f"{ln}.hook_{what}": shape for ln in norms for what, shape in (("scale", scale), ("normalized", stream))
    }
    if c.mlp in ("swiglu", "geglu", "geglu_tanh"):
        expected["mlp.hook_pre_linear"] = width
    full: dict[str, tuple[int, ...]] = {
        "hook_q": each,
        "hook_k": shared,
        "hook_v": shared,
        "hook_rot_q": each,
        "hook_rot_k": shared,
    }
    full |= {"hook_z": each, "hook_attn_scores": square, "hook_pattern": square}
    crossed: dict[str, tuple[int, ...]] = {
        "hook_q": each,
        "hook_k": (2, 9, *shared[2:]),
        "hook_v": (2, 9, *shared[2:]),
        "hook_z": each,
    }
    crossed |= dict.fromkeys(("hook_attn_scores", "hook_pattern"), (*square[:3], 9))
    if c.qk_norm:
        by_head = c.qk_norm_over == "head"
        for found in (full, crossed):
            for x in ("q", "k"):
                shape = found[f"hook_{x}"]
                found[f"{x}_norm.hook_scale"] = (*shape[:3], 1) if by_head else (*shape[:2], 1)
                found[f"{x}_norm.hook_normalized"] = shape if by_head else (*shape[:2], shape[2] * shape[3])
    linear = dict.fromkeys(("hook_q", "hook_k", "hook_v", "hook_z", "z_norm.hook_normalized"), each)
    linear |= {"z_norm.hook_scale": (*each[:3], 1), **dict.fromkeys(("hook_alpha", "hook_beta"), each[:3])}
    attention = {"full": full, "gated_delta": linear}
    whole = {f"blocks.{i}.{name}": shape for i in range(c.n_layers) for name, shape in expected.items()}
    for i, kind in enumerate(c.attentions):
        whole |= {f"blocks.{i}.attn.{name}": shape for name, shape in attention[kind].items()}
        whole |= {f"blocks.{i}.cross.{name}": shape for name, shape in crossed.items() if c.encoder_layers}
    outside = [*(["ln_embed"] if c.embed_norm else []), *(["ln_final"] if c.norm_place != "post" else [])]
    whole |= {
        f"{ln}.hook_{what}": shape for ln in outside for what, shape in (("scale", scale), ("normalized", stream))
    }
    if c.embed_norm and c.norm_place == "pre":
        whole = {name: shape for name, shape in whole.items() if not name.startswith("blocks.0.ln1.")}
    return whole | ({"hook_pos_embed": stream} if c.position == "learned" else {})


@families
def test_looking_changes_nothing(family):
    model, ids = stirred(family), tokens()
    plain, patterns = read(model, ids), []
    for hook in model.hooks.values():
        on(hook, lambda _: None)
    for layer, kind in enumerate(model.config.attentions):
        if kind == "full":  # linear attention has no pattern
            on(model.hooks[f"blocks.{layer}.attn.hook_pattern"], patterns.append)
    torch.testing.assert_close(read(model, ids), plain, atol=1e-5, rtol=1e-5)
    assert len(patterns) == model.config.attentions.count("full")
    for pattern in patterns:
        torch.testing.assert_close(pattern.sum(-1), torch.ones(2, model.config.n_heads, 20))
        assert bool((pattern.triu(1) == 0).all()) == model.config.causal


@families
def test_recomputing_gives_the_same_gradient(family):
    model, ids = stirred(family).train(), tokens()

    def step(recompute: bool) -> list[torch.Tensor]:
        model.recompute = recompute
        model.zero_grad()
        model.loss(read(model, ids), ids, torch.ones(2, 20)).backward()
        return gradients(model)

    for with_, without in zip(step(True), step(False), strict=True):
        torch.testing.assert_close(with_, without)


# Inductor itself still imports what torch.jit deprecates.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("family", "backend", "changes"),
    [
        ("story", "inductor", {}),
        ("gpt2", "aot_eager", {}),
        ("own_experts", "aot_eager", {}),
        ("own_gated_delta", "aot_eager", {}),
        ("own_encoder", "inductor", {"window": 5}),
        ("modernbert_biased", "aot_eager", {}),
    ],
)
def test_compiled_equals_eager(family, backend, changes):
    model, ids = stirred(family, n_layers=1, **changes).train(), tokens()
    weights = torch.ones(2, 20)

    def loss(ids: torch.Tensor) -> torch.Tensor:
        return model.loss(model(ids), ids, weights)

    def step(compute) -> list[torch.Tensor]:
        model.zero_grad()
        total = compute(ids)
        total.backward()
        return [total.detach(), *gradients(model)]

    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    for one, other in zip(step(compiled), step(loss), strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-4)


def test_a_hook_may_replace_what_it_sees():
    model, ids = stirred("story"), tokens()
    handle = on(model.hooks["blocks.1.hook_resid_post"], torch.zeros_like)
    assert (model(ids) == 0).all()
    handle.remove()
    assert (model(ids) != 0).any()


def test_rotary_reaches_past_the_context_and_learned_refuses():
    ids = tokens(1, 30)
    assert torch.isfinite(stirred("story")(ids)).all()
    longer = stirred("story", context_length=64)
    torch.testing.assert_close(stirred("story")(ids), longer(ids))
    with pytest.raises(ModelError, match=r"position 29 .* learned 24"):
        stirred("gpt2")(ids)


def test_segments_and_a_cache_exclude_each_other():
    model, ids = stirred("story"), tokens()
    with pytest.raises(ModelError, match="together"):
        model(ids, Sight(segments=torch.zeros_like(ids)), cache=KVCache(model.config, 2, 20))


def test_dropout_acts_in_training_only():
    model, ids = stirred("story", dropout=0.5), tokens()
    assert torch.equal(model(ids), model(ids))
    model.train()
    assert not torch.equal(model(ids), model(ids))


def test_bf16_autocast_stays_close():
    model, ids = stirred("story").train(), tokens()
    exact = model.loss(model(ids), ids, torch.ones(2, 20))
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model(ids)
        rough = model.loss(hidden, ids, torch.ones(2, 20))
    rough.backward()
    assert rough.dtype == torch.float32
    assert abs(rough.item() / exact.item() - 1) < 0.02
    assert all(torch.isfinite(grad).all() for grad in gradients(model))


def test_a_loss_is_not_rounded_to_bf16_under_autocast():
    model, ids = stirred("story"), tokens()
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model(ids)
        plain = model.loss(hidden, ids, torch.ones(2, 20)).item()
        on(cast(Any, model.unembed), lambda x: None)  # a hooked head is called
        called = model.loss(hidden, ids, torch.ones(2, 20)).item()
    assert called == pytest.approx(plain, rel=1e-4)


def test_first_weights_depend_on_seed_and_name_only():
    one, same, other = Model(config("story"), 1), Model(config("story"), 1), Model(config("story"), 2)
    deeper = Model(config("story", n_layers=3), 1)
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[name])
        assert torch.equal(tensor, deeper.state_dict()[name])
    assert not torch.equal(one.embed.weight, other.embed.weight)


def _std(model: Model, name: str) -> float:
    return model.get_parameter(name).std().item()


def test_inits():
    zero = Model(config("story", init="zero_out"))
    ids = tokens()
    # Every block starts as the identity: depth does not matter yet.
    torch.testing.assert_close(zero(ids), cast(Any, zero.ln_final)(zero.embed(ids)))
    scaled = Model(config("gpt2", init="scaled", d_model=256, n_heads=4, n_layers=8, d_mlp=512))
    assert _std(scaled, "blocks.0.attn.qkv.weight") == pytest.approx(0.02, rel=0.05)
    assert _std(scaled, "blocks.0.attn.out.weight") == pytest.approx(0.02 / 4, rel=0.05)
    normal = Model(config("gpt2", init="normal", d_model=256, n_heads=4, d_mlp=512))
    assert _std(normal, "blocks.0.mlp.down.weight") == pytest.approx(0.02, rel=0.05)


def test_built_on_meta_without_memory(tmp_path: Path):
    with torch.device("meta"):
        model = Model(config("story"))
    assert all(parameter.is_meta for parameter in model.parameters())

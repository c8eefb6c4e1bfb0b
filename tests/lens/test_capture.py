"""Capture: equal logits, positions, memory and disk, and every fast path that steps aside for it."""

import gc
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput import lens
from lilliput.base.errors import ConfigError, ModelError
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.int8 import quantised
from lilliput.decoding.native import native, why_not
from lilliput.generation.text_generator import TextGenerator
from lilliput.model import attention, kernels
from lilliput.objectives.causal import Causal
from lilliput.training.compiled import Compiled
from tests.model.families import FAMILIES, config, stirred, tokens

families = pytest.mark.parametrize("family", FAMILIES)


def _adds(family: str) -> bool:
    """Whether a block adds to the stream, and does nothing else to it."""
    parts = config(family)
    return parts.norm_place != "post" and parts.residual != "none"


TEXTS = ["Once upon a time, there was a girl named Mia. She had a red ball."] * 9


@families
def test_logits_with_capture_equal_logits_without(family):
    model, ids = stirred(family), tokens()
    plain = model.logits(model(ids))
    with lens.capture(model) as seen:
        looked = model.logits(model(ids))
    torch.testing.assert_close(looked, plain, atol=1e-5, rtol=1e-5)
    computed = set(model.hooks) - ({"hook_pos_embed"} if model.config.position != "learned" else set())
    assert set(seen) == computed
    assert len(seen) == len(computed)
    torch.testing.assert_close(seen["blocks.0.hook_resid_post"], seen["blocks.1.hook_resid_pre"])
    assert not any(hook.active for hook in model.hooks.values())


@pytest.mark.parametrize("family", [family for family in FAMILIES if _adds(family)])
def test_parts_of_the_stream_add_up(family):
    model = stirred(family)
    with lens.capture(model) as seen:
        model(tokens())
    total = seen["blocks.0.hook_resid_pre"] + seen["blocks.0.hook_attn_out"] + seen["blocks.0.hook_mlp_out"]
    torch.testing.assert_close(seen["blocks.0.hook_resid_post"], total)


def test_either_form_of_a_name_reads_the_activation():
    model = stirred("story")
    with lens.capture(model, ["blocks.*.hook_out", "embed.hook_out"]) as seen:
        model(tokens())
    assert set(seen) == {"hook_embed", "blocks.0.hook_resid_post", "blocks.1.hook_resid_post"}
    assert seen["blocks.1.hook_out"] is seen["blocks.1.hook_resid_post"]
    assert seen.each("embed.hook_out")[0] is seen["hook_embed"]
    with pytest.raises(KeyError):
        seen["blocks.0.hook_in"]


@pytest.mark.parametrize("family", ["story", "gpt2"])
def test_normalized_is_the_quotient_before_weight_and_bias(family):
    model = stirred(family)
    with torch.no_grad(), lens.capture(model, ["*.hook_resid_pre", "*.ln1.hook_*"]) as seen:
        model(tokens())
    stream = seen["blocks.1.hook_resid_pre"]
    centred = stream if family == "story" else stream - stream.mean(-1, keepdim=True)
    expected = centred / seen["blocks.1.ln1.hook_scale"]
    torch.testing.assert_close(seen["blocks.1.ln1.hook_normalized"], expected)


@pytest.mark.parametrize("positions", [3, -1, [0, -2], slice(2, 9), slice(None, None, 3)])
def test_positions_choose_positions_and_queries(positions):
    model, ids = stirred("story_grouped"), tokens()
    names = ["blocks.1.hook_resid_mid", "blocks.1.attn.hook_z", "blocks.1.attn.hook_pattern"]
    with lens.capture(model, names) as whole:
        model(ids)
    with lens.capture(model, names, positions=positions) as part:
        model(ids)
    index = [positions] if isinstance(positions, int) else positions
    assert torch.equal(part[names[0]], whole[names[0]][:, index])
    assert torch.equal(part[names[1]], whole[names[1]][:, index])
    assert torch.equal(part[names[2]], whole[names[2]][:, :, index])


def test_passes_are_joined_or_given_one_by_one():
    model = stirred("story")
    with lens.capture(model, "ln_final.hook_scale", memory_bytes=0) as seen:
        model(tokens(2, 20))
        model(tokens(3, 20))
    assert seen["ln_final.hook_scale"].shape == (5, 20, 1)
    with lens.capture(model, "ln_final.hook_scale") as seen:
        model(tokens(2, 20))
        model(tokens(2, 7))
    assert [one.shape[1] for one in seen.each("ln_final.hook_scale")] == [20, 7]
    with pytest.raises(ModelError, match=r"seen.each\('ln_final.hook_scale'\)"):
        seen["ln_final.hook_scale"]
    with lens.capture(model, "hook_pos_embed") as seen:
        model(tokens())
    with pytest.raises(ModelError, match="hook_pos_embed was not computed"):
        seen["hook_pos_embed"]
    with pytest.raises(KeyError):
        seen["hook_embed"]


def test_beyond_the_limit_activations_are_on_disk(tmp_path):
    model, ids = stirred("story"), tokens()
    with lens.capture(model, "*") as held:
        model(ids)
    sizes = {name: held[name].numel() * 4 for name in held}
    with lens.capture(model, "*", memory_bytes=sizes["hook_embed"], folder=tmp_path / "a") as seen:
        model(ids)
    files = list((tmp_path / "a").rglob("*.safetensors"))
    # The embeddings are kept in memory, and the first layer's input is the same memory.
    assert len(files) == len(seen) - 2
    for name in held:
        assert torch.equal(seen[name], held[name]), name


def test_two_captures_into_one_folder_do_not_mix(tmp_path):
    model = stirred("story")
    with lens.capture(model, "hook_embed", memory_bytes=0, folder=tmp_path) as first:
        model(tokens(seed=1))
    kept = first["hook_embed"]
    with lens.capture(model, "hook_embed", memory_bytes=0, folder=tmp_path) as second:
        model(tokens(seed=2))
    assert torch.equal(first["hook_embed"], kept)
    assert not torch.equal(second["hook_embed"], kept)
    del first, second
    gc.collect()
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_a_temporary_folder_goes_with_its_result(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = stirred("story")
    with lens.capture(model, "hook_embed", memory_bytes=0) as seen:
        model(tokens())
    assert list(tmp_path.rglob("*.safetensors"))
    del seen
    gc.collect()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("own", [False, True])
def test_an_exception_in_the_body_removes_hooks_and_files(own, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model, written = stirred("story"), len(stirred("story").hooks) - 1  # all but hook_pos_embed
    with (  # noqa: PT012
        pytest.raises(ZeroDivisionError),
        lens.capture(model, memory_bytes=0, folder=tmp_path / "own" if own else None) as seen,
    ):
        model(tokens())
        assert 1 / (len(list(tmp_path.rglob("*.safetensors"))) - written)
    assert not list(tmp_path.rglob("*.safetensors"))
    assert len(seen) == 0
    assert not any(hook.active for hook in model.hooks.values())


def test_memory_is_counted_once_and_a_slice_frees_the_rest():
    model, ids = stirred("story"), tokens()
    names = ["blocks.0.hook_resid_post", "blocks.1.hook_resid_pre"]
    with lens.capture(model, names) as seen:
        model(ids)
    assert seen[names[0]].data_ptr() == seen[names[1]].data_ptr()
    with lens.capture(model, "hook_embed", positions=slice(0, 1)) as seen:
        model(ids)
    assert seen["hook_embed"].untyped_storage().nbytes() == 2 * 48 * 4


def test_activations_have_no_graph_and_gradients_stay():
    model, ids = stirred("story"), tokens()

    def gradient() -> torch.Tensor:
        model.zero_grad()
        model.loss(model(ids), ids, torch.ones(2, 20)).backward()
        assert model.embed.weight.grad is not None
        return model.embed.weight.grad.clone()

    plain = gradient()
    with lens.capture(model) as seen:
        looked = gradient()
    torch.testing.assert_close(looked, plain, atol=1e-4, rtol=1e-4)
    assert not any(seen[name].requires_grad for name in seen)


# ---------------------------------------------------------------------------- fast paths step aside where one looks


@pytest.mark.parametrize(
    ("name", "steps_aside"),
    [("blocks.0.hook_resid_post", False), ("blocks.0.attn.hook_z", False), ("blocks.0.attn.hook_pattern", True)],
)
def test_the_attention_kernel_steps_aside_in_the_layer_that_is_looked_at(name, steps_aside, monkeypatch):
    model, ids, calls = stirred("story"), tokens(), []
    attend = kernels.attend
    monkeypatch.setattr(attention.kernels, "attend", lambda *a, **k: calls.append(1) or attend(*a, **k))
    plain = model(ids)
    if not calls:
        pytest.skip("this machine has no attention kernel")
    calls.clear()
    with lens.capture(model, name):
        torch.testing.assert_close(model(ids), plain, atol=1e-5, rtol=1e-5)
    assert len(calls) == (1 if steps_aside else 2)


def test_compiled_training_steps_aside(capsys, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    model, ids = stirred("story").train(), tokens()
    view = Compiled(model)
    plain = view(ids).detach()
    with lens.capture(model, "blocks.1.attn.hook_pattern") as seen:
        torch.testing.assert_close(view(ids).detach(), plain, atol=1e-4, rtol=1e-4)
    assert seen["blocks.1.attn.hook_pattern"].shape == (2, 4, 20, 20)
    assert "compiled blocks step aside" in " ".join(capsys.readouterr().err.split())
    assert not view.refuses()


def _generator(int8: bool = False) -> TextGenerator:
    tokenizer = Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=300))
    model = stirred("story", vocab_size=tokenizer.vocab_size)
    model = quantised(model) if int8 else model
    return TextGenerator(model, tokenizer, Causal(), faster=native)


@pytest.mark.parametrize("int8", [False, True])
def test_native_decoding_steps_aside(int8, capsys):
    generator = _generator(int8)
    if reason := why_not(generator.model):
        pytest.skip(reason)
    options: dict[str, Any] = {"temperature": 0, "max_tokens": 6}
    plain = generator.generate("Once upon", **options)
    assert generator.decoder is not generator.model
    with lens.capture(generator.model, "blocks.1.attn.hook_pattern") as seen:
        assert generator.generate("Once upon", **options) == plain
    prompt, *steps = seen.each("blocks.1.attn.hook_pattern")
    assert prompt.shape[2] > 1
    assert [one.shape[2] for one in steps] == [1] * len(steps)
    assert len(steps) >= 4
    assert "native steps step aside" in " ".join(capsys.readouterr().err.split())


def test_native_decoding_sees_an_intervention():
    generator = _generator()
    if reason := why_not(generator.model):
        pytest.skip(reason)
    plain = generator.generate("Once upon", temperature=0, max_tokens=6)
    with lens.intervene(generator.model, {"blocks.*.hook_resid_post": lambda x, hook: -x}):
        changed = generator.generate("Once upon", temperature=0, max_tokens=6)
    assert changed != plain
    assert generator.generate("Once upon", temperature=0, max_tokens=6) == plain


def test_int8_refuses_a_model_that_is_looked_at():
    model = stirred("story")
    with lens.capture(model, "hook_embed"), pytest.raises(ConfigError, match="a hook on hook_embed"):
        quantised(model)


def test_a_folder_that_is_missing_is_made(tmp_path: Path):
    model = stirred("story")
    with lens.capture(model, "hook_embed", memory_bytes=0, folder=str(tmp_path / "a" / "b")) as seen:
        model(tokens())
    assert seen["hook_embed"].shape == (2, 20, 48)

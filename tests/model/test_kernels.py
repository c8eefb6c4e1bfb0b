"""The C++ kernels of a training step say what PyTorch's operators say, and give way to them elsewhere."""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.base.errors import ConfigError
from lilliput.base.machine import compiler
from lilliput.model import kernels
from lilliput.model.transformer import Model
from tests.model.families import FAMILIES, config, gradients, stirred, tokens

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler here")


def _heads(rows: int, length: int, heads: int, shared: int, width: int, dtype: torch.dtype, seed: int = 0):
    """q, k and v as slices of one tensor, as a model has them, and a gradient of the result."""
    generator = torch.Generator().manual_seed(seed)
    together = torch.randn(rows, length, heads + 2 * shared, width, generator=generator).to(dtype)
    q, k, v = together.split((heads, shared, shared), 2)
    return (
        q.requires_grad_(),
        k.requires_grad_(),
        v.requires_grad_(),
        torch.randn(rows, length, heads, width, generator=generator).to(dtype),
    )


def _reference(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True).transpose(1, 2)


def _exact(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return (
        q.detach().double().requires_grad_(),
        k.detach().double().requires_grad_(),
        v.detach().double().requires_grad_(),
    )


def _both_ways(attend, q, k, v, grad) -> list[torch.Tensor]:
    out = attend(q, k, v)
    return [out.detach(), *torch.autograd.grad(out, (q, k, v), grad)]


@needs_compiler
@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 150), st.sampled_from([(1, 1), (4, 2), (3, 1)]), st.integers(1, 70))
def test_attention_and_its_gradients_are_the_plain_ones(rows, length, heads, width):
    q, k, v, grad = _heads(rows, length, heads[0], heads[1], width, torch.float32)
    ours = _both_ways(kernels.causal_attention, q, k, v, grad)
    exact = _both_ways(_reference, *_exact(q, k, v), grad.double())
    for one, other in zip(ours, exact, strict=True):
        torch.testing.assert_close(one, other.float(), atol=1e-5, rtol=1e-4)


@needs_compiler
def test_attention_in_bf16_is_no_further_off_than_pytorchs():
    q, k, v, grad = _heads(2, 100, 4, 2, 48, torch.bfloat16)
    exact = _both_ways(_reference, *_exact(q, k, v), grad.double())
    ours = _both_ways(kernels.causal_attention, q, k, v, grad)
    theirs = _both_ways(_reference, q, k, v, grad)
    for one, other, right in zip(ours, theirs, exact, strict=True):
        assert one.dtype == torch.bfloat16
        assert (one - right).norm() <= 1.05 * (other - right).norm()
    mixed = kernels.causal_attention(q.float(), k.float(), v)  # as rotary tables in fp32 leave them
    assert mixed.dtype == torch.bfloat16
    assert torch.equal(mixed, ours[0])


@needs_compiler
def test_attention_is_the_same_to_the_bit_on_any_number_of_threads():
    q, k, v, grad = _heads(3, 90, 4, 2, 32, torch.float32)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(_both_ways(kernels.causal_attention, q, k, v, grad))
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert torch.equal(one, other)


@needs_compiler
def test_attention_is_a_sound_operator():
    q, k, v, _ = _heads(2, 20, 4, 2, 8, torch.float32)
    torch.library.opcheck(torch.ops.lilliput.causal_attention.default, (q, k, v))


@needs_compiler
def test_attention_does_not_hide_what_is_not_finite():
    q, k, v, grad = _heads(1, 40, 1, 1, 16, torch.float32)
    with torch.no_grad():
        k[0, 20, 0, 3] = float("nan")
    out = kernels.causal_attention(q, k, v)
    assert torch.isfinite(out[0, :20]).all()
    assert torch.isnan(out[0, 20:]).all()
    assert torch.isnan(torch.autograd.grad(out, q, grad)[0][0, 20:]).all()


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("vocabulary", [1, 7, 16, 1000])
def test_the_heads_loss_and_gradient_are_the_plain_ones(dtype, vocabulary):
    generator = torch.Generator().manual_seed(0)
    logits = (20 * torch.randn(33, vocabulary, generator=generator)).to(dtype)
    targets = torch.randint(0, vocabulary, (33,), generator=generator)
    weights = torch.rand(33, generator=generator)
    wide = logits.double().requires_grad_()
    plain = F.cross_entropy(wide, targets, reduction="none")
    (grad,) = torch.autograd.grad((plain * weights).sum(), wide)
    losses = kernels.softmax_gradient(logits, targets, weights)
    torch.testing.assert_close(losses, plain.detach().float(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits.double(), grad, atol=1e-6, rtol=1e-6 if dtype == torch.float32 else 1e-2)


@needs_compiler
def test_the_heads_loss_does_not_hide_what_is_not_finite():
    logits = torch.zeros(3, 40)
    logits[0, 5], logits[1, 5] = float("nan"), float("inf")
    losses = kernels.softmax_gradient(logits, torch.zeros(3, dtype=torch.int64), torch.ones(3))
    assert losses.isnan().tolist() == [True, True, False]


@needs_compiler
def test_bf16_is_added_to_fp32():
    to, product = torch.randn(9, 5), torch.randn(9, 5).bfloat16()
    expected = to + product
    kernels.add(to, product)
    assert torch.equal(to, expected)
    with pytest.raises(ValueError, match="contiguous"):
        kernels.add(to, product.T)


def _loss_and_gradients(model: Model, precision: str) -> list[torch.Tensor]:
    ids = tokens(2, 21)
    model.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        loss = model.loss(model(ids[:, :-1]), ids[:, 1:], torch.ones(2, 20))
    loss.backward()
    return [loss.detach(), *gradients(model)]


@needs_compiler
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_learns_the_same_with_and_without(family, precision, monkeypatch):
    model, calls = stirred(family), []
    called = kernels._call
    monkeypatch.setattr(kernels, "_call", lambda name, *rest: calls.append(name) or called(name, *rest))
    ours = _loss_and_gradients(model, precision)
    assert ("attention_backward" in calls) == (config(family).window is None)
    assert "softmax_gradient" in calls
    monkeypatch.setattr(kernels, "available", lambda: False)
    calls.clear()
    plain = _loss_and_gradients(model, precision)
    assert not calls
    within = 1e-4 if precision == "fp32" else 0.03
    for one, other in zip(ours, plain, strict=True):
        assert (one - other).norm() <= within * other.norm() + 1e-6


@needs_compiler
def test_they_are_for_training_alone(monkeypatch):
    model = stirred("story")
    monkeypatch.setattr(kernels, "_call", lambda *_: pytest.fail("called"))
    with torch.no_grad():
        model.loss(model(tokens()), tokens(), torch.ones(2, 20))
    stirred("story", dropout=0.1).train()(tokens())
    model.double()(tokens()).sum().backward()


TRAIN = """
import torch
from lilliput.model import kernels
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
model = Model(ModelConfig(d_model=16, n_layers=1, vocab_size=20, context_length=8))
ids = torch.arange(16).view(2, 8)
model.loss(model(ids), ids, torch.ones(2, 8)).backward()
print(kernels.state())
"""


def _state(**environment: str) -> str:
    given = {key: value for key, value in os.environ.items() if key != kernels.VARIABLE} | environment
    return subprocess.run(
        [sys.executable, "-c", TRAIN], env=given, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_without_them_pytorch_does_it_and_says_so(tmp_path):
    assert _state(LILLIPUT_KERNELS="system") == "PyTorch (LILLIPUT_KERNELS=system)"
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho no room >&2; exit 1\n")
    broken.chmod(0o755)
    said = _state(CXX=str(broken), LILLIPUT_CACHE=str(tmp_path / "cache"))
    assert said.startswith("PyTorch (")
    assert "no room" in said


@needs_compiler
def test_a_damaged_build_is_built_anew(tmp_path):
    assert _state(LILLIPUT_CACHE=str(tmp_path)) == "C++ (LILLIPUT_KERNELS=system turns it off)"
    (kept,) = (tmp_path / "native").glob("*.so")
    kept.write_bytes(b"damaged")
    assert _state(LILLIPUT_CACHE=str(tmp_path)).startswith("C++")


def test_an_unknown_choice_is_refused(monkeypatch):
    monkeypatch.setenv(kernels.VARIABLE, "sytem")
    with pytest.raises(ConfigError, match="did you mean 'system'"):
        kernels._library.__wrapped__()

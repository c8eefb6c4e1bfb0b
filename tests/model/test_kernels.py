"""The C++ kernels of a training step say what PyTorch's operators say, and give way to them elsewhere."""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from lilliput.base.errors import ConfigError
from lilliput.base.machine import compiler
from lilliput.model import kernels
from lilliput.model.kernels import attention, library, rows
from lilliput.model.sight import Sight
from lilliput.model.transformer import Model
from tests.model.families import FAMILIES, config, gradients, stirred, tokens
from tests.model.sights import KINDS, sights

BY = "attention, activations and softmax by "
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler here")


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_the_given_share_and_the_same_backward(dtype):
    x = torch.ones(50, 7, 33, dtype=dtype, requires_grad=True)
    torch.manual_seed(1)
    out = kernels.dropout(x, 0.2)
    (grad,) = torch.autograd.grad(out, x, torch.full_like(out, 2))
    assert set(out.flatten().tolist()) == {0.0, 1.25}
    assert torch.equal(grad, 2 * out)
    assert abs((out == 0).float().mean().item() - 0.2) < 4 * (0.2 * 0.8 / out.numel()) ** 0.5
    lines = (out == 0).float().flatten(0, 1)
    for along in (lines.mean(0), lines.mean(1)):  # neither a column nor a row is another's copy
        assert along.std() > 0.5 * (0.2 * 0.8 / (lines.numel() / len(along))) ** 0.5
    assert not torch.equal(out, kernels.dropout(x, 0.2))
    torch.manual_seed(1)
    assert torch.equal(out, kernels.dropout(x, 0.2))
    torch.library.opcheck(torch.ops.lilliput.dropout.default, (x, 0.2, torch.tensor(5)))


@needs_compiler
@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("attention", {"attention": "gated_delta", "position": "none"}),
        ("attention", {"qk_norm_over": "all"}),
        ("rms_norm", {"norm": "layer", "qk_norm": False}),
        ("rms_norm", {"norm": "batch", "qk_norm": False}),
        ("swiglu", {"mlp": "geglu"}),
        ("swiglu", {"mlp": "gelu"}),
    ],
)
def test_what_falls_back_has_no_kernel(part: str, changes: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    for module in (attention, rows):
        original = module.call
        monkeypatch.setattr(
            module, "call", lambda name, *given, call=original: called.append(name) or call(name, *given)
        )
    _loss_and_gradients(stirred("story").train(), "fp32")
    assert part in called  # a model of known parts uses them all
    called.clear()
    _loss_and_gradients(stirred("story", **changes).train(), "fp32")
    assert part not in called
    assert called


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [1, 16, 37])
def test_swiglu_and_its_gradient_are_the_plain_ones(dtype, width):
    generator = torch.Generator().manual_seed(0)
    x = (4 * torch.randn(3, 5, 2 * width, generator=generator)).to(dtype).requires_grad_()
    grad = torch.randn(3, 5, width, generator=generator).to(dtype)
    out = kernels.swiglu(x)
    (ours,) = torch.autograd.grad(out, x, grad)
    wide = x.detach().double().requires_grad_()
    gate, up = wide.chunk(2, -1)
    right = F.silu(gate) * up
    (plain,) = torch.autograd.grad(right, wide, grad.double())
    atol, rtol = (1e-5, 1e-5) if dtype == torch.float32 else (1e-3, 1 / 256)
    torch.testing.assert_close(out.double(), right, atol=atol, rtol=rtol)
    torch.testing.assert_close(ours.double(), plain, atol=atol, rtol=rtol)


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
    entropies = torch.empty(33)
    losses = kernels.softmax_gradient(logits, targets, weights, entropies)
    torch.testing.assert_close(entropies, torch.distributions.Categorical(logits=wide).entropy().float())
    torch.testing.assert_close(losses, plain.detach().float(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits.double(), grad, atol=1e-6, rtol=1e-6 if dtype == torch.float32 else 1e-2)


@needs_compiler
def test_the_heads_loss_does_not_hide_what_is_not_finite():
    logits = torch.zeros(3, 40)
    logits[0, 5], logits[1, 5] = float("nan"), float("inf")
    losses = kernels.softmax_gradient(logits, torch.zeros(3, dtype=torch.int64), torch.ones(3))
    assert losses.isnan().tolist() == [True, True, False]


@needs_compiler
@pytest.mark.parametrize("target", [-1, 40])
def test_a_target_outside_the_vocabulary_is_refused(target):
    with pytest.raises(IndexError, match="outside the vocabulary of 40"):
        kernels.softmax_gradient(torch.zeros(2, 40), torch.tensor([3, target]), torch.ones(2))


@needs_compiler
def test_bf16_is_added_to_fp32():
    to, product = torch.randn(9, 5), torch.randn(9, 5).bfloat16()
    expected = to + product
    kernels.add(to, product)
    assert torch.equal(to, expected)
    with pytest.raises(ValueError, match="contiguous"):
        kernels.add(to, torch.randn(5, 9).bfloat16().T)


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("width", [1, 16, 37])
def test_rms_norm_and_its_gradients_are_the_plain_ones(dtype, width):
    generator = torch.Generator().manual_seed(0)
    x = (3 * torch.randn(5, 41, width, generator=generator)).to(dtype).requires_grad_()
    weight = torch.randn(width, generator=generator, requires_grad=True)
    grad = torch.randn(5, 41, width, generator=generator).to(dtype)
    out = kernels.rms_norm(x, weight, 0.1)
    ours = torch.autograd.grad(out, (x, weight), grad)
    wide, wide_weight = x.detach().double().requires_grad_(), weight.detach().double().requires_grad_()
    right = F.rms_norm(wide, (width,), wide_weight, 0.1)
    plain = torch.autograd.grad(right, (wide, wide_weight), grad.double())
    atol, rtol = (1e-4, 1e-4) if dtype == torch.float32 else (0.01, 1 / 128)
    for one, other in zip((out, *ours), (right, *plain), strict=True):
        torch.testing.assert_close(one.double(), other, atol=atol, rtol=rtol)


def _loss_and_gradients(model: Model, precision: str, sight: Sight | None = None) -> list[torch.Tensor]:
    ids = tokens(2, 21)
    model.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        loss = model.loss(model(ids[:, :-1], sight), ids[:, 1:], torch.ones(2, 20))
    loss.backward()
    return [loss.detach(), *gradients(model)]


@needs_compiler
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_learns_the_same_with_and_without(family, precision, monkeypatch):
    model, calls = stirred(family).train(), []
    called = library.call
    for module in (attention, rows):
        monkeypatch.setattr(module, "call", lambda name, *rest: calls.append(name) or called(name, *rest))
    ours = _loss_and_gradients(model, precision)
    parts = config(family)
    attends = parts.norm != "rms_plus_one" and parts.qk_norm_over == "head"
    assert ("attention_backward" in calls) == (attends and "full" in parts.attentions)
    assert ("swiglu_backward" in calls) == (config(family).mlp in ("swiglu", "experts"))
    assert ("rms_norm_backward" in calls) == (config(family).norm == "rms")
    assert ("softmax_gradient" in calls) == (not parts.unembed_bias)
    for module in (kernels, library):
        monkeypatch.setattr(module, "available", lambda: False)
    calls.clear()
    plain = _loss_and_gradients(model, precision)
    assert not calls
    # The channels' means of a batch norm are over 40 positions, which makes rounding larger.
    within = 1e-4 if precision == "fp32" else 0.15 if parts.norm == "batch" else 0.05
    for one, other in zip(ours, plain, strict=True):
        assert (one - other).norm() <= within * other.norm() + 1e-6


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_learns_the_same_under_every_sight(kind, monkeypatch):
    model, calls, called = stirred("story").train(), [], library.call
    monkeypatch.setattr(attention, "call", lambda name, *rest: calls.append(name) or called(name, *rest))
    ours = _loss_and_gradients(model, "fp32", sights(20)[kind])
    assert calls.count("attention_backward") == 2
    monkeypatch.setattr(attention, "fits", lambda x: False)
    plain = _loss_and_gradients(model, "fp32", sights(20)[kind])
    assert len(calls) == 4
    for one, other in zip(ours, plain, strict=True):
        assert (one - other).norm() <= 1e-4 * other.norm() + 1e-6


@needs_compiler
def test_they_are_for_training_alone(monkeypatch):
    model, calls = stirred("story"), []
    called = library.call
    for module in (attention, rows):
        monkeypatch.setattr(module, "call", lambda name, *rest: calls.append(name) or called(name, *rest))
    with torch.no_grad():
        model.loss(model(tokens()), tokens(), torch.ones(2, 20))
    model.double()(tokens()).sum().backward()
    assert not calls
    model.float()(tokens()).sum().backward()
    assert calls


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


QUICK = "-O0"
"""Builds whose speed does not matter take a third of the time."""


def _state(**environment: str) -> str:
    given = {key: value for key, value in os.environ.items() if key != kernels.VARIABLE} | environment
    return subprocess.run(
        [sys.executable, "-c", TRAIN], env=given, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_without_them_pytorch_does_it_and_reports_it(tmp_path):
    assert _state(LILLIPUT_KERNELS="system") == f"{BY}PyTorch (LILLIPUT_KERNELS=system)"
    assert _state(LILLIPUT_PLAIN="1") == f"{BY}PyTorch (LILLIPUT_PLAIN=1)"
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\necho no room >&2; exit 1\n")
    broken.chmod(0o755)
    printed = _state(CXX=str(broken), LILLIPUT_CACHE=str(tmp_path / "cache"))
    assert printed.startswith(f"{BY}PyTorch (")
    assert "no room" in printed


@needs_compiler
def test_without_openmp_they_are_for_one_thread_alone(tmp_path):
    without = tmp_path / "g++"
    without.write_text(f"""#!/bin/sh
for word in "$@"; do [ "$word" = -fopenmp ] && {{ echo "unsupported option '-fopenmp'" >&2; exit 1; }}; done
exec {compiler()} "$@" {QUICK}
""")
    without.chmod(0o755)
    given = {"CXX": str(without), "LILLIPUT_CACHE": str(tmp_path / "cache")}
    assert _state(**given, OMP_NUM_THREADS="1") == f"{BY}C++ (LILLIPUT_KERNELS=system turns it off)"
    words = _state(**given, OMP_NUM_THREADS="2")
    assert words.startswith(f"{BY}PyTorch ({without} has no OpenMP")
    assert "slower than PyTorch on 2" in words


@needs_compiler
def test_a_damaged_build_is_built_anew(tmp_path):
    quick = tmp_path / "g++"
    quick.write_text(f'#!/bin/sh\nexec {compiler()} "$@" {QUICK}\n')
    quick.chmod(0o755)
    given = {"CXX": str(quick), "LILLIPUT_CACHE": str(tmp_path / "cache")}
    assert _state(**given) == f"{BY}C++ (LILLIPUT_KERNELS=system turns it off)"
    (kept,) = (tmp_path / "cache" / "native").glob("*.so")
    kept.write_bytes(b"damaged")
    assert _state(**given).startswith(f"{BY}C++")
    assert kept.read_bytes() != b"damaged"


def test_an_unknown_choice_is_refused(monkeypatch):
    monkeypatch.setenv(kernels.VARIABLE, "sytem")
    with pytest.raises(ConfigError, match="did you mean 'system'"):
        library.library.__wrapped__()

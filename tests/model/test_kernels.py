"""The C++ kernels of a training step say what PyTorch's operators say, and give way to them elsewhere."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.base.errors import ConfigError
from lilliput.base.machine import compiler
from lilliput.model import kernels
from lilliput.model.kernels import attention, library, rows
from lilliput.model.sight import Sight
from lilliput.model.transformer import Model
from tests.model.families import FAMILIES, config, gradients, stirred, tokens

BY = "attention, activations and softmax by "
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler here")


@dataclass
class Case:
    """Queries, keys and values as a model has them, what is done to them on the way, and a gradient of the result."""

    qkv: torch.Tensor
    heads: int
    shared: int
    grad: torch.Tensor
    norms: tuple[torch.Tensor, torch.Tensor] | None = None
    tables: tuple[torch.Tensor, torch.Tensor] | None = None
    first: torch.Tensor | None = None

    def ours(self, dropout: float = 0.0) -> list[torch.Tensor]:
        """The result, the gradient of qkv, and those of the norms."""
        out = kernels.causal_attention(
            self.qkv, self.heads, norms=self.norms, eps=1e-5, tables=self.tables, dropout=dropout, first=self.first
        )
        return [out.detach(), *torch.autograd.grad(out, (self.qkv, *(self.norms or ())), self.grad)]

    def plain(self, dtype: torch.dtype = torch.float64, factors: torch.Tensor | None = None) -> list[torch.Tensor]:
        """The same by PyTorch's operators, with the pattern multiplied by `factors`."""
        qkv = self.qkv.detach().to(dtype).requires_grad_()
        norms = [weight.detach().to(dtype).requires_grad_() for weight in self.norms or ()]
        q, k, v = qkv.split((self.heads, self.shared, self.shared), 2)
        if norms:
            q, k = (F.rms_norm(x, x.shape[-1:], weight, 1e-5) for x, weight in zip((q, k), norms, strict=True))
        if self.tables is not None:
            cos, sin = (table.to(dtype) for table in self.tables)
            half = cos.shape[-1]
            q, k = (
                torch.cat(
                    [
                        x[..., :half] * cos - x[..., half : 2 * half] * sin,
                        x[..., half : 2 * half] * cos + x[..., :half] * sin,
                        x[..., 2 * half :],
                    ],
                    -1,
                )
                for x in (q, k)
            )
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        if factors is None:
            mask = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).tril()[None, None]
            if self.first is not None:
                mask = mask & (torch.arange(q.shape[2]) >= self.first[:, None, :, None])
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        else:
            k, v = (x.repeat_interleave(self.heads // self.shared, 1) for x in (k, v))
            later = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1)
            scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(later, -torch.inf)
            out = (scores.softmax(-1) * factors) @ v
        out = out.transpose(1, 2)
        return [out.detach(), *torch.autograd.grad(out, (qkv, *norms), self.grad.to(dtype))]


def _case(
    rows: int, length: int, heads: int, shared: int, width: int, dtype=torch.float32, normed=False, half: int = 0
) -> Case:
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    norms = tables = None
    if normed:
        norms = (1 + 0.3 * draw(width)).requires_grad_(), (1 + 0.3 * draw(width)).requires_grad_()
    if half:
        angles = 3 * draw(length, 1, half)
        tables = angles.cos(), angles.sin()
    qkv = draw(rows, length, heads + 2 * shared, width).to(dtype).requires_grad_()
    return Case(qkv, heads, shared, draw(rows, length, heads, width).to(dtype), norms, tables)


@needs_compiler
@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 150),
    st.sampled_from([(1, 1), (4, 2), (3, 1)]),
    st.integers(1, 70),
    st.booleans(),
    st.sampled_from([0, 0.5, 1]),
)
def test_attention_and_its_gradients_are_the_plain_ones(rows, length, heads, width, normed, turned):
    case = _case(rows, length, heads[0], heads[1], width, normed=normed, half=int(width // 2 * turned))
    for one, other in zip(case.ours(), case.plain(), strict=True):
        torch.testing.assert_close(one, other.float(), atol=2e-5 * (1 + other.abs().max().item()), rtol=1e-4)


@needs_compiler
@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 150),
    st.sampled_from([(1, 1), (4, 2)]),
    st.integers(1, 70),
    st.booleans(),
    st.one_of(st.none(), st.integers(1, 150)),
    st.lists(st.integers(0, 149), max_size=6),
    st.booleans(),
)
def test_attention_begins_where_each_position_begins_to_see(length, heads, width, normed, window, cuts, one_for_all):
    """A window and documents that begin at `cuts`, in the second of two rows or in both."""
    case = _case(2, length, heads[0], heads[1], width, normed=normed, half=width // 2)
    numbers = torch.tensor([[0] * length, [sum(cut <= at for cut in cuts) for at in range(length)]])
    sight = Sight(window=window, segments=numbers[1:].expand(2, -1) if one_for_all else numbers)
    case.first = sight.at(slice(0, length), length, numbers.device).first
    for one, other in zip(case.ours(), case.plain(), strict=True):
        torch.testing.assert_close(one, other.float(), atol=2e-5 * (1 + other.abs().max().item()), rtol=1e-4)


@needs_compiler
def test_attention_from_position_0_on_is_the_same_to_the_bit_as_without_a_first():
    case = _case(2, 70, 4, 2, 32, normed=True, half=8)
    plain = case.ours()
    case.first = torch.zeros(1, 70, dtype=torch.int32)
    assert all(torch.equal(one, other) for one, other in zip(case.ours(), plain, strict=True))


@needs_compiler
def test_attention_refuses_a_first_that_is_later_than_its_position():
    case = _case(1, 5, 1, 1, 4)
    for wrong in ([0, 2, 0, 0, 0], [0, 0, -1, 0, 0], [0, 0, 0, 0]):
        case.first = torch.tensor([wrong], dtype=torch.int32)
        with pytest.raises(ValueError, match="first"):
            case.ours()


@needs_compiler
def test_attention_in_bf16_is_no_further_off_than_pytorchs():
    case = _case(2, 100, 4, 2, 48, torch.bfloat16, normed=True, half=24)
    for one, other, right in zip(case.ours(), case.plain(torch.bfloat16), case.plain(), strict=True):
        assert one.dtype == (torch.bfloat16 if one.dim() > 1 else torch.float32)
        assert (one - right).norm() <= 1.05 * (other - right).norm()


@needs_compiler
def test_attention_is_the_same_to_the_bit_on_any_number_of_threads():
    case = _case(3, 90, 4, 2, 32, normed=True, half=8)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(0)
            found.append(case.ours(dropout=0.2))
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert torch.equal(one, other)


@needs_compiler
def test_attention_is_a_sound_operator():
    case = _case(2, 20, 4, 2, 8, normed=True, half=2)
    operator = torch.ops.lilliput.causal_attention.default
    q_norm, k_norm = case.norms or (None, None)
    cos, sin = case.tables or (None, None)
    first = torch.arange(20, dtype=torch.int32).sub(4).clamp_min(0).repeat(2, 1)
    torch.library.opcheck(operator, (case.qkv, 4, q_norm, k_norm, 1e-5, cos, sin, 0.1, torch.tensor(7), first))
    torch.library.opcheck(operator, (case.qkv, 4, None, None, 0.0, None, None, 0.0, None, None))


@needs_compiler
def test_attention_does_not_hide_what_is_not_finite():
    case = _case(1, 40, 1, 1, 16)
    with torch.no_grad():
        case.qkv[0, 20, 1, 3] = float("nan")
    out, grad = case.ours()
    assert torch.isfinite(out[0, :20]).all()
    assert torch.isnan(out[0, 20:]).all()
    assert torch.isnan(grad[0, 20:, 0]).all()


@needs_compiler
def test_dropout_in_attention_is_one_pattern_forwards_and_backwards():
    case = _case(2, 60, 4, 2, 64, normed=True, half=16)
    with torch.no_grad():  # the values of position t point along axis t, so that the result is the pattern itself
        kept = case.qkv[:, :, -2:].clone()
        case.qkv[:, :, -2:] = torch.eye(60, 64)[None, :, None]
    pattern = case.ours()[0]
    torch.manual_seed(3)
    dropped = case.ours(dropout=0.25)[0]
    seen = torch.ones(60, 60).tril().bool().repeat(2, 4, 1, 1)
    factors = (dropped / pattern).transpose(1, 2)[..., :60].where(seen, 1)
    assert set(factors[seen].mul(3).round().tolist()) == {0.0, 4.0}
    share = (factors[seen] == 0).float().mean().item()
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / seen.sum().item()) ** 0.5
    with torch.no_grad():
        case.qkv[:, :, -2:] = kept
    torch.manual_seed(3)
    for one, other in zip(case.ours(dropout=0.25), case.plain(factors=factors.double()), strict=True):
        torch.testing.assert_close(one, other.float(), atol=1e-4, rtol=1e-3)
    assert not torch.equal(case.ours(dropout=0.25)[0], case.ours(dropout=0.25)[0])


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
    model, calls = stirred(family).train(), []
    called = library.call
    for module in (attention, rows):
        monkeypatch.setattr(module, "call", lambda name, *rest: calls.append(name) or called(name, *rest))
    ours = _loss_and_gradients(model, precision)
    assert ("attention_backward" in calls) == ("full" in config(family).attentions)
    assert ("swiglu_backward" in calls) == (config(family).mlp in ("swiglu", "experts"))
    assert ("rms_norm_backward" in calls) == (config(family).norm == "rms")
    assert "softmax_gradient" in calls
    for module in (kernels, library):
        monkeypatch.setattr(module, "available", lambda: False)
    calls.clear()
    plain = _loss_and_gradients(model, precision)
    assert not calls
    within = 1e-4 if precision == "fp32" else 0.05
    for one, other in zip(ours, plain, strict=True):
        assert (one - other).norm() <= within * other.norm() + 1e-6


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
exec {compiler()} "$@"
""")
    without.chmod(0o755)
    given = {"CXX": str(without), "LILLIPUT_CACHE": str(tmp_path / "cache")}
    assert _state(**given, OMP_NUM_THREADS="1") == f"{BY}C++ (LILLIPUT_KERNELS=system turns it off)"
    words = _state(**given, OMP_NUM_THREADS="2")
    assert words.startswith(f"{BY}PyTorch ({without} has no OpenMP")
    assert "slower than PyTorch on 2" in words


@needs_compiler
def test_a_damaged_build_is_built_anew(tmp_path):
    assert _state(LILLIPUT_CACHE=str(tmp_path)) == f"{BY}C++ (LILLIPUT_KERNELS=system turns it off)"
    (kept,) = (tmp_path / "native").glob("*.so")
    kept.write_bytes(b"damaged")
    assert _state(LILLIPUT_CACHE=str(tmp_path)).startswith(f"{BY}C++")


def test_an_unknown_choice_is_refused(monkeypatch):
    monkeypatch.setenv(kernels.VARIABLE, "sytem")
    with pytest.raises(ConfigError, match="did you mean 'system'"):
        library.library.__wrapped__()

"""The C++ attention kernel computes what PyTorch's attention computes under the mask of every kind of Sight."""

from dataclasses import dataclass
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.base.machine import compiler
from lilliput.model import kernels
from lilliput.model.sight import CAUSAL, Sight
from tests.model.sights import KINDS, documents, pairs, sights

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
    sight: Sight = CAUSAL
    scale: float | None = None
    bias: torch.Tensor | None = None

    @property
    def learned(self) -> tuple[torch.Tensor, ...]:
        """The weights of the norms, and the bias."""
        return (*(self.norms or ()), *(() if self.bias is None else (self.bias,)))

    def ours(self, dropout: float = 0.0, bounds: dict[str, torch.Tensor] | None = None) -> list[torch.Tensor]:
        """The result, the gradient of qkv, and those of the norms and the bias; with the sight's bounds, except those
        given."""
        length = self.qkv.shape[1]
        seen = self.sight.at(slice(0, length), length, self.qkv.device)
        first, last = ({"first": seen.first, "last": seen.last} | (bounds or {})).values()
        how = {"norms": self.norms, "eps": 1e-5, "tables": self.tables, "dropout": dropout}
        how |= {"scale": self.scale, "bias": self.bias}
        out = kernels.attend(self.qkv, self.heads, **how, first=first, last=last)
        return [out.detach(), *torch.autograd.grad(out, (self.qkv, *self.learned), self.grad)]

    def plain(self, dtype: torch.dtype = torch.float64, factors: torch.Tensor | None = None) -> list[torch.Tensor]:
        """The same by PyTorch's operators, with the pattern multiplied by `factors`."""
        qkv = self.qkv.detach().to(dtype).requires_grad_()
        learned = [weight.detach().to(dtype).requires_grad_() for weight in self.learned]
        norms, bias = learned[: 2 * (self.norms is not None)], learned[-1] if self.bias is not None else None
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
        mask = pairs(self.sight, len(qkv), qkv.shape[1])[:, None]
        if factors is None:
            shown = mask
            if bias is not None:
                length = qkv.shape[1]
                distances = torch.arange(length) - torch.arange(length)[:, None] + length - 1
                shown = bias[:, distances].masked_fill(~mask, -torch.inf)
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=shown, enable_gqa=True, scale=self.scale)
        else:
            k, v = (x.repeat_interleave(self.heads // self.shared, 1) for x in (k, v))
            scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~mask, -torch.inf)
            out = (scores.softmax(-1) * factors) @ v
        out = out.transpose(1, 2)
        return [out.detach(), *torch.autograd.grad(out, (qkv, *learned), self.grad.to(dtype))]


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


def _close(case: Case) -> None:
    """Compare the kernel with PyTorch's operators in float64."""
    for one, other in zip(case.ours(), case.plain(), strict=True):
        torch.testing.assert_close(one, other.float(), atol=2e-5 * (1 + other.abs().max().item()), rtol=1e-4)


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
    _close(case)


@needs_compiler
@pytest.mark.parametrize("length", [1, 7, 33, 100])
@pytest.mark.parametrize("kind", KINDS)
def test_attention_sees_what_the_sight_shows(kind, length):
    case = _case(2, length, 4, 2, 48, normed=True, half=12)
    case.sight = sights(length)[kind]
    _close(case)


@needs_compiler
@pytest.mark.parametrize("length", [1, 7, 33, 100])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1.0, 0.3, None])
def test_a_bias_by_distance_is_learned(kind, length, scale):
    case = _case(2, length, 4, 2, 24)
    case.sight, case.scale = sights(length)[kind], scale
    case.bias = torch.randn(4, 2 * length - 1, generator=torch.Generator().manual_seed(1)).requires_grad_()
    _close(case)


@needs_compiler
@pytest.mark.parametrize("shape", [(4, 18), (3, 19), (4, 20), (76,)])
def test_a_bias_of_another_shape_is_refused(shape):
    case = _case(1, 10, 4, 2, 8)
    case.bias = torch.zeros(shape)
    with pytest.raises(ValueError, match="the bias"):
        case.ours()


@needs_compiler
def test_a_scale_that_is_no_factor_is_refused():
    case = _case(1, 10, 4, 2, 8)
    for case.scale in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="has to be above 0"):
            case.ours()


@needs_compiler
@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 150),
    st.sampled_from([(1, 1), (4, 2)]),
    st.integers(1, 70),
    st.booleans(),
    st.booleans(),
    st.one_of(st.none(), st.integers(1, 150)),
    st.lists(st.integers(0, 149), max_size=6),
    st.one_of(st.none(), st.integers(0, 150)),
    st.booleans(),
)
def test_attention_sees_from_first_to_last(length, heads, width, normed, causal, window, cuts, real, one_for_all):
    """A window, documents that begin at `cuts` in the second of two rows or in both, and padding in the second row."""
    case = _case(2, length, heads[0], heads[1], width, normed=normed, half=width // 2)
    numbers = documents(length, cuts)
    segments = torch.stack([numbers if one_for_all else torch.zeros_like(numbers), numbers])
    lengths = None if real is None else torch.tensor([length, min(real, length)])
    case.sight = Sight(causal, window, segments if cuts else None, lengths)
    _close(case)


@needs_compiler
def test_bounds_of_a_causal_row_give_the_same_to_the_bit_as_none():
    case = _case(2, 70, 4, 2, 32, normed=True, half=8)
    first, last = torch.zeros(1, 70, dtype=torch.int32), torch.arange(70, dtype=torch.int32)[None]
    for bounds in ({"first": first}, {"last": last}, {"first": first, "last": last}):
        assert all(torch.equal(one, other) for one, other in zip(case.ours(bounds=bounds), case.ours(), strict=True))


@needs_compiler
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("first", [0, 2, 0, 0, 0]),
        ("first", [0, 0, -1, 0, 0]),
        ("first", [0, 0, 0, 0]),
        ("last", [4, 0, 4, 4, 4]),
        ("last", [4, 4, 5, 4, 4]),
        ("last", [-1, 4, 4, 4, 4]),
        ("last", [4, 4, 4, 4]),
    ],
)
def test_attention_refuses_bounds_that_leave_the_row_or_the_position_out(name, wrong):
    case = _case(1, 5, 1, 1, 4)
    with pytest.raises(ValueError, match=name):
        case.ours(bounds={name: torch.tensor([wrong], dtype=torch.int32)})


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
def test_attention_in_bf16_is_no_further_off_than_pytorchs(kind):
    case = _case(2, 100, 4, 2, 48, torch.bfloat16, normed=True, half=24)
    case.sight = sights(100)[kind]
    for one, other, right in zip(case.ours(), case.plain(torch.bfloat16), case.plain(), strict=True):
        assert one.dtype == (torch.bfloat16 if one.dim() > 1 else torch.float32)
        # The true gradient of a query that sees itself alone is 0.
        assert (one - right).norm() <= 1.05 * (other - right).norm() + 1e-4


@needs_compiler
@pytest.mark.parametrize("causal", [True, False])
def test_attention_is_the_same_to_the_bit_on_any_number_of_threads(causal):
    case = _case(3, 90, 4, 2, 32, normed=True, half=8)
    case.sight = Sight(causal)
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
    operator = torch.ops.lilliput.attention.default
    q_norm, k_norm = case.norms or (None, None)
    cos, sin = case.tables or (None, None)
    first = torch.arange(20, dtype=torch.int32).sub(4).clamp_min(0).repeat(2, 1)
    last = torch.full_like(first, 19)
    bias = torch.randn(4, 39).requires_grad_()
    given = (case.qkv, 4, q_norm, k_norm, 1e-5, cos, sin, 0.1, torch.tensor(7), first, last, 0.4, bias)
    torch.library.opcheck(operator, given)
    torch.library.opcheck(operator, (case.qkv, 4, None, None, 0.0, None, None, 0.0, None, None, None, 0.4, None))


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
@pytest.mark.parametrize("kind", ["causal", "whole", "window in documents", "padding"])
def test_dropout_in_attention_is_one_pattern_forwards_and_backwards(kind):
    case = _case(2, 60, 4, 2, 64, normed=True, half=16)
    case.sight = sights(60)[kind]
    with torch.no_grad():  # the values of position t point along axis t, so that the result is the pattern itself
        kept = case.qkv[:, :, -2:].clone()
        case.qkv[:, :, -2:] = torch.eye(60, 64)[None, :, None]
    pattern = case.ours()[0]
    torch.manual_seed(3)
    dropped = case.ours(dropout=0.25)[0]
    seen = pairs(case.sight, 2, 60)[:, None].expand(-1, 4, -1, -1)
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

"""The chunkwise gated delta rule against its recurrence, token by token in float64."""

import pytest
import torch
import torch.nn.functional as F

from lilliput.model import delta_rule as rule
from lilliput.model.delta_rule import CHUNK, delta_rule, state_after

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def inputs(length: int, seed: int = 0, width: int = 8) -> Inputs:
    """Random q, k, v (2, 3, T, width), log alpha and beta (2, 3, T)."""
    source = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(2, 3, length, width, generator=source, dtype=torch.float64) for _ in range(3))
    decay = -3 * torch.rand(2, 3, length, generator=source, dtype=torch.float64) ** 4
    beta = torch.rand(2, 3, length, generator=source, dtype=torch.float64)
    return F.normalize(q, dim=-1), F.normalize(k, dim=-1), v, decay, beta


def recurrence(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, decay: torch.Tensor, beta: torch.Tensor, first=None, state=None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The formula of the paper as it stands, in its own orientation: o (B, H, T, d) and the last state."""
    rows, heads, length, width = q.shape
    now = q.new_zeros(rows, heads, width, width) if state is None else state.mT
    read = []
    for t in range(length):
        if first is not None:
            now = now * (first[:, t] < t).to(now.dtype)[:, None, None, None]
        key, alpha, rate = k[:, :, t, :, None], decay[:, :, t, None, None].exp(), beta[:, :, t, None, None]
        kept = alpha * (torch.eye(width, dtype=q.dtype) - rate * key @ key.mT)
        now = now @ kept + rate * v[:, :, t, :, None] @ key.mT
        read.append(now @ q[:, :, t, :, None])
    return torch.stack(read, 2)[..., 0], now.mT


@pytest.mark.parametrize("length", [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_chunks_equal_the_recurrence_in_values_and_gradients(length):
    given = [one.requires_grad_() for one in inputs(length)]
    single = [one.detach().float().requires_grad_() for one in given]
    weights = torch.randn(2, 3, length, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    exact, found = recurrence(*given)[0], delta_rule(*single)[0]
    torch.testing.assert_close(found.double(), exact, atol=2e-6, rtol=1e-5)
    (exact * weights).sum().backward()
    (found * weights.float()).sum().backward()
    for ours, theirs in zip(single, given, strict=True):
        assert theirs.grad is not None
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad.double(), theirs.grad, atol=2e-5, rtol=1e-4)


def test_keys_that_are_all_alike_lose_no_precision():
    """The triangle of a chunk is all ones then, and a sum of its powers would be of the size of binomials."""
    q, _, v, decay, _ = inputs(2 * CHUNK)
    same, ones = q[:, :, :1].expand_as(q).contiguous(), torch.ones_like(decay)
    exact = recurrence(q, same, v, 0 * decay, ones)[0]
    found = delta_rule(*(one.float() for one in (q, same, v, 0 * decay, ones)))[0]
    torch.testing.assert_close(found.double(), exact, atol=1e-5, rtol=1e-5)


def test_a_document_begins_with_an_empty_state():
    length = 2 * CHUNK + 9
    given = inputs(length, seed=2)
    starts = [0, 5, CHUNK, CHUNK + 1, 2 * CHUNK + 3]
    first = torch.zeros(2, length, dtype=torch.int32)
    for start in starts:
        first[0, start:] = start
    single = [one.float().requires_grad_() for one in given]
    found = delta_rule(*single, first=first)[0]
    torch.testing.assert_close(found.double(), recurrence(*given, first=first)[0], atol=2e-6, rtol=1e-5)
    for start, stop in zip(starts, [*starts[1:], length], strict=True):
        alone = delta_rule(*(one[:, :, start:stop].float() for one in given))[0]
        torch.testing.assert_close(found[0, :, start:stop], alone[0], atol=2e-6, rtol=1e-5)
    found[0, :, CHUNK + 1 : CHUNK + 3].sum().backward()
    for one in single:
        assert one.grad is not None
        assert torch.isfinite(one.grad).all()
        # Decays are summed from a chunk's beginning, and their gradients cancel there but for rounding.
        assert one.grad[0, :, : CHUNK + 1].abs().max() < 1e-6


@pytest.mark.parametrize("length", [1, CHUNK + 3])
def test_a_state_goes_on_where_it_was(length):
    before, given = inputs(11, seed=3), inputs(length, seed=4)
    state = recurrence(*before)[1]
    exact, last = recurrence(*given, state=state)
    q, k, v, decay, beta = (one.float() for one in given)
    found, written = delta_rule(q, k, v, decay, beta, state=state.float())
    torch.testing.assert_close(found.double(), exact, atol=2e-6, rtol=1e-5)
    found = state_after(state.float(), k, written, decay, torch.tensor([length, length]))
    torch.testing.assert_close(found.double(), last, atol=2e-6, rtol=1e-5)
    # Rows of which the last positions are padding.
    counts = torch.tensor([length // 2, 0])
    short = recurrence(*(one[:1, :, : length // 2] for one in given), state=state[:1])[1] if length > 1 else state[:1]
    found = state_after(state.float(), k, written, decay, counts).double()
    torch.testing.assert_close(found[:1], short, atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(found[1], state[1])


def test_one_position_is_computed_as_a_chunk_is(monkeypatch):
    (q, k, v, decay, beta), state = (one.float() for one in inputs(1)), torch.randn(2, 3, 8, 8)
    step = delta_rule(q, k, v, decay, beta, state=state)
    monkeypatch.setattr(rule, "_step", lambda *given: pytest.fail("the step is for a single position"))
    q, k, v = (F.pad(one, (0, 0, 0, 1)) for one in (q, k, v))
    chunk = delta_rule(q, k, v, F.pad(decay, (0, 1)), F.pad(beta, (0, 1)), state=state)
    for one, other in zip(step, chunk, strict=True):
        torch.testing.assert_close(one, other[:, :, :1], atol=1e-6, rtol=1e-5)

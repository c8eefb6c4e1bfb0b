"""The gated delta rule: a state that each token decays, corrects and reads; token by token, and chunks at once.

The state S (d_head, d_head) of a head maps keys to values. Token t decays it by alpha_t, reads what it holds for the
key k_t, and writes the share beta_t of the difference from v_t (arXiv:2412.06464, equation 10, transposed):

    S_t = alpha_t (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T          o_t = S_t^T q_t

which is S_t = alpha_t S_{t-1} + k_t u_t^T with u_t = beta_t (v_t - alpha_t S_{t-1}^T k_t): what the token writes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

CHUNK = 32
"""Positions of a chunk. Within a chunk all positions are computed at once, and the state goes from chunk to chunk."""


def delta_rule(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    decay: torch.Tensor,
    beta: torch.Tensor,
    first: torch.Tensor | None = None,
    state: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return o and u, (B, H, T, d) each: what each position reads, and what it writes to the state.

    q, k, v (B, H, T, d), with keys of length 1; decay (B, H, T): log alpha, at most 0; beta (B, H, T). `first` (1 or B,
    T): the first position of each position's document, where rows hold several: the state is empty there. `state` (B,
    H, d, d): the state before the first position; None: empty. Everything is computed in the precision of q.
    """
    if q.shape[2] == 1 and state is not None:
        return _step(q, k, v, decay, beta, state)
    rows, heads, length, _ = q.shape
    chunk = min(CHUNK, length)
    if spare := -length % chunk:  # a position with beta = 0 writes nothing, and log alpha = 0 keeps the state
        q, k, v = (F.pad(x, (0, 0, 0, spare)) for x in (q, k, v))
        decay, beta = F.pad(decay, (0, spare)), F.pad(beta, (0, spare))
        first = None if first is None else F.pad(first, (0, spare), value=-1)
    each = (-1, chunk)
    q, k, v = (x.unflatten(2, each).flatten(0, 1) for x in (q, k, v))
    total, beta = decay.unflatten(2, each).cumsum(-1), beta.unflatten(2, each).flatten(0, 1).unsqueeze(-1)
    between, before, after, whole = (x.flatten(0, 1) for x in _decays(total, first))
    read, written = _chunks(q, k, v, beta, (between, before, after, whole), state)
    shape = (rows, heads, length + spare, -1)
    return read.reshape(shape)[:, :, :length], written.reshape(shape)[:, :, :length]


def state_after(
    state: torch.Tensor, k: torch.Tensor, written: torch.Tensor, decay: torch.Tensor, counts: torch.Tensor
) -> torch.Tensor:
    """Return the state (B, H, d, d) after the first counts[b] positions of row b: from the state before them, keys and
    what they write (B, H, T, d), log alpha (B, H, T), and counts (B,). With g_i the sum of log alpha from position i to
    position n - 1, it is exp(g_0) S + the sum over i < n of exp(g_{i+1}) k_i u_i^T."""
    real = torch.arange(decay.shape[-1], device=k.device) < counts[:, None, None]
    decay = decay * real
    # Summed from the end: the last positions matter most, and their sums are the most exact.
    sums = decay.flip(-1).cumsum(-1).flip(-1)
    kept = (sums - decay).exp() * real
    return sums[..., :1, None].exp() * state + (kept[..., None] * k).mT @ written


def _step(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, decay: torch.Tensor, beta: torch.Tensor, state: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same for one position: the recurrence as it stands above."""
    held, asked = (decay.exp()[..., None] * (torch.cat([k, q], 2) @ state)).split(1, 2)
    written = beta[..., None] * (v - held)
    return asked + (q * k).sum(-1, keepdim=True) * written, written


def _decays(total: torch.Tensor, first: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    """Return the factors by which numbers decay, from total (B, H, N, C), the sums of log alpha within each chunk:
    from position i of a chunk to its position t (B, H, N, C, C), from the chunk's beginning to t (B, H, N, C), from i
    to the chunk's end (B, H, N, C), and over the whole chunk (B, H, N). Nothing passes the border of a document."""
    size = total.shape[-1]
    seen = torch.ones(size, size, dtype=torch.bool, device=total.device).tril()
    if first is None:
        # exp(-inf) is 0; a product with 0 would keep the infinities of exp(positive) in the gradient.
        between = (total[..., :, None] - total[..., None, :]).masked_fill(~seen, -torch.inf).exp()
        return between, total.exp(), (total[..., -1:] - total).exp(), total[..., -1].exp()
    document = first.unflatten(1, (-1, size))[:, None]
    last = document[..., -1]
    entered = F.pad(last[..., :-1], (1, 0), value=0)  # the document at the end of the chunk before
    seen = seen & (document[..., :, None] == document[..., None, :])
    between = (total[..., :, None] - total[..., None, :]).masked_fill(~seen, -torch.inf).exp()
    before = total.exp() * (document == entered[..., None])
    after = (total[..., -1:] - total).exp() * (document == last[..., None])
    return between, before, after, total[..., -1].exp() * (last == entered)


def _chunks(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    beta: torch.Tensor,
    decays: tuple[torch.Tensor, ...],
    state: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return o and u of N chunks of C positions, from q, k, v (B x H, N, C, d) and beta (B x H, N, C, 1).

    What position t of a chunk writes depends on what earlier positions i of the chunk wrote: with the state S before
    the chunk, g_t = alpha_1 ... alpha_t and L_ti = beta_t g_t / g_i k_t k_i for i < t,

        u_t = beta_t (v_t - g_t S^T k_t) - sum over i < t of L_ti u_i,      so (I + L) u = beta v - beta g k S.

    Both right sides are solved for all chunks at once (the WY form of the paper's section 3.3), and u = U - W S.
    """
    between, before, after, whole = decays
    size, width = q.shape[-2:]
    pattern, lower = ((torch.cat([q, beta * k], 2) @ k.mT).unflatten(2, (2, size)) * between[:, :, None]).unbind(2)
    before = before[..., None]
    right = torch.cat([beta * v, (beta * before) * k], -1)
    # A unit triangle: the diagonal and what is above it are not read.
    values, keys = torch.linalg.solve_triangular(lower, right, upper=False, unitriangular=True).split(width, -1)
    kept, whole = (after[..., None] * k).mT, whole[..., None, None]
    now = q.new_zeros(len(q), width, width) if state is None else state.flatten(0, 1)
    states, written = [], []
    # Slices by unbind: the gradient of q[:, n] would be as large as q for every n.
    for base, key, keep, fade in zip(*(x.unbind(1) for x in (values, keys, kept, whole)), strict=True):
        states.append(now)
        written.append(torch.baddbmm(base, key, now, alpha=-1))
        now = torch.baddbmm(fade * now, keep, written[-1])
    found = torch.stack(written, 1)
    return (before * q) @ torch.stack(states, 1) + pattern @ found, found

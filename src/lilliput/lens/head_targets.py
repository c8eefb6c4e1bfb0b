"""The positions that heads of known kinds look at, and the share of attention that goes to them."""

from __future__ import annotations

import torch


def previous_token(tokens: torch.Tensor) -> torch.Tensor:
    """tokens (N, T) -> (N, T, T) bool: query i looks at position i - 1."""
    steps = torch.arange(tokens.shape[1], device=tokens.device)
    return (steps[:, None] - 1 == steps).expand(len(tokens), -1, -1)


def first_token(tokens: torch.Tensor) -> torch.Tensor:
    """tokens (N, T) -> (N, T, T) bool: every query but the first looks at position 0."""
    steps = torch.arange(tokens.shape[1], device=tokens.device)
    return ((steps[:, None] > 0) & (steps == 0)).expand(len(tokens), -1, -1)


def duplicate_token(tokens: torch.Tensor) -> torch.Tensor:
    """tokens (N, T) -> (N, T, T) bool: a query looks at earlier positions with its own token."""
    return (tokens[:, :, None] == tokens[:, None, :]).tril(-1)


def induction(tokens: torch.Tensor) -> torch.Tensor:
    """tokens (N, T) -> (N, T, T) bool: a query looks at the position after an earlier copy of its token. For the tokens
    A B C A, the query at the second A looks at B (arXiv:2209.11895)."""
    after = duplicate_token(tokens).roll(1, dims=2)
    after[:, :, 0] = False  # what the roll brought from the last column
    return after.tril()


def attention_to(pattern: torch.Tensor, target: torch.Tensor, queries: torch.Tensor | None = None) -> torch.Tensor:
    """Return the share of attention that goes to the positions of `target`, (N, H), 0 to 1.

    pattern (N, H, T, T), target (N, T, T) bool. `queries` (N, T) bool are the queries that count; None: all of them.
    With all queries it is the measure "mul" of TransformerLens' head detector, in which queries without a target count
    as attention elsewhere.
    """
    wanted = pattern * target[:, None].to(pattern.dtype)
    if queries is not None:
        chosen = queries[:, None, :, None].to(pattern.dtype)
        wanted, pattern = wanted * chosen, pattern * chosen
    return wanted.sum((2, 3)) / pattern.sum((2, 3)).clamp_min(1e-9)


def spread(pattern: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """Return how widely a head looks, (N, H): the entropy of its attention as a share of the largest possible entropy.
    0: all attention on one position; 1: the same on all.

    pattern (N, H, T, T), queries (N, T) bool; the first position, which sees only itself, never counts.
    """
    steps = torch.arange(1, pattern.shape[2] + 1, device=pattern.device)
    largest = steps.clamp_min(2).log()
    share = torch.special.entr(pattern).sum(-1) / largest
    counted = (queries & (steps > 1))[:, None].to(share.dtype)
    return (share * counted).sum(2) / counted.sum(2).clamp_min(1e-9)


def real_positions(tokens: torch.Tensor, pad: int) -> torch.Tensor:
    """tokens (N, T) -> (N, T) bool: whether a position comes before the padding at the end of its row."""
    return (tokens != pad).flip(1).cummax(1).values.flip(1)

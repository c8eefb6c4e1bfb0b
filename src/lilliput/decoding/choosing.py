"""Choosing the next token of each running job: the allowed tokens, and the draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from lilliput.base.errors import ConfigError
from lilliput.decoding.sampling import sample

if TYPE_CHECKING:
    from lilliput.decoding.engine import Job


def allowed(jobs: Sequence[Job], logits: torch.Tensor) -> torch.Tensor:
    """Logits (B, V) with -inf for every token that may not come next. A job without any allowed token gets an `error`,
    and its row is left as it is."""
    masked = logits
    for row, job in enumerate(jobs):
        forbidden = () if job.generated else job.request.forbidden_first
        if job._matcher is None and not forbidden:
            continue
        mask = torch.ones(logits.shape[-1], dtype=torch.bool)
        if job._matcher is not None:
            try:
                known = job._matcher.allowed()
            except ConfigError as error:
                job.error = error
                continue
            mask[: len(known)] = known
            mask[len(known) :] = False
        mask[list(forbidden)] = False
        if not mask.any():
            job.error = ConfigError("the constraint allows only first tokens that are forbidden as first tokens")
            continue
        masked = logits.clone() if masked is logits else masked
        masked[row].masked_fill_(~mask.to(logits.device), -torch.inf)
    return masked


def choose(jobs: Sequence[Job], logits: torch.Tensor) -> list[int]:
    """Return an id for each row of logits (B, V). Rows of equal sampling are drawn together."""
    alike: dict[tuple[float, ...], list[int]] = {}
    for row, job in enumerate(jobs):
        alike.setdefault(job._way, []).append(row)
    chosen = [0] * len(jobs)
    for rows in alike.values():
        seen = [mask for row in rows if (mask := jobs[row]._seen) is not None]
        ids = sample(
            logits if len(rows) == len(jobs) else logits[rows],
            jobs[rows[0]].request.sampling,
            [jobs[row]._generator for row in rows],
            torch.stack(seen) if seen else None,
        )
        for row, number in zip(rows, ids.tolist(), strict=True):
            chosen[row] = number
    return chosen

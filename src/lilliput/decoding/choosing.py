"""Choosing the next token of each running job: the allowed tokens, and the draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from lilliput.base.errors import ConfigError
from lilliput.decoding.sampling import sample

if TYPE_CHECKING:
    from lilliput.decoding.engine import Job


def allowed(jobs: Sequence[Job], logits: torch.Tensor) -> torch.Tensor:
    """Logits (B, V) with -inf for every token that may not come next. A job without any allowed token gets an `error`,
    and its row is left as it is."""
    rows = [row for row, job in enumerate(jobs) if job._matcher or (job.request.forbidden_first and not job.generated)]
    if not rows:
        return logits
    vocabulary = logits.shape[-1]
    # One mask is unpacked for all rows, because an operation for each row would take longer than the model.
    bits = np.full((len(jobs), -(-vocabulary // 8)), 255, np.uint8)
    for row in rows:
        bits[row] = _bits(jobs[row], bits[row])
    mask = torch.from_numpy(np.unpackbits(bits, axis=1, count=vocabulary, bitorder="little").view(np.bool_))
    return logits.masked_fill(~mask.to(logits.device), -torch.inf)


def _bits(job: Job, all_of: np.ndarray) -> np.ndarray:
    """The ids that may come next in a text, as bits (see Matcher.allowed); all of them where there are none, with the
    reason as the job's `error`."""
    found = all_of.copy()
    try:
        if job._matcher is not None:
            known = job._matcher.allowed()[: len(found)]
            found[: len(known)] = known
            found[len(known) :] = 0
    except ConfigError as error:
        job.error = error
        return all_of
    for number in () if job.generated else job.request.forbidden_first:
        found[number // 8] &= ~np.uint8(1 << number % 8)
    if not found.any():
        job.error = ConfigError("the constraint allows only first tokens that are forbidden as first tokens")
        return all_of
    return found


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

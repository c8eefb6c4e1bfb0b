"""Fitting: which documents of a split are used whole, cut or left out in rows of a given length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lilliput.base.errors import DataError
from lilliput.data.split import Split

TooLong = Literal["truncate", "drop", "refuse"]


@dataclass(frozen=True, slots=True)
class Reserved:
    """Tokens of the context that a prompt leaves free for its completion, and the setting that gives their number."""

    tokens: int
    setting: str


@dataclass(frozen=True)
class Fit:
    """The sequences of a split that rows hold.

    numbers    (kept,) int64 numbers of the sequences that are kept, in order; the sequences of a document stay together
    lengths    (kept,) int64 tokens of each that are used, from its beginning
    longest    tokens of the split's longest sequence
    longer     sequences that are longer than a row
    truncated  documents of which a sequence is cut
    dropped    documents that are left out
    note       a sentence on the long documents; None where every document fits
    """

    numbers: np.ndarray
    lengths: np.ndarray
    longest: int
    longer: int
    truncated: int = 0
    dropped: int = 0
    note: str | None = None


def fit(
    split: Split, capacity: int, too_long: str = "truncate", sequences: int = 1, reserved: Reserved | None = None
) -> Fit:
    """Fit the documents of `split`, of `sequences` sequences each, into rows of `capacity` tokens.

    truncate  a longer sequence is cut at the row's end, as TRL's `max_length` does. A document is left out where the
              cut leaves a sequence nothing to learn of what it had. A prompt is never cut, because the rest of a prompt
              asks something else: a longer prompt is left out
    drop      a document with a longer sequence is left out
    refuse    a longer sequence is an error

    With `reserved`, all documents are prompts that are completed later. A prompt may then have at most the context
    (`capacity` - 1) less the reserved tokens.

    Raises DataError for `refuse`, and where no document is left."""
    if reserved is not None:
        capacity = max(0, capacity - 1 - reserved.tokens)
    sizes = (split.ends - split.starts).astype(np.int64)
    everything = np.arange(len(sizes))
    longest, over = int(sizes.max(initial=0)), sizes > capacity
    count = int(over.sum())
    if not count:
        return Fit(everything, sizes, longest, 0)
    limit, advice = _limit(capacity, longest, reserved)
    if too_long == "refuse":
        raise DataError(
            f"{count:,} of {len(sizes):,} sequences of the {split.name} split are longer than {limit}; the longest has "
            f"{longest:,}",
            f"give {advice}; or "
            + ("leave them out: data.too_long=drop" if reserved else "cut them: data.too_long=truncate"),
        )
    whole = too_long == "drop" or reserved is not None or set(split.kinds) == {"prompt"}
    lost = over if whole else over & ~_learnable(split, np.flatnonzero(over), capacity)
    dropped = np.asarray(lost.reshape(-1, sequences).any(1))
    truncated = np.asarray(over.reshape(-1, sequences).any(1)) & ~dropped
    kept = np.repeat(~dropped, sequences)
    if not kept.any():
        raise DataError(
            f"all {len(dropped):,} documents of the {split.name} split are longer than {limit}"
            + ("" if whole else ", and nothing to learn is left of them"),
            f"give {advice}",
        )
    note = _note(split.name, limit, advice, longest, len(dropped), int(truncated.sum()), int(dropped.sum()), whole)
    numbers = everything[kept]
    return Fit(
        numbers, np.minimum(sizes, capacity)[kept], longest, count, int(truncated.sum()), int(dropped.sum()), note
    )


def _learnable(split: Split, numbers: np.ndarray, capacity: int) -> np.ndarray:
    """Return which sequences may be cut, (documents,) bool, for those of `numbers`; False for all others.

    A sequence may be cut where a learned token is left of it, or where it had no learned token."""
    found = np.zeros(split.documents, dtype=bool)
    for number in numbers.tolist():
        learn = split.document_learn(number)
        found[number] = learn is None or bool(learn[:capacity].any()) or not learn.any()
    return found


def _limit(capacity: int, longest: int, reserved: Reserved | None) -> tuple[str, str]:
    """Return the greatest length in words, and the settings that a person may change for the longest sequence."""
    if reserved is None:
        return f"a row of {capacity:,} tokens", f"a longer context: model.context_length={longest - 1}"
    return (
        f"{capacity:,} tokens, which leave {reserved.tokens:,} of the context to a completion ({reserved.setting})",
        f"a longer context: model.context_length={longest + reserved.tokens}; or a smaller {reserved.setting}",
    )


def _note(
    name: str, limit: str, advice: str, longest: int, documents: int, truncated: int, dropped: int, whole: bool
) -> str:
    what = [f"Cut at its end: {truncated:,}"] if truncated else []
    why = "" if whole else ", because a cut would leave nothing to learn"
    what += [f"{'left' if what else 'Left'} out{why}: {dropped:,}"] if dropped else []
    return (
        f"{truncated + dropped:,} of {documents:,} examples of the {name} split are longer than {limit}; the longest "
        f"has {longest:,} tokens. {'; '.join(what)}. To keep all of them, give {advice}"
    )

"""Batches of the causal objective: shifted, weighted, and never across a document; and the contract around them."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lilliput.base.errors import ConfigError
from lilliput.base.seeds import generator
from lilliput.data.rows import Rows
from lilliput.objectives.batch import Batch
from lilliput.objectives.causal import Causal
from lilliput.objectives.objective import OBJECTIVES
from lilliput.objectives.reversed import Reversed
from lilliput.objectives.workshop import Workshop

CAUSAL = Causal().build(Workshop(cast(Any, None), cast(Any, None)))


def rows(segments: list[list[int]] | None = None) -> Rows:
    tokens = np.arange(10).reshape(2, 5)
    learn = np.ones((2, 5), dtype=np.float32)
    learn[0, 0] = learn[1, 4] = 0
    return Rows(tokens, learn, None if segments is None else np.array(segments), [(0, 0), (1, 2)])


def test_targets_are_the_next_tokens() -> None:
    batch = CAUSAL.batch(rows(), generator(0))
    assert batch.tokens.tolist() == [[0, 1, 2, 3], [5, 6, 7, 8]]
    assert batch.targets.tolist() == [[1, 2, 3, 4], [6, 7, 8, 9]]
    assert batch.weights.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch.get("segments") is None
    assert CAUSAL.weight(batch) == 7


def test_no_target_crosses_a_document() -> None:
    batch = CAUSAL.batch(rows([[0, 0, 1, 1, 2], [0, 0, 0, 0, -1]]), generator(0))
    assert batch.weights.tolist() == [[1, 0, 1, 0], [1, 1, 1, 0]]
    assert batch.segments.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]


@given(st.integers(1, 5), st.integers(1, 7))
def test_micro_batches_hold_every_row_once(count: int, size: int) -> None:
    shape = (count, 3)
    batch = Batch(
        torch.arange(count * 3).view(shape), torch.zeros(shape), torch.ones(shape), segments=torch.zeros(shape)
    )
    parts = batch.split(size)
    assert torch.equal(torch.cat([part.tokens for part in parts]), batch.tokens)
    assert max(len(part.tokens) for part in parts) <= size
    assert all(list(part) == list(batch) for part in parts)


def test_objectives_are_found_by_name() -> None:
    assert OBJECTIVES["causal"] is Causal
    assert OBJECTIVES["reversed"] is Reversed
    with pytest.raises(ConfigError, match=r"did you mean 'reversed'"):
        OBJECTIVES["revesed"]

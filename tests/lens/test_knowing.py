"""Knowing: cut contexts, positions and n-gram models, on a model that knows the last token alone."""

from typing import Any

import numpy as np
import pytest
import torch

from lilliput.base.errors import DataError
from lilliput.evaluation.bits_per_byte import FixedSet
from lilliput.evaluation.ngram import baselines, packed
from lilliput.lens.knowing import (
    by_position,
    cut_losses,
    draw_targets,
    ngram_losses,
    per_byte,
    position_bins,
    shuffled_losses,
    whole_losses,
)
from lilliput.lens.row_losses import HeldOut, losses_of
from tests.lens.hand_made import WORDS, counted, successor
from tests.model.families import stirred, tokens


def test_a_model_of_the_last_token_needs_no_more() -> None:
    model, held = successor(), counted()
    targets = draw_targets(held, 40, 4)
    whole = whole_losses(losses_of(model, held), targets)
    for length in (1, 2, 4):
        assert np.allclose(cut_losses(model, held, targets, length), whole, atol=1e-5)
    nothing = cut_losses(model, held, targets, 0)
    shuffled = shuffled_losses(model, held, targets)
    for worse in (nothing, shuffled):
        assert per_byte(held, targets, worse - whole)["low"] > 0
    with pytest.raises(DataError, match="contexts of 4 tokens"):
        cut_losses(model, held, targets, 5)
    with pytest.raises(DataError, match="longer than 40"):
        draw_targets(held, 5, 40)


@pytest.mark.parametrize("family", ["story", "gpt2", "own"])
def test_an_uncut_context_is_the_whole(family: str) -> None:
    model, ids = stirred(family), tokens(4, 13)
    scored = torch.ones(4, 12, dtype=torch.bool)
    held = HeldOut(ids[:, :-1], ids[:, 1:], scored, scored.long())
    targets = draw_targets(held, 100, 6)
    last = targets.places == 6
    whole = whole_losses(losses_of(model, held), targets)
    assert np.allclose(cut_losses(model, held, targets, 6)[last], whole[last], atol=1e-4)
    assert not np.allclose(cut_losses(model, held, targets, 2), whole, atol=1e-4)


def test_ngrams_are_those_of_the_baselines() -> None:
    held = counted()
    held.scored[0, 7:] = False
    held.sizes[0, 7:] = 0
    documents = [tokens(1, 200, WORDS, seed=1)[0].numpy(), (np.arange(200) % WORDS)]

    class Train:
        documents, tokens = 2, 400
        document = staticmethod(lambda place: documents[place])
        document_learn = staticmethod(lambda place: None)

    rows = [np.append(a[:1], b) for a, b in zip(held.tokens.numpy(), held.targets.numpy(), strict=True)]
    rows[0] = rows[0][:8]
    train: Any = Train()
    wanted = baselines(train, FixedSet(rows, int(held.sizes.sum())), WORDS)
    grams = packed(documents, 3, WORDS)
    found = [float(held.bits(ngram_losses(grams, order, WORDS, held)).mean()) for order in (1, 2, 3)]
    assert found == pytest.approx([wanted[name] for name in ("unigram", "bigram", "trigram")])
    assert found[0] > found[1]


def test_bins_of_positions_cover_the_text() -> None:
    bins = position_bins(12)
    assert bins == [(0, 1), (1, 2), (2, 4), (4, 8), (8, 12)]
    held = counted()
    losses = torch.arange(12.0).expand(6, 12)
    means = [one["mean"] for one in by_position(held, losses, bins) if one]
    assert np.array(means) * np.log(2) == pytest.approx([0, 1, 2.5, 5.5, 9.5])
    held.sizes[:, 8:] = 0
    held.scored[:, 8:] = False
    assert by_position(held, losses, bins)[-1] is None

"""Matching of features: a permuted coder is found again feature by feature, and shuffled controls are not."""

from dataclasses import replace

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.lens.feature_matching import match_activations, match_directions
from lilliput.lens.sparse import SparseCoder
from lilliput.model.transformer import Model
from tests.lens.small import exact_coder, generator, known_directions, story_rows

HOOK = "blocks.0.hook_resid_post"
ORDER = torch.randperm(40, generator=torch.Generator().manual_seed(1))


def coder(width: int = 40, d: int = 32, k: int = 4, seed: int = 0) -> SparseCoder:
    rows = known_directions(width, d, seed)
    return SparseCoder(HOOK, HOOK, rows, torch.zeros(width), rows, torch.zeros(d), k)


def permuted(made: SparseCoder) -> SparseCoder:
    return replace(
        made, encoder=made.encoder[ORDER], encoder_bias=made.encoder_bias[ORDER], decoder=made.decoder[ORDER]
    )


def test_directions_of_a_permuted_coder_are_found_again() -> None:
    found = match_directions(coder(), permuted(coder()))
    assert torch.equal(ORDER[found.partners], torch.arange(40))
    torch.testing.assert_close(found.similarity, torch.ones(40))
    assert found.mutual.all()
    figures = found.figures()
    assert figures["found_again"] == figures["mutual"] == 1
    assert figures["similarity_shuffled"]["high"] < 0.7
    assert figures["found_again_shuffled"] < 0.1
    unrelated = match_directions(coder(), coder(seed=9)).figures()
    assert unrelated["similarity"]["mean"] == pytest.approx(figures["similarity_shuffled"]["mean"], abs=0.1)


def test_activations_match_across_widths_and_models() -> None:
    model, rows = generator().model, story_rows(16)
    found = match_activations(coder(), model, permuted(coder()), model, rows)
    assert torch.equal(ORDER[found.partners], found.features)
    torch.testing.assert_close(found.similarity, torch.ones(len(found.features)))
    assert found.figures()["similarity_shuffled"]["high"] < 0.5
    # Another model, of another width and size: better than shuffled, worse than itself.
    other: Model = generator(seed=5, d_model=24).model
    across = match_activations(coder(), model, coder(60, 24, seed=3), other, rows).figures()
    assert across["similarity_shuffled"]["high"] < across["similarity"]["low"]
    assert across["similarity"]["high"] < 1


def test_what_cannot_be_matched_is_refused() -> None:
    with pytest.raises(ModelError, match="match_activations"):
        match_directions(coder(), exact_coder(16, HOOK))
    silent = replace(coder(), encoder_bias=torch.full((40,), -1e6))
    model = generator().model
    with pytest.raises(ModelError, match="no feature fires"):
        match_activations(silent, model, coder(), model, story_rows(4))

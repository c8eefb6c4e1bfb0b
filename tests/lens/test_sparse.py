"""Sparse coders: shapes, what they encode, their config, and the activations that they are trained on."""

import pytest
import torch
from pydantic import ValidationError

from lilliput.base.errors import ModelError
from lilliput.lens.capture import capture
from lilliput.lens.sparse import SparseConfig, collect, collect_pair, dense, middle
from tests.lens.small import exact_coder
from tests.model.families import FAMILIES, stirred, tokens


def test_an_exact_coder_reconstructs_everything_whatever_the_shape() -> None:
    coder = exact_coder(6, "h")
    x = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(0))
    found = coder.encode(x)
    assert found.places.shape == found.values.shape == (2, 3, 6)
    torch.testing.assert_close(coder.decode(found), x)
    full = dense(found, 12)
    torch.testing.assert_close(full[..., :6] - full[..., 6:], x)
    assert (full >= 0).all()


def test_only_the_k_largest_features_fire() -> None:
    coder = exact_coder(6, "h")
    few = type(coder)(**{**{name: getattr(coder, name) for name in coder.__dataclass_fields__}, "k": 2})
    torch.testing.assert_close(
        few.reconstruct(torch.tensor([1.0, -5, 2, 0, 4, 0])), torch.tensor([0.0, -5, 0, 0, 4, 0])
    )


def test_what_does_not_fit_is_refused() -> None:
    coder = exact_coder(6, "h")
    with pytest.raises(ModelError, match="width 6, and these have the width 5"):
        coder.encode(torch.zeros(2, 5))
    with pytest.raises(ModelError, match="the features are 0 to 11"):
        coder.direction(12)
    with pytest.raises(ValidationError, match="k=9 features cannot be chosen from width=8"):
        SparseConfig(width=8, k=9)


@pytest.mark.parametrize("family", FAMILIES)
def test_activations_are_collected_without_the_first_position(family: str) -> None:
    model, rows = stirred(family), tokens(3, 7)
    hook = middle(model)
    found = collect(model, rows, hook, batch_rows=2)
    with torch.no_grad(), capture(model, hook) as seen:
        model(rows)
    torch.testing.assert_close(found, seen[hook][:, 1:].flatten(0, 1))
    reads, writes = collect_pair(model, rows, "blocks.1.hook_mlp_out", "blocks.1.attn.hook_z")
    assert len(reads) == len(writes) == 18
    with pytest.raises(ModelError, match="give one of them"):
        collect(model, rows, "blocks.*.hook_resid_post")

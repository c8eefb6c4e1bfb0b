"""Outside check: at equal width, k, steps and batches, sae-lens leaves as much variance unexplained."""

from pathlib import Path

import numpy as np
import pytest

import lens_sparse
from lilliput.lens.sparse import collect
from tests.lens.outside import needs_sae_lens
from tests.lens.small import generator, known_directions, story_rows, sums_of

KS = (4, 8, 16)
JOB = {"width": 256, "batch": 512, "steps": 300, "lr": 2e-3, "aux_weight": 1 / 32, "dead_steps": 50, "dead": 0.0}


def activations(kind: str) -> np.ndarray:
    """(6144, 32) activations with a mean square of 1."""
    if kind == "known directions":
        found = sums_of(known_directions(128, 32), 6144, 6, base=1.0)
    else:
        found = collect(generator().model, story_rows(100), "blocks.0.hook_resid_post")[:6144]
    return (found / found.square().mean().sqrt()).numpy()


@needs_sae_lens
@pytest.mark.parametrize("kind", ["known directions", "a model's residual stream"])
def test_the_unexplained_variance_is_that_of_sae_lens_at_each_k(kind: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", activations(kind))
    gaps = {}
    for k in KS:
        job = {**JOB, "activations": str(tmp_path / "a.npy"), "k": k, "threads": 1}
        found = lens_sparse.measure(job, lens_sparse.arms(("dense",)), rounds=1, steps=300, warm_up=0)
        ours, theirs = (found["turns"][name][-1].loss for name in ("ours", "sae_lens_dense"))
        print(f"{kind}, k={k}: unexplained {ours:.4f}, sae-lens {theirs:.4f}")
        gaps[k] = ours - theirs
    assert all(abs(gap) <= 0.01 for gap in gaps.values()), gaps

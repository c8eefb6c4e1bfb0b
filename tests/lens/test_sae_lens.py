"""Outside check: at equal width, k, steps and batches, ours leaves at most 0.01 more variance unexplained than theirs.

Each has the better of two step sizes. One step size for both would compare how fast they learn: sae-lens begins with
short decoder rows, which a step changes more than our rows of length 1.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lilliput.lens.sparse import collect
from sparse_job import SparseJob, final_unexplained
from sparse_ours import Ours
from tests.lens.outside import ROOT, SAE_LENS, needs_sae_lens
from tests.lens.small import generator, known_directions, story_rows, sums_of

KS = (4, 8, 16)
STEP_SIZES = (6e-3, 2e-2)
JOB = {"width": 256, "batch": 512, "steps": 300, "aux_weight": 1 / 32, "dead_steps": 50, "dead": 0.0}
PEER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from sparse_job import SparseJob, final_unexplained
from sparse_sae_lens import SaeLens
print(json.dumps([final_unexplained(SaeLens, SparseJob(**job)) for job in json.loads(sys.argv[2])]))
"""


def activations(kind: str) -> np.ndarray:
    """(6144, 32) activations with a mean square of 1."""
    if kind == "known directions":
        found = sums_of(known_directions(128, 32), 6144, 6, base=1.0)
    else:
        found = collect(generator().model, story_rows(100), "blocks.0.hook_resid_post")[:6144]
    return (found / found.square().mean().sqrt()).numpy()


@needs_sae_lens
@pytest.mark.timeout(1800)
def test_the_unexplained_variance_is_that_of_sae_lens_at_each_k(tmp_path: Path) -> None:
    jobs: list[dict[str, Any]] = []
    for kind in ("known directions", "a residual stream"):
        path = tmp_path / f"{kind}.npy"
        np.save(path, activations(kind))
        common = {**JOB, "activations": str(path), "threads": 1}
        jobs += [{**common, "k": k, "lr": rate} for k in KS for rate in STEP_SIZES]
    words = [SAE_LENS, "-W", "ignore", "-c", PEER, str(ROOT / "benchmarks" / "workers"), json.dumps(jobs)]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    theirs: list[float] = json.loads(printed.splitlines()[-1])
    ours = [final_unexplained(Ours, SparseJob(**job)) for job in jobs]
    gaps = {}
    for start in range(0, len(jobs), len(STEP_SIZES)):
        best, peer = (min(each[start : start + len(STEP_SIZES)]) for each in (ours, theirs))
        name = f"{Path(jobs[start]['activations']).stem}, k={jobs[start]['k']}"
        print(f"{name}: unexplained {best:.4f}, sae-lens {peer:.4f}")
        gaps[name] = best - peer
    assert len(gaps) == 2 * len(KS)
    assert all(gap <= 0.01 for gap in gaps.values()), gaps

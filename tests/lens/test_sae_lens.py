"""Outside check: at equal width, k, steps and batches, sae-lens leaves as much variance unexplained."""

import json
import subprocess
from pathlib import Path

import numpy as np

from lilliput.lens.sparse import collect
from sparse_job import SparseJob, final_unexplained
from sparse_ours import Ours
from tests.lens.outside import ROOT, SAE_LENS, needs_sae_lens
from tests.lens.small import generator, known_directions, story_rows, sums_of

KS = (4, 8, 16)
JOB = {"width": 256, "batch": 512, "steps": 300, "lr": 2e-3, "aux_weight": 1 / 32, "dead_steps": 50, "dead": 0.0}
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
def test_the_unexplained_variance_is_that_of_sae_lens_at_each_k(tmp_path: Path) -> None:
    jobs = []
    for kind in ("known directions", "a residual stream"):
        path = tmp_path / f"{kind}.npy"
        np.save(path, activations(kind))
        jobs += [{**JOB, "activations": str(path), "k": k, "threads": 1} for k in KS]
    words = [SAE_LENS, "-W", "ignore", "-c", PEER, str(ROOT / "benchmarks" / "workers"), json.dumps(jobs)]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    gaps = {}
    for job, theirs in zip(jobs, json.loads(printed.splitlines()[-1]), strict=True):
        ours = final_unexplained(Ours, SparseJob(**job))
        name = f"{Path(job['activations']).stem}, k={job['k']}"
        print(f"{name}: unexplained {ours:.4f}, sae-lens {theirs:.4f}")
        gaps[name] = ours - theirs
    assert all(abs(gap) <= 0.01 for gap in gaps.values()), gaps

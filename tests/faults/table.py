"""The faults at large: all of them or a part, as a table whose columns after the first are to be 0."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.faults import harness
from tests.faults.harness import Outcome

COLUMNS = {"lost": "lost", "traceback": "tracebacks", "hang": "hangs", "memory": "memory"}
SHOWN = 20
PATIENCE = 15.0
"""Seconds between two lines of progress."""
SEED = "LILLIPUT_FAULTS_SEED"
LOADED = (
    *("lilliput.cli.app", "lilliput.assembly.training", "lilliput.data.tokenizer_training"),
    *("lilliput.formats.exchange", "lilliput.runs.evaluation_file", "tokenizers"),
    "torch._dynamo",  # the first optimiser and the first stock model load it: 800 modules, most of a second
)
"""Modules that most cases load. A case costs milliseconds where they are there."""


def table(outcomes: Sequence[Outcome]) -> str:
    """One row a group and one for all: injected, and how many ended in each way that is not well."""
    groups = list(dict.fromkeys(outcome.group for outcome in outcomes))
    rows = [["", "injected", *COLUMNS.values()]]
    for group in [*groups, "all"]:
        kinds = [outcome.kind for outcome in outcomes if group in ("all", outcome.group)]
        rows.append([group, str(len(kinds)), *(str(kinds.count(kind)) for kind in COLUMNS)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )


def _costs(outcomes: Sequence[Outcome], seconds: float) -> str:
    spent, held = [outcome.seconds for outcome in outcomes], [outcome.memory for outcome in outcomes]
    most = f"{max(spent, default=0):.1f} s of it and {max(held, default=0) / 1e6:,.0f} MB of memory for one fault"
    return f"{seconds:.0f} s; {sum(spent):.0f} s of processor time, at most {most}"


def default_seed() -> int:
    """$LILLIPUT_FAULTS_SEED, else the number of commits: each change runs another part, and the same one again when
    it is tested again. 0 outside a git checkout."""
    if given := os.environ.get(SEED):
        return int(given)
    here = Path(__file__).parent
    done = subprocess.run(["git", "rev-list", "--count", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else 0


def main() -> None:
    """Runs the cases and prints the table; exit code 1 where one of them was not well."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--part", type=int, metavar="SEED", help=f"a part of the cases; {harness.PARTS} seeds in a row are all"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with TEXT in their group or name")
    parser.add_argument("--from", dest="generator", metavar="MODULE", help="one generator, such as tests.faults.damage")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="cases side by side")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every outcome as JSON")
    asked = parser.parse_args()
    _load()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lilliput-faults-") as name:
        root = Path(name)
        cases = harness.collect(root, [asked.generator] if asked.generator else harness.GENERATORS)
        cases = [case for case in cases if asked.only in f"{case.group}: {case.name}"]
        if asked.part is not None:
            cases = harness.part(cases, asked.part)
        outcomes, bad, shown = [], 0, began
        for outcome in harness.run_all(cases, root, asked.jobs):
            outcomes.append(outcome)
            bad += outcome.kind != "ok"
            if time.monotonic() - shown > PATIENCE:
                shown = time.monotonic()
                print(f"{len(outcomes):,} of {len(cases):,}, {shown - began:.0f} s", file=sys.stderr, flush=True)
            if outcome.kind != "ok" and bad <= SHOWN:
                print(f"{outcome.kind.upper()}: {outcome.group}: {outcome.name}\n{outcome.text}\n", flush=True)
    print(table(outcomes))
    print(_costs(outcomes, time.monotonic() - began))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1), encoding="utf-8")
    sys.exit(1 if bad or not outcomes else 0)


def _load() -> None:
    """What every case would load for itself, once. Threads do not survive a fork, so that none are started here."""
    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", LILLIPUT_MKL="system")
    for name in LOADED:
        importlib.import_module(name)
    import torch

    from lilliput.formats.format import FORMATS

    list(FORMATS)  # the registry imports the modules of its room
    torch.set_num_threads(1)

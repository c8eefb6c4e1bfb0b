"""Scoring a benchmark: our scorer beside lm-evaluation-harness, on the same saved model and the same items.

    python benchmarks/score_tasks.py RUN --task arc_easy --task-data FOLDER --items 200 --rounds 5 --json

Both load the model before the clock starts and take turns; the clock covers cutting text into tokens and scoring every
choice. A ratio above 1 is the number of times that ours is faster. Both scores are printed: they have to be equal.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from lilliput import api
from lilliput.base.errors import MissingExtra
from lilliput.base.statistics import share
from lilliput.cli.main import one_line_errors
from lilliput.evaluation.benchmarks.loading import records
from lilliput.evaluation.benchmarks.task import TASKS, Item, Likelihood
from lilliput.evaluation.scorer import score_pairs
from lilliput.runs.finding import model_folder


def contestants(run: str, items: list[Item], batch_size: int) -> dict[str, Callable[[], list[list[float]]]]:
    """Functions that give the log-probability of every choice of every item."""
    try:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM
    except ImportError as error:
        raise MissingExtra(str(error.name), "eval", "the comparison") from None
    teller = api.load(run, "cpu")
    make: Any = HFLM
    harness = make(pretrained=str(model_folder(run, print)), device="cpu", batch_size=batch_size)
    groups = [item.pairs for item in items]

    def ours() -> list[list[float]]:
        found = score_pairs(teller.model, teller.tokenizer, groups)
        return [[score.log_probability for score in scores] for scores in found]

    def theirs() -> list[list[float]]:
        asked = [
            Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=i)
            for group in groups
            for i, pair in enumerate(group)
        ]
        found = iter(harness.loglikelihood(asked, disable_tqdm=True))
        return [[next(found)[0] for _ in group] for group in groups]

    return {"ours": ours, "lm_eval": theirs}


def compare(run: str, task: str, folder: str, items: int, rounds: int, batch_size: int) -> dict[str, Any]:
    """Seconds of each by round, the median ratio, and both scores."""
    kind = TASKS[task]()
    if not isinstance(kind, Likelihood):
        raise SystemExit(f"{task} is not scored by likelihood")
    questions = [kind.item(record) for record in records(task, folder, items)]
    sides = contestants(run, questions, batch_size)
    answers = {name: side() for name, side in sides.items()}  # warm-up, and what is compared
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds):
        for name in sorted(sides, reverse=bool(turn % 2)):
            began = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - began)
    apart = max(
        abs(a - b) for mine, other in zip(*answers.values(), strict=True) for a, b in zip(mine, other, strict=True)
    )
    correct = {
        name: sum(share(row, item.right) for row, item in zip(rows, questions, strict=True))
        for name, rows in answers.items()
    }
    return {
        "task": task,
        "items": len(questions),
        "seconds": seconds,
        "ratio": median(b / a for a, b in zip(seconds["ours"], seconds["lm_eval"], strict=True)),
        "correct": correct,
        "largest_difference_nats": apart,
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--task", default="arc_easy")
    parser.add_argument("--task-data", required=True)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32, help="the harness' own, in choices")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    found = compare(given.run, given.task, given.task_data, given.items, given.rounds, given.batch_size)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{found['task']}, {found['items']} items: ours is {found['ratio']:.2f} times as fast as lm-eval")
    print(f"right: {found['correct']}; log-probabilities differ by at most {found['largest_difference_nats']:.1e} nats")


if __name__ == "__main__":
    with one_line_errors():
        main()

"""Our scores and lm-evaluation-harness' own, on the same items: its prompts, its marking, our files."""

import json
import warnings

import pytest

from lilliput.base.errors import ConfigError, MissingExtra
from lilliput.base.statistics import estimate
from lilliput.evaluation.benchmarks.harness import through_harness
from lilliput.evaluation.benchmarks.loading import records
from lilliput.evaluation.benchmarks.measure import measure
from lilliput.evaluation.benchmarks.task import TASKS, Likelihood
from tests.evaluation.benchmarks.examples import RECORDS, examples

SHARED = [name for name in RECORDS if TASKS[name]().harness_task(examples(name, 1)[0])]


@pytest.mark.filterwarnings("ignore")  # of the harness and what it imports
def test_scores_are_the_harness_own(tiny, tmp_path):
    pytest.importorskip("lm_eval")
    tasks = {}
    for name in SHARED:
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in examples(name)))
        tasks[name] = (TASKS[name](), records(name, file))
    with warnings.catch_warnings():
        found = through_harness(tiny.folder, tasks)
    assert len(SHARED) >= 18
    scores = set()
    for name, (task, items) in tasks.items():
        for row in measure(name, task, items, tiny.generator):
            theirs = estimate(found[name][row.metric], [row.total.chance] * row.total.items, row.metric in task.graded)
            assert (row.total.score, row.total.items) == (pytest.approx(theirs.score, rel=1e-4), theirs.items), name
            assert row.total.stderr == pytest.approx(theirs.stderr, rel=1e-4), name
            scores.add(round(theirs.score, 3))
    # The model has opinions: a test in which all scores were 0 would show nothing.
    assert len(scores) > 5


def test_a_task_that_it_does_not_have_is_refused(tiny):
    pytest.importorskip("lm_eval")
    task = TASKS["winograd"]()
    assert isinstance(task, Likelihood)
    with pytest.raises(ConfigError, match="no task with the items"):
        through_harness(tiny.folder, {"winograd": (task, examples("winograd"))})


def test_without_the_package_the_extra_is_named(tiny, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lm_eval", None)
    with pytest.raises(MissingExtra, match=r"lilliput\[eval\]"):
        through_harness(tiny.folder, {})

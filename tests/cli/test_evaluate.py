"""`lilliput evaluate`, `judge` and `complete` as a person runs them, on one small run."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Result
from tests.evaluation.benchmarks.examples import examples
from tests.evaluation.benchmarks.test_tasks import write
from tests.evaluation.judge.server import GOOD, Server


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "benchmarks"
    for name in ("piqa", "arc_easy"):
        write(folder, f"{name}.jsonl", examples(name, 12))
    return folder


def found(result: Result) -> dict:
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_a_row_a_source_and_controls(command: Command, run: Path, tales: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("One day Tom saw a kite.\n\nAnna was happy and went home.\n")
    words = ("evaluate", str(run), "--data", str(tales), "--data", str(other), "--against", str(run), "--stride", "5")
    table = found(command(*words, "--baselines", "1,4", "--json"))
    assert list(table["sources"]) == [str(tales), str(other)]
    assert table["documents"] == 302
    assert table["stride"] == 5
    assert list(table["controls"]) == ["untrained weights", "unigram", "4-gram", str(run)]
    assert table["controls"][str(run)]["total"] == pytest.approx(table["bits_per_byte"])
    assert table["controls"]["untrained weights"]["total"] > table["bits_per_byte"]
    assert table["controls"]["4-gram"][str(tales)] < table["controls"]["unigram"][str(tales)]
    assert json.loads((run / "evaluation.json").read_text())["text"]["tokens"] == table["tokens"]
    shown = command(*words)
    assert "stride 5" in shown.out
    assert f"{other} " in shown.out
    few = found(command(*words, "--no-controls", "--max-tokens", "40", "--json"))
    assert few["tokens"] < table["tokens"]
    assert list(few["controls"]) == [str(run)]


def test_benchmarks_with_controls_and_overlap(command: Command, run: Path, tasks: Path) -> None:
    words = ("evaluate", str(run), "--tasks", "piqa,arc_easy", "--task-data", str(tasks), "--against", str(run))
    result = found(command(*words, "--overlap", "--overlap-words", "4", "--max-items", "9", "--json"))
    assert [(row["task"], row["metric"], row["items"]) for row in result["benchmarks"]] == [
        ("piqa", "acc", 9),
        ("piqa", "acc_norm", 9),
        ("arc_easy", "acc", 9),
        ("arc_easy", "acc_norm", 9),
    ]
    for row in result["benchmarks"]:
        assert list(row["scores"]) == [str(run), "untrained weights"]
        assert all(score["stderr"] is not None and score["verdict"] for score in row["scores"].values())
    assert result["overlap"]["piqa"]["n"] == 4
    assert result["overlap"].keys() == {"piqa", "arc_easy"}
    kept = json.loads((run / "evaluation.json").read_text())
    assert kept.keys() == {"benchmarks", "overlap"}
    shown = command(*words, "--overlap").out
    assert "chance" in shown
    assert "runs of 13 words in the training text" in shown
    assert command("report", str(run)).code == 0
    page = (run / "report.html").read_text()
    assert "Overlap with the training text" in page
    assert "piqa (acc_norm)" in page


def test_the_harness_stands_beside_our_scores(
    command: Command, run: Path, tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lilliput.evaluation.benchmarks import benchmarking

    asked = []

    def through(folder: Path, loaded: dict, device: str) -> dict:
        asked.append((folder.name, {name: len(rows) for name, (_, rows) in loaded.items()}, device))
        return {"piqa": {"acc": [1, 1, 1, 0, 0.75], "acc_norm": [1, 1, 0, 0, 0.5]}}

    monkeypatch.setattr(benchmarking, "through_harness", through)
    words = (
        "--tasks",
        "piqa",
        "--task-data",
        str(tasks),
        "--max-items",
        "5",
        "--through",
        "lm-eval",
        "--device",
        "cpu",
    )
    rows = found(command("evaluate", str(run), *words, "--json"))["benchmarks"]
    assert asked == [("model", {"piqa": 5}, "cpu")]
    assert [row["scores"]["lm-eval"]["score"] for row in rows] == [0.75, 0.5]


def test_all_is_what_the_folder_holds(command: Command, run: Path, tasks: Path) -> None:
    words = ("evaluate", str(run), "--tasks", "all", "--task-data", str(tasks), "--no-controls", "--json")
    rows = found(command(*words))["benchmarks"]
    assert {row["task"] for row in rows} == {"piqa", "arc_easy"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--tasks", "pika"), "unknown task 'pika' (did you mean 'piqa'?)"),
        (("--tasks", "all"), "'all' means every task of a folder"),
        (("--tasks", "mmlu", "--task-data", "."), "the folder . holds no file of 'mmlu'"),
        (("--tasks", "piqa", "--through", "helm", "--task-data", "."), "through 'helm'"),
        (("--baselines", "two"), "--baselines two is no list of orders"),
        (("--stride", "999"), "stride 999"),
        (
            ("--tasks", "piqa", "--judge", "http://127.0.0.1:1/v1", "--task-data", "benchmarks"),
            "a judge needs an address",
        ),
    ],
)
def test_what_cannot_be_evaluated(
    command: Command, trained: Path, tasks: Path, words: tuple[str, ...], says: str
) -> None:
    result = command("evaluate", str(trained), *words)
    assert result.code == 2
    assert says in result.err
    assert "Traceback" not in result.err


def test_judge_by_proxies_and_by_a_judge(command: Command, run: Path, tales: Path, tmp_path: Path) -> None:
    words = ("judge", str(run), "--stories", "4", "--max-tokens", "12", "--referee", str(run))
    table = found(command(*words, "--json"))
    assert "proxies" in table["kind"]
    assert list(table["rows"]) == [str(run), "human text (ceiling)", "shuffled sentences", "shuffled words (floor)"]
    assert {"copied_words", "referee_bits"} <= table["rows"][str(run)]["scores"].keys()
    assert "not a judgement" in command(*words).out
    prompts = tmp_path / "prompts.yaml"
    prompts.write_text("- One day Tom\n- |-\n  The old tree\n")
    with Server(json.dumps(GOOD)) as server:
        judged = (*words, "--prompts", str(prompts), "--human", str(tales), "--judge", server.url, "--model", "m")
        table = found(command(*judged, "--twice", "1", "--json"))
        assert table["kind"] == "marked by m"
        assert [row["stories"] for row in table["rows"].values()] == [2, 4, 4, 4]
        assert table["noise"]["plot"] == 0
        # A completion of one sentence stays as it is when sentences are shuffled, and is asked about once.
        assert len(server.requests) == table["questions"] == 22
        assert [story["beginning"] for story in table["stories"][str(run)]] == ["One day Tom", "The old tree"]
        assert "the judge's own noise, plot: 0.00" in command(*judged, "--twice", "1").out
        assert len(server.requests) == 22


def test_complete_side_by_side(command: Command, run: Path, trained: Path) -> None:
    words = ("complete", str(run), str(trained), "--max-tokens", "6")
    rows = found(command(*words, "--json"))["completions"]
    assert [row["prompt"].split()[0] for row in rows] == ["Alice", "Lily", "Alice"]
    for row in rows:
        mine, theirs = row["completions"].values()
        assert mine == theirs
        assert not mine.startswith(row["prompt"])
    assert "prompt" in command(*words).out


def test_benchmarks_during_a_run(command: Command, tasks: Path, tales: Path) -> None:
    from tests.cli.conftest import TINY

    options = ("evaluate.tasks=[piqa]", f"evaluate.task_data={tasks}", "evaluate.task_items=6")
    assert command("train", "story", *TINY, *options, "--data", str(tales), "--name", "watched").code == 0
    lines = [json.loads(line) for line in Path("runs/watched/metrics.jsonl").read_text().splitlines()]
    scored = [line for line in lines if "piqa_acc" in line]
    assert [line["step"] for line in scored] == [6, 12]
    assert scored[0]["piqa_acc_chance"] == 0.5
    written = command("train", "story", *TINY, "evaluate.tasks=[gsm8k]", "--data", str(tales), "--name", "slow")
    assert written.code == 2
    assert "generated answers" in written.err


def test_a_run_that_reads_backwards_has_no_benchmarks(command: Command, tasks: Path, tales: Path) -> None:
    from tests.cli.conftest import TINY

    given = ("objective.kind=reversed", "--data", str(tales), "--name", "back")
    watched = command("train", "story", *TINY, "evaluate.tasks=[piqa]", f"evaluate.task_data={tasks}", *given)
    assert watched.code == 2
    assert "reads backwards" in watched.err

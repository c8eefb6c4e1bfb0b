"""Prepared corpora: what is written, what is done again after a change or an interruption, who else reads it."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lilliput.base.errors import DataError
from lilliput.data.corpus import CorpusConfig, Prepared, prepare
from lilliput.data.corpus.config import load
from lilliput.data.corpus.plan import plan
from lilliput.storybook import story

STEPS = [{"kind": "normalise"}, {"kind": "length", "min_words": 5}, {"kind": "exact_duplicates"}, {"kind": "redact"}]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """60 stories in two files, with a short document, a copy, and a mail address."""
    stories = [story(0, number).text for number in range(60)]
    stories[40] = stories[3]
    stories[50] = "Too short."
    stories[10] += " Write to tom@example.com today."
    for name, part in (("a", stories[:30]), ("b", stories[30:])):
        rows = (json.dumps({"text": text, "author": "Tom"}) for text in part)
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    return tmp_path


def config(folder: Path, steps: Any = STEPS, **options: Any) -> CorpusConfig:
    source = {"kind": "jsonl", "paths": [str(folder / "*.jsonl")], "keep": ["author"], **options.pop("source", {})}
    return CorpusConfig.model_validate({"sources": [source], "steps": steps, "chunk_bytes": 9_000, **options})


def documents(folder: Path, kind: str = "documents") -> list[dict[str, Any]]:
    files = sorted((folder / kind).rglob("*.jsonl.gz"))
    return [json.loads(line) for file in files for line in gzip.open(file, "rt", encoding="utf-8")]


def test_documents_rejects_and_counts(texts: Path, tmp_path: Path) -> None:
    made = prepare(config(texts), tmp_path / "out").manifest
    kept, rejects = documents(tmp_path / "out"), documents(tmp_path / "out", "rejects")
    assert len(kept) == made["documents"]["kept"] == 58
    assert {row["author"] for row in kept} == {"Tom"}
    assert "[MAIL]" in kept[10]["text"]
    assert [(row["step"], row["reason"]) for row in rejects] == [
        ("exact_duplicates", "the same document before"),
        ("length", "fewer than 5 words"),
    ]
    assert rejects[0]["text"] == kept[3]["text"]
    assert made["dropped"] == {"fewer than 5 words": 1, "the same document before": 1}
    assert [step["documents"] for step in made["steps"]] == [60, 60, 59, 58]
    assert made["steps"][3]["changed"] == 1
    assert made["chunks"] > 4
    page = (tmp_path / "out" / "corpus.html").read_text()
    assert "fewer than 5 words: 1" in page
    assert "tom@example.com" in page


def test_a_duplicate_is_shown_beside_what_it_repeats(texts: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (texts / "b.jsonl").read_text().splitlines()]
    words = rows[25]["text"].split(" ")
    words[30] = "Zanzibar"
    rows[27]["text"] = " ".join(words)
    (texts / "b.jsonl").write_text("\n".join(map(json.dumps, rows)))
    made = prepare(config(texts, [*STEPS, {"kind": "near_duplicates"}]), tmp_path / "out").manifest
    kept = {row["id"]: row["text"] for row in documents(tmp_path / "out")}
    assert set(made["pairs"]) == {"exact_duplicates", "near_duplicates"}
    ((first, stayed, second, dropped),) = made["pairs"]["exact_duplicates"]
    assert kept[first].startswith(stayed)
    assert (second not in kept, stayed) == (True, dropped)
    # The near duplicate comes after steps that dropped documents of its own chunk and of those before.
    ((first, stayed, second, dropped),) = made["pairs"]["near_duplicates"]
    assert (first in kept, second in kept) == (True, False)
    assert "Zanzibar" in dropped
    assert stayed in kept[first]
    assert stayed.split("Zanzibar")[0][:40] == dropped[:40]
    page = (tmp_path / "out" / "corpus.html").read_text()
    assert "<ins>Zanzibar</ins>" in page


def test_other_tools_and_training_read_the_result(texts: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    prepare(config(texts), tmp_path / "out")
    loaded = datasets.load_dataset(str(tmp_path / "out" / "documents"), split="train")
    assert len(loaded) == 58
    recipe = load(tmp_path / "out" / "train.yaml", (), (), None)
    again = prepare(recipe, tmp_path / "again").manifest
    assert again["documents"] == {"read": 58, "kept": 58}


def results(folder: Path) -> dict[str, int]:
    """The time of change of every kept result, by its path."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in (folder / "work").rglob("*")
        if path.is_file() and path.name not in ("plan.json", ".lock")
    }


def keys(made: CorpusConfig) -> list[list[str]]:
    return [[step.key for step in group.steps] for group in plan(made).groups]


def test_a_change_is_done_from_there_on(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(config(texts), out)
    first = results(out)
    prepare(config(texts), out)
    assert results(out) == first
    changed = [*STEPS[:3], {"kind": "redact", "by": "invented"}]
    old, new = keys(config(texts)), keys(config(texts, changed))
    assert [one[:3] for one in old] == [one[:3] for one in new]
    assert all(one[3] != other[3] for one, other in zip(old, new, strict=True))
    prepare(config(texts, changed), out)
    later = results(out)
    assert all(later[path] == when for path, when in first.items())
    made = {path.split("/")[2] for path in later.keys() - first.keys()}
    assert made == {one[3] for one in new} | {f"{one[3]}-0" for one in new}
    assert "@example." not in documents(out)[10]["text"] or "[MAIL]" not in documents(out)[10]["text"]


def test_a_new_file_changes_what_looks_at_all_documents(texts: Path, tmp_path: Path) -> None:
    old = keys(config(texts))
    (texts / "c.jsonl").write_text(json.dumps({"text": story(0, 0).text, "author": "Lily"}))
    new = keys(config(texts))
    assert [one[:2] for one in new[: len(old)]] == [one[:2] for one in old]
    assert all(one[2] != other[2] for one, other in zip(old, new, strict=False))
    prepare(config(texts), tmp_path / "out")
    assert documents(tmp_path / "out", "rejects")[-1]["id"].endswith("c.jsonl:1")


def test_processes_make_the_same_bytes(texts: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "one", tmp_path / "three"]
    for out, workers in zip(outs, (1, 3), strict=True):
        prepare(config(texts, executor={"workers": workers}), out)
    one, three = (sorted(path.read_bytes() for path in out.glob("documents/*/*")) for out in outs)
    assert one == three


def test_a_killed_run_goes_on(texts: Path, tmp_path: Path) -> None:
    """The process is killed while it works. Its finished results stay, damaged ones are made again."""
    out, file = tmp_path / "out", tmp_path / "corpus.yaml"
    file.write_text(json.dumps(config(texts, chunk_bytes=2_000).model_dump(mode="json")))
    command = [sys.executable, "-m", "lilliput", "data", "prepare", str(file), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not list(out.glob("work/steps/*/*.jsonl")) and time.monotonic() < end:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = sorted(out.glob("work/steps/*/*.jsonl"))
    assert kept
    cut = kept[0].read_bytes()
    kept[0].write_bytes(cut[: len(cut) // 2])
    prepare(load(file, (), (), None), out)
    expected = prepare(config(texts, chunk_bytes=2_000), tmp_path / "whole").manifest
    assert documents(out) == documents(tmp_path / "whole")
    assert expected["documents"]["kept"] == 58
    assert kept[0].read_bytes() != cut[: len(cut) // 2]


@pytest.mark.parametrize("damaged", ["work/results/*/*-00000.jsonl.gz", "work/steps/*/parts/*-00000.npz"])
def test_damaged_results_are_made_again(damaged: str, texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(config(texts), out)
    expected = documents(out)
    found = [path for path in out.glob(damaged) if "rejects" not in path.name]
    assert found
    for path in found:
        path.write_bytes(path.read_bytes()[:-9])
    for path in out.glob("work/steps/*/*.jsonl"):
        path.unlink()
    for path in out.glob("work/results/*/*.json") if "parts" in damaged else ():
        path.unlink()
    prepare(config(texts), out)
    assert documents(out) == expected


def test_errors_name_what_to_do(texts: Path, tmp_path: Path) -> None:
    (texts / "bad.jsonl").write_text('{"text": "a\n')
    with pytest.raises(DataError, match=r"bad.jsonl:1 is not JSON"):
        prepare(config(texts), tmp_path / "out")
    with pytest.raises(DataError, match=r"bad.jsonl:1 is not JSON"):
        prepare(config(texts, executor={"workers": 2}), tmp_path / "two")
    (texts / "bad.jsonl").unlink()
    made = prepare(config(texts), tmp_path / "out")
    chunk = next((tmp_path / "out" / "work" / "input").rglob("00000.jsonl"))
    chunk.write_text("{}\n")
    for path in (tmp_path / "out" / "work" / "results").rglob("*.json"):
        path.unlink()
    with pytest.raises(DataError, match="remove the folder"):
        prepare(config(texts), tmp_path / "out")
    assert len(documents(tmp_path / "out")) == made.manifest["documents"]["kept"]


def test_examples_stay_examples(tmp_path: Path) -> None:
    row = {
        "messages": [{"role": "user", "content": "Mail me: tom@example.com"}, {"role": "assistant", "content": "No."}]
    }
    (tmp_path / "chat.jsonl").write_text(json.dumps(row))
    source = {"kind": "jsonl", "paths": [str(tmp_path / "chat.jsonl")], "profile": "auto"}
    made: Prepared = prepare(CorpusConfig.model_validate({"sources": [source], "steps": ["redact"]}), tmp_path / "out")
    (kept,) = documents(tmp_path / "out")
    assert kept["messages"][0]["content"] == "Mail me: [MAIL]"
    assert made.manifest["sources"][0]["profile"] == "none"


@pytest.mark.skipif(os.name != "posix", reason="datatrove's local executor forks")
def test_datatrove_runs_the_same_steps(texts: Path, tmp_path: Path) -> None:
    pytest.importorskip("datatrove", reason="datatrove, an executor, is not installed")
    prepare(config(texts), tmp_path / "local")
    file = tmp_path / "corpus.yaml"
    file.write_text(
        json.dumps(config(texts, executor={"kind": "datatrove", "tasks": 3, "workers": 1}).model_dump(mode="json"))
    )
    command = [
        sys.executable,
        "-m",
        "lilliput",
        "data",
        "prepare",
        str(file),
        "--out",
        str(tmp_path / "trove"),
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["documents"] == {"read": 60, "kept": 58}
    assert documents(tmp_path / "trove") == documents(tmp_path / "local")
    logs = list((tmp_path / "trove" / "work" / "logs").iterdir())
    assert len(logs) == 1
    assert len(list(logs[0].glob("*/completions/*"))) == 3 + 3 + 1 + 3 + 1

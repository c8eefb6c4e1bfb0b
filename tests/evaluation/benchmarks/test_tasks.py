"""From files to questions: every task's records, what is looked for in folders, and what damaged files say."""

import gzip
import json

import pytest

from lilliput.base.errors import ConfigError, DataError
from lilliput.evaluation.benchmarks.loading import available, find_files, records
from lilliput.evaluation.benchmarks.measure import measure
from lilliput.evaluation.benchmarks.recall import ITEMS, PAIRS
from lilliput.evaluation.benchmarks.task import TASKS, Generation, Item, Likelihood, Place, chance, mark
from lilliput.evaluation.scorer import PairScore
from tests.evaluation.benchmarks.examples import RECORDS, examples


def write(folder, name, rows):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return file


def test_every_likelihood_task_has_an_example():
    assert {name for name in TASKS if issubclass(TASKS[name], Likelihood)} == RECORDS.keys()


@pytest.mark.parametrize("name", RECORDS)
def test_every_task_measures_its_records(name, tiny, tmp_path):
    found = records(name, write(tmp_path, f"{name}.jsonl", examples(name)))
    rows = measure(name, TASKS[name](), found, tiny.generator)
    assert [row.metric for row in rows] == list(TASKS[name].metrics)
    for row in rows:
        assert row.total.items == 8
        assert 0 <= row.total.chance < 1
        assert row.as_dict()["verdict"] == row.total.verdict
        assert sum(part.items for part in row.parts.values()) in (0, 8)


def question(name, record):
    task = TASKS[name]()
    assert isinstance(task, Likelihood)
    return task.item(record)


def test_other_publishers_forms_give_the_same_records(tmp_path):
    foundry = {"query": "Question: Why?", "choices": ["a", "b"], "gold": 1}
    (arc,) = records("arc_easy", write(tmp_path, "arc.jsonl", [foundry]))
    assert question("arc_easy", arc) == Item(
        (("Question: Why?\nAnswer:", " a"), ("Question: Why?\nAnswer:", " b")), (1,), (1, 1)
    )
    (lambada,) = records("lambada", write(tmp_path, "l.jsonl", [{"context": "he saw the", "continuation": "sun"}]))
    assert question("lambada", lambada).pairs == (("he saw the", " sun"),)
    (boolq,) = records("boolq", write(tmp_path, "b.jsonl", [{"question": "is it", "passage": "p", "answer": True}]))
    assert question("boolq", boolq).right == (1,)
    csv = tmp_path / "TruthfulQA.csv"
    csv.write_text(
        "Question,Best Answer,Correct Answers,Incorrect Answers\nWhy?,Because,Because; So,Never; Always;\n",
        encoding="utf-8-sig",
    )
    (truth,) = records("truthfulqa_mc2", csv)
    assert truth["mc1_targets"] == {"choices": ["Because", "Never", "Always"], "labels": [1, 0, 0]}
    assert question("truthfulqa_mc2", truth).right == (0, 1)


def test_a_word_with_train_in_it_is_no_training_file(tmp_path):
    names = ("coordinate_structure_constraint_object_extraction.jsonl", "principle_A.jsonl", "train-0.jsonl")
    for name in names:
        (folder := tmp_path / "blimp").mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    assert [path.name for path in find_files(TASKS["blimp"](), tmp_path)] == [*names[:2]]


def test_folders_are_searched_by_name_and_training_files_come_last(tmp_path):
    write(tmp_path, "raw/piqa.train.jsonl.gz", examples("piqa"))
    task = TASKS["piqa"]()
    assert [path.name for path in find_files(task, tmp_path)] == ["piqa.train.jsonl.gz"]
    write(tmp_path, "raw/piqa.validation.jsonl.gz", examples("piqa", 3))
    write(tmp_path, "blimp/adjunct_island.jsonl", examples("blimp", 2))
    assert available(tmp_path) == ["blimp", "piqa"]
    assert len(records("piqa", tmp_path)) == 3
    assert len(records("blimp", tmp_path)) == 2


def test_a_part_of_a_task_is_always_the_same(tmp_path):
    file = write(tmp_path, "piqa.jsonl", [{**row, "goal": str(i)} for i, row in enumerate(examples("piqa", 40))])
    some = records("piqa", file, 10)
    assert some == records("piqa", file, 10)
    assert len(some) == 10
    assert some != records("piqa", file, 10, seed=1)
    assert all(row in records("piqa", file, 20) for row in some)


def test_records_that_are_none(tmp_path):
    with pytest.raises(DataError, match="has no field sol1, sol2, label"):
        records("piqa", write(tmp_path, "piqa.jsonl", [{"goal": "x"}]))
    with pytest.raises(DataError, match="is no record of 'arc_easy'"):
        records("arc_easy", write(tmp_path, "arc.jsonl", [{"query": "x", "choices": ["a"], "gold": 3}]))
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with pytest.raises(DataError, match="holds no record"):
        records("piqa", empty)


def test_what_cannot_be_found(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'piqa'"):
        records("pika", tmp_path)
    with pytest.raises(DataError, match="holds no file of 'piqa'"):
        records("piqa", tmp_path)
    with pytest.raises(DataError, match="no file or folder"):
        records("piqa", tmp_path / "nowhere")
    with pytest.raises(DataError, match="not read from the hub"):
        records("winograd", None)


def test_from_the_hub_by_way_of_a_local_stand_in(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    write(tmp_path, "validation.jsonl", examples("piqa", 3))
    monkeypatch.setattr(TASKS["piqa"], "hub", Place(str(tmp_path), None, "validation"))
    assert [row["goal"] for row in records("piqa", None)] == [row["goal"] for row in examples("piqa", 3)]


def test_a_parquet_file(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.Table.from_pylist(examples("mmlu", 4)), tmp_path / "mmlu.parquet")
    assert records("mmlu", tmp_path) == examples("mmlu", 4)
    (tmp_path / "mmlu.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="not a readable Parquet"):
        records("mmlu", tmp_path)


def test_marks_by_hand():
    item = Item((("", "a"), ("", "bbb")), (1,), (1, 3))
    scores = [PairScore(-2.0, 2, True), PairScore(-3.0, 3, False)]
    assert mark("acc", item, scores) == 0
    assert mark("acc_norm", item, scores) == 1
    assert mark("mass", item, scores) == pytest.approx(1 / (1 + 2.718281828), rel=1e-6)
    assert mark("greedy", item, scores) == 0
    assert mark("acc", item, [PairScore(-2.0), PairScore(-2.0)]) == 0.5
    assert chance("acc", item, scores, 10) == 0.5
    assert chance("greedy", item, scores, 10) == pytest.approx(1e-3)


@pytest.mark.parametrize("name", list(TASKS))
def test_real_files_are_read(name, shared_data):
    task = TASKS[name]()
    folder = shared_data / "benchmarks" if find_files(task, shared_data / "benchmarks") else shared_data
    if not find_files(task, folder):
        pytest.skip(f"no real file of {name}")
    found = records(name, folder, 20)
    for record in found:
        if isinstance(task, Likelihood):
            item = task.item(record)
            assert item.right
            assert all(continuation.strip() for _, continuation in item.pairs)
        else:
            assert isinstance(task, Generation)
            assert task.prompt(record).strip()
        assert task.text(record).strip()


def test_recall_is_made_without_files_by_number_of_people(tiny, tmp_path):
    found = records("recall", None)
    assert found == records("recall", tmp_path)  # a folder that has no file of it
    assert len(found) == len(PAIRS) * ITEMS
    for record in found:
        item = question("recall", record)
        assert len(item.pairs) == len({thing.split()[-1] for thing in record["things"]}) == record["pairs"]
        assert record["told"].count(f"{record['who']} ") == 1
        assert record["things"][0] in record["told"]
        assert item.pairs[0][0].endswith(f"What does {record['who']} have? {record['who']} has")
    some = [record for record in found if record["pairs"] <= 4][::25]
    plain = records("recall_plain", None)
    assert all(f"{record['who']} has {record['things'][0]}." in record["told"] for record in plain)
    acc, greedy = measure("recall", TASKS["recall"](), some, tiny.generator)
    assert {name: part.chance for name, part in acc.parts.items()} == {"02 pairs": 1 / 2, "04 pairs": 1 / 4}
    assert greedy.total.chance < 1e-3

"""Row documents: files of examples in every format of file, real ones among them, and the errors for a bad row."""

# pyright: reportOptionalMemberAccess=false, reportOperatorIssue=false, reportAttributeAccessIssue=false

import csv
import json

import pytest

from lilliput.base.errors import DataError
from lilliput.data.hub import Hub
from lilliput.data.infer import infer_sources
from lilliput.data.parquet import Parquet
from lilliput.data.tables import Csv, Jsonl, TinyStoriesJson

USER, REPLY = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
PAIRS = [{"prompt": f"Question {n}", "chosen": " yes", "rejected": " no", "n": n} for n in range(3)]


def write_jsonl(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def examples(source, errors="strict"):
    return [document.example for document in source.documents(errors)]


def test_jsonl(tmp_path):
    source = Jsonl(paths=(write_jsonl(tmp_path / "a.jsonl", PAIRS),), keep=("n",))
    assert "rows are preferences: prompt, chosen, rejected" in source.describe()
    first, *_, last = source.documents()
    assert (last.kind, last.id, last.meta) == ("preference", f"{tmp_path}/a.jsonl:3", {"n": 2})
    assert first.text == "Question 0\n yes\n no"
    assert first.example.columns == {"n": 0}


def test_a_json_list(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(PAIRS))
    (source,) = infer_sources([str(tmp_path / "a.json")])
    assert isinstance(source, TinyStoriesJson)
    assert [example.row["prompt"] for example in examples(source)] == ["Question 0", "Question 1", "Question 2"]


def test_csv_with_messages_as_json_text(tmp_path):
    path = tmp_path / "a.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, ("messages", "label"))
        writer.writeheader()
        writer.writerow({"messages": json.dumps([USER, REPLY]), "label": "true"})
    (example,) = examples(Csv(paths=(str(path),)))
    assert example.row == {"prompt": [USER], "completion": [REPLY], "label": True}


def test_parquet_with_lists_of_messages(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    called = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    rows = [[USER, REPLY], [USER, called]] * 150
    table = pa.table({"messages": rows, "n": range(300), "tools": [None] * 300})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=70)
    source = Parquet(paths=(str(tmp_path / "a.parquet"),))
    assert "rows are conversations: messages" in source.describe()
    found = examples(source)
    assert len(found) == 300
    assert found[0].row == {"messages": [USER, REPLY]}
    assert found[-1].row["messages"][1]["tool_calls"] == [
        {"type": "function", "function": {"name": "f", "arguments": {}}}
    ]
    assert found[-1].columns == {"n": 299}


def test_parquet_of_texts_with_labels(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["good", "bad"], "label": [1, 0], "x": ["a", "b"]}), tmp_path / "a.parquet")
    documents = list(Parquet(paths=(str(tmp_path / "a.parquet"),)).documents())
    assert [(each.text, each.example.row["label"]) for each in documents] == [("good", 1), ("bad", 0)]
    plain = list(Parquet(paths=(str(tmp_path / "a.parquet"),), format="text").documents())
    assert [(each.text, each.example) for each in plain] == [("good", None), ("bad", None)]


def test_parquet_lacks_a_column_of_the_kind_that_is_asked_for(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"prompt": ["a"], "chosen": ["b"]}), tmp_path / "a.parquet")
    for form in ("auto", "preference"):
        with pytest.raises(DataError, match="prompt, chosen, rejected"):
            list(Parquet(paths=(str(tmp_path / "a.parquet"),), format=form).documents())


def test_a_dataset_of_the_hub(tmp_path):
    pytest.importorskip("datasets")
    write_jsonl(tmp_path / "train.jsonl", [{"messages": [USER, REPLY]}, {"messages": [USER, REPLY]}])
    source = Hub(name=str(tmp_path))
    assert "rows are conversations: messages" in source.describe()
    assert [example.row for example in examples(source)] == [{"messages": [USER, REPLY]}] * 2
    assert Hub(name=str(tmp_path), format="text").fingerprint() != source.fingerprint()


def test_a_text_stays_a_text_and_its_label_stays_beside_it(tmp_path):
    rows = [{"text": "fine", "label": 1, "prompt": "x"}, {"text": "bad", "label": None}, {"text": None, "label": 1}]
    source = Jsonl(paths=(write_jsonl(tmp_path / "a.jsonl", rows),))
    first, second, third = source.documents()
    assert (first.text, first.kind) == ("fine", "labelled")
    assert first.example.row == {"text": "fine", "pair": None, "label": 1}
    assert (second.text, second.kind, third.text) == ("bad", "text", "")
    assert [each.kind for each in source.model_copy(update={"format": "text"}).documents()] == ["text"] * 3
    with pytest.raises(
        DataError, match=r"a.jsonl:2: its label is None; the rows of this file are labelled texts: text, label"
    ):
        list(source.model_copy(update={"format": "labelled"}).documents())
    assert "rows are labelled texts: text, label" in source.describe()


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([PAIRS[0], {"prompt": "x", "chosen": "y"}], r":2: it lacks 'rejected'; the rows of this file are preferences"),
        ([PAIRS[0], {"messages": [USER, REPLY]}], r":2: it lacks 'chosen', 'prompt', 'rejected'"),
        (
            [{"prompt": "a", "completion": "b"}, {"prompt": "a", "completion": "b", "label": True}],
            r":2: it mixes columns of several kinds, because 'label' would make it one of ratings: prompt, completion",
        ),
        ([{"messages": [USER, REPLY]}, {"messages": [USER, REPLY], "chosen": "x"}], r":2: it mixes columns"),
        ([PAIRS[0], {**PAIRS[1], "chosen": 3}], r":2: 'chosen' holds int, not text; .* this row is {\"prompt\""),
        ([{"prompt": "x", "rejected": "y"}], r":1: preferences have the columns .*, and this row lacks 'chosen'"),
        ([{"instruction": "x"}], r":1: .* this row lacks 'output'"),
        ([PAIRS[0], {"text": "a text"}], r":2: it lacks"),
        ([{"text": "a text"}, PAIRS[0]], r":2: no column 'text'"),
    ],
)
def test_a_row_that_mixes_or_lacks_columns_is_shown(tmp_path, rows, problem):
    with pytest.raises(DataError, match=problem):
        examples(Jsonl(paths=(write_jsonl(tmp_path / "a.jsonl", rows),)))


def test_a_long_row_is_cut_in_its_error(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"prompt": "long " * 1000, "completion": 1}])
    with pytest.raises(DataError) as caught:
        examples(Jsonl(paths=(path,)))
    assert 300 < len(caught.value.message) < 600


def test_each_file_has_its_own_form(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"instruction": "Hi", "output": "Hello"}])
    write_jsonl(tmp_path / "b.jsonl", [{"messages": [USER, REPLY]}])
    source = Jsonl(paths=(str(tmp_path),))
    assert [example.row for example in examples(source)] == [{"messages": [USER, REPLY]}] * 2
    assert (
        "conversations: instruction, output (1 files), rows are conversations: messages (1 files)" in source.describe()
    )


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("instructions/dolly_hhrlhf_train_small.jsonl", "completion", 1000),
        ("instructions/dpo_en_demo.json", "preference", 300),
        ("instructions/glaive_toolcall_en_demo.json", "messages", 300),
        ("instructions/identity.json", "messages", 91),
        ("instructions/kto_en_demo.json", "rating", 300),
        ("benchmarks/raw/glue.sst2.validation.jsonl.gz", "labelled", 872),
        ("benchmarks/raw/glue.mrpc.validation.jsonl.gz", "labelled", 408),
        ("benchmarks/raw/glue.rte.validation.jsonl.gz", "labelled", 277),
        ("benchmarks/raw/super_glue.cb.validation.jsonl.gz", "labelled", 56),
    ],
)
def test_real_files(shared_data, name, kind, count):
    (source,) = infer_sources([str(shared_data / name)])
    documents = list(source.documents())
    assert {document.kind for document in documents} == {kind}
    assert len(documents) == count
    assert all(document.text and document.example.key for document in documents)


def test_the_calls_of_real_files_are_calls(shared_data):
    (source,) = infer_sources([str(shared_data / "instructions/glaive_toolcall_en_demo.json")])
    found = examples(source)
    calls = [call for each in found for message in each.row["messages"] for call in message.get("tool_calls", ())]
    assert len(calls) > 100
    assert all(isinstance(call["function"]["arguments"], dict) for call in calls)
    tools = [tool for each in found for tool in each.row.get("tools", ())]
    assert tools
    assert all(tool["type"] == "function" and "parameters" in tool["function"] for tool in tools)

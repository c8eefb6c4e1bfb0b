"""Rows: JSONL, CSV, Parquet and llama2.c's lists of stories."""

import gzip
import json

import pytest

from lilliput.base.errors import DataError, MissingExtra
from lilliput.data import files, tables
from lilliput.data.parquet import Parquet
from lilliput.data.tables import Csv, Jsonl, TinyStoriesJson


def read(source, errors="strict"):
    return [(document.text, document.meta) for document in source.documents(errors)]


def test_jsonl_with_a_named_column_and_kept_columns(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    rows = [{"body": "One\n\nstory.", "title": "A", "n": 1}, {"body": None, "title": "B", "n": 2}]
    path.write_bytes(gzip.compress("\n\n".join(map(json.dumps, rows)).encode()))
    source = Jsonl(paths=(str(path),), column="body", keep=("title",))
    assert read(source) == [("One\n\nstory.", {"title": "A"}), ("", {"title": "B"})]
    assert [document.id for document in source.documents()] == [f"{path}:1", f"{path}:3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n{"story": "b", "id": 1}', r":2: no column 'text'; the columns are: story, id"),
        ('{"texts": "a"}', r"no column 'text' \(did you mean 'texts'\?\)"),
        ('{"text": "a"}\n{"text"', r":2 is not JSON: .* at column 8"),
        ("[1, 2]", r":1 is a JSON list, not an object"),
        ('{"text": "a"}\n{"text": "b", "n": ' + "9" * 5000 + "}", r":2 cannot be read as JSON: Exceeds the limit"),
        ('{"text": ' + "[" * 100_000, r":1 (cannot be read as JSON|is not JSON)"),
        ('{"id": "1", "long story": "Once upon a time"}', r"column with the text: 'data.sources.0.column=long story'"),
        ('{"text": 3, "title": "x"}', r"holds int values, not text\n.*columns with text: title"),
    ],
)
def test_jsonl_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "a.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read(Jsonl(paths=(str(path),)))


def test_jsonl_that_is_not_utf8_can_be_replaced(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "caf\xe9"}\n')
    with pytest.raises(DataError, match="at byte 13"):
        read(Jsonl(paths=(str(path),)))
    assert read(Jsonl(paths=(str(path),)), "replace") == [("caf\ufffd", {})]


def test_csv_with_quotes_newlines_and_a_long_field(tmp_path):
    path = tmp_path / "a.csv"
    long = "word " * 50_000
    path.write_text(f'id,text\r\n1,"He said ""hi"",\nand left."\r\n2,{long}\r\n')
    assert read(Csv(paths=(str(path),))) == [('He said "hi",\nand left.', {}), (long, {})]


def test_csv_delimiters(tmp_path):
    tabs, marks = tmp_path / "a.tsv", tmp_path / "b.csv"
    tabs.write_text("text\tn\nhello, you\t1\n")
    marks.write_text("n;text\n1;hello, you\n")
    assert read(Csv(paths=(str(tabs),))) == [("hello, you", {})]
    assert read(Csv(paths=(str(marks),), delimiter=";")) == [("hello, you", {})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", r"no column 'text'; the columns are: a, b"),
        ("text,b\nhello, you,2\n", r":1: the row has more fields than the header\n.*delimiter"),
        ("text,b\nhello\n", r":1: the row has fewer fields"),
    ],
)
def test_csv_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read(Csv(paths=(str(path),)))


def test_parquet_rows_across_batches(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    texts = [f"story {number}" for number in range(600)]
    pq.write_table(pa.table({"text": texts, "n": range(600), "wide": ["x"] * 600}), path, row_group_size=250)
    source = Parquet(paths=(str(path),), keep=("n",))
    assert read(source) == [(text, {"n": number}) for number, text in enumerate(texts)]
    assert [document.id for document in source.documents()][-1] == f"{path}:600"
    with pytest.raises(DataError, match="no column 'story'; the columns are: text, n, wide"):
        read(Parquet(paths=(str(path),), column="story"))


def test_parquet_that_is_not_utf8_names_the_row_and_can_be_replaced(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    broken = pa.array([b"fine", None, b"caf\xe9"], pa.binary()).cast(pa.string(), safe=False)
    pq.write_table(pa.table({"text": broken}), path)
    with pytest.raises(DataError, match=r"a.parquet:3: the text is not UTF-8 at its byte 3.*\n.*data.errors=replace"):
        read(Parquet(paths=(str(path),)))
    assert read(Parquet(paths=(str(path),)), "replace") == [("fine", {}), ("", {}), ("caf\ufffd", {})]


def test_a_file_that_is_no_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    path.write_text("hello there, this is text")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read(Parquet(paths=(str(path),)))


def test_parquet_without_its_package_names_the_extra(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    path.write_text("x")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"lilliput\[data\]"):
        read(Parquet(paths=(str(path),)))


@pytest.mark.parametrize("size", [1, 5, 64, 2**20])
def test_tinystories_json_entry_by_entry(tmp_path, monkeypatch, size):
    monkeypatch.setattr(files, "BLOCK_BYTES", size)
    stories = [{"story": f"Once, {number} ünts\n met. ]}}", "instruction": {"words": ["a"]}} for number in range(9)]
    for name, part in (("data00.json", stories[:5]), ("data01.json", stories[5:])):
        (tmp_path / name).write_text(" " + json.dumps(part, indent=1, ensure_ascii=False) + "\n")
    source = TinyStoriesJson(paths=(str(tmp_path),))
    assert read(source) == [(story["story"], {}) for story in stories]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"story": "a"}, {"story": "b', "ends in the middle of its JSON list"),
        ('{"story": "a"}', "is not a JSON list"),
        ('[{"body": "a"}]', "no column 'story'; the columns are: body"),
        ("[1]", "the list holds a int"),
        ('[{"story": "a", "n": ' + "9" * 5000 + "}]", ":1 cannot be read as JSON: Exceeds the limit"),
    ],
)
def test_tinystories_json_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read(TinyStoriesJson(paths=(str(path),)))


def test_a_broken_list_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_DOCUMENT_CHARACTERS", 50)
    monkeypatch.setattr(files, "BLOCK_BYTES", 20)
    path = tmp_path / "a.json"
    path.write_text('[{"story": "' + "x" * 10_000)
    with pytest.raises(DataError, match="longer than 50 characters"):
        read(TinyStoriesJson(paths=(str(path),)))


def test_real_rows(shared_data):
    assert len(list(Jsonl(paths=(str(shared_data / "wikinews/valid.jsonl.gz"),)).documents())) > 500
    adult = Csv(paths=(str(shared_data / "tables/uci_adult.train.csv.gz"),), column="occupation")
    assert next(adult.documents()).text == "Adm-clerical"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('id,text\n1,a\n2,"She ran\n3,b\n4,c\n', 3),
        ('text\n"fine, ""really"""\n"over\ntwo lines"\n"open', 5),
        ('text\n"open at once', 2),
    ],
)
def test_a_quote_that_is_never_closed_is_named_by_its_line(tmp_path, content, line):
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=rf"a.csv:{line}: a quote opens in this line and is never closed"):
        read(Csv(paths=(str(path),)))


def test_quotes_that_are_closed_are_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text\n"fine, ""really"""\n"over\ntwo lines"\n5" wide')
    assert [text for text, _ in read(Csv(paths=(str(path),)))] == ['fine, "really"', "over\ntwo lines", '5" wide']


def test_a_header_that_was_not_cut_gets_the_delimiter_as_advice(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id;text\n1;Hello there\n")
    with pytest.raises(DataError, match=r"name the delimiter: 'data.sources.0.delimiter=;'"):
        read(Csv(paths=(str(path),)))
    assert read(Csv(paths=(str(path),), delimiter=";")) == [("Hello there", {})]


def test_parquet_with_two_columns_of_a_name_and_the_column_it_suggests(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), path)
    with pytest.raises(DataError, match="has 2 columns called 'text'"):
        read(Parquet(paths=(str(path),)))
    pq.write_table(pa.table({"id": ["1"], "n": [2], "body": ["Once upon a time"]}), path)
    with pytest.raises(DataError, match=r"data\.sources\.0\.column=body"):
        read(Parquet(paths=(str(path),)))


def test_a_list_of_texts_and_one_of_objects_with_a_text_are_documents(tmp_path):
    path = tmp_path / "a.json"
    for content in ('["One.", "Two."]', '[{"text": "One."}, {"text": "Two."}]'):
        path.write_text(content)
        assert [text for text, _ in read(TinyStoriesJson(paths=(str(path),)))] == ["One.", "Two."]

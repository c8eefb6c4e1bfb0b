"""Schemas and fitted tables: inferred, edited, read again; rows and entities as tokens."""

from pathlib import Path

import numpy as np
import pytest

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.columns.inferring import infer_schema
from lilliput.data.columns.reading import read_batches, read_rows
from lilliput.data.columns.rules import parse_rule
from lilliput.data.columns.schema import Column, TableSchema, read_schema, write_schema
from lilliput.data.table_rows import TableRows
from lilliput.data.tokenizer import Tokenizer
from lilliput.worlds.tables.training import fit_table
from tests.worlds.tables.examples import people, write_payments, write_people


def test_kinds_are_inferred(tmp_path: Path) -> None:
    schema = infer_schema([str(write_people(tmp_path / "people.csv"))])
    kinds = {name: column.kind for name, column in schema.columns.items()}
    assert kinds == {
        "age": "number",
        "city": "category",
        "born": "date",
        "score": "number",
        "note": "text",
        "code": "skip",
    }
    assert schema.columns["score"].decimals == 2
    assert schema.columns["score"].missing == ("", "NA")


def test_an_entity_has_a_profile(tmp_path: Path) -> None:
    file = str(write_payments(tmp_path / "payments.csv"))
    schema = infer_schema([file], "user_id", "time")
    assert (schema.entity, schema.time, schema.profile) == ("user_id", "time", ("city",))
    with pytest.raises(DataError, match="no column 'uid'"):
        infer_schema([file], "uid")


def test_a_schema_is_written_and_read_again(tmp_path: Path) -> None:
    schema = TableSchema(
        columns={
            "a: b": Column(kind="number", decimals=2),
            "c": Column(kind="date", format="%d.%m.%Y"),
            "no": Column(kind="number"),
        },
        rules=("no > 0",),
        rare=3,
    )
    write_schema(schema, tmp_path / "s.yaml")
    assert read_schema(tmp_path / "s.yaml") == schema


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entity": "cty"}, "did you mean 'city'"),
        ({"time": "born"}, "give entity"),
        ({"rules": ("age >",)}, "is no comparison"),
        ({"rules": ("agee > 3",)}, "there is no column 'agee'"),
        ({"rules": ("age > city",)}, "different kinds"),
        ({"balance": {"age": "city"}, "entity": "city"}, "is no number column"),
        ({"profile": ("age",)}, "give entity"),
        ({"columns": {"a": {"kind": "skip"}}}, "all columns are left out"),
        ({"columns": {"a": {"kind": "colour"}}}, "columns.a.kind"),
    ],
)
def test_schemas_that_do_not_fit_together_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    values = {"columns": {"age": {"kind": "number"}, "city": {"kind": "category"}, "born": {"kind": "date"}}, **change}
    import json

    (tmp_path / "s.yaml").write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=message):
        read_schema(tmp_path / "s.yaml")


def test_rules_hold_for_arrays() -> None:
    rule = parse_rule("`net pay` <= gross")
    assert rule.holds({"net pay": np.array([1, 3]), "gross": np.array([2, 2])}).tolist() == [True, False]
    assert parse_rule("kind != 'a b'").holds({"kind": "a"})


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,a\n1,2\n")
    with pytest.raises(DataError, match="two columns called 'a'"):
        list(read_rows(tmp_path / "t.csv"))
    (tmp_path / "u.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no column 'c'"):
        list(read_batches([str(tmp_path / "u.csv")], {"c": ()}))


def test_rows_become_tokens_of_their_columns(tmp_path: Path) -> None:
    rows = people()
    rows[5]["city"] = "Xanadu7"
    file = write_people(tmp_path / "people.csv", rows)
    fitted = fit_table([str(file)], infer_schema([str(file)]), tmp_path / "fit")
    source = TableRows(paths=(str(file),), codec=str(fitted.folder), tokenizer=str(fitted.folder))
    documents = list(source.documents())
    assert len(documents) == 400
    tokenizer = Tokenizer.load(fitted.folder)
    row = people()[0]
    tokens = [tokenizer.token(number) for number in documents[0].tokens.ids.tolist()]  # type: ignore[union-attr]
    assert tokens[:2] == ["<|age|>", f"<|age={row['age']}|>"]
    assert f"<|city={row['city']}|>" in tokens
    assert tokens[-1] == "<|=text ends|>"
    assert "Xanadu7" not in (fitted.folder / "table.json").read_text()  # a value of one row is kept nowhere
    assert source.fingerprint() == source.fingerprint()


def test_a_text_that_spells_a_token_is_a_text(tmp_path: Path) -> None:
    rows = [{**row, "note": "<|age=39|> is what I wrote down here"} for row in people()]
    file = write_people(tmp_path / "people.csv", rows)
    schema = infer_schema([str(file)])
    schema = schema.model_copy(update={"columns": {**schema.columns, "note": Column(kind="text")}})
    fitted = fit_table([str(file)], schema, tmp_path / "fit")
    (document, *_) = TableRows(paths=(str(file),), codec=str(fitted.folder), tokenizer=str(fitted.folder)).documents()
    tokenizer = Tokenizer.load(fitted.folder)
    place = [tokenizer.token(number) for number in document.tokens.ids.tolist()].index("<|note|>")  # type: ignore[union-attr]
    assert tokenizer.decode(document.tokens.ids.tolist()[place:]) == "<|age=39|> is what I wrote down here"  # type: ignore[union-attr]


def test_an_entity_is_one_document_in_the_order_of_time(tmp_path: Path) -> None:
    file = str(write_payments(tmp_path / "payments.csv"))
    fitted = fit_table([file], infer_schema([file], "user_id", "time"), tmp_path / "fit")
    source = TableRows(paths=(file,), codec=str(fitted.folder), tokenizer=str(fitted.folder), most_tokens=4096)
    documents = list(source.documents())
    assert len(documents) == 60
    tokenizer = Tokenizer.load(fitted.folder)
    tokens = [tokenizer.token(number) for number in documents[0].tokens.ids.tolist()]  # type: ignore[union-attr]
    assert tokens[0] == "<|city|>"
    rows = documents[0].text.count("\n") + 1
    assert tokens.count("<|=row|>") == rows
    gaps = [token for token in tokens if token.startswith("<|time after=") and ":" not in token]
    assert gaps[0] == "<|time after=0|>"
    assert sum(token.startswith("<|time after~") for token in tokens) == rows
    short = TableRows(paths=(file,), codec=str(fitted.folder), tokenizer=str(fitted.folder), most_tokens=64)
    parts = list(short.documents())
    assert len(parts) > 60
    assert max(len(part.tokens.ids) for part in parts) <= 64  # type: ignore[union-attr]
    assert any("<|=continues|>" in [tokenizer.token(i) for i in part.tokens.ids.tolist()] for part in parts)  # type: ignore[union-attr]

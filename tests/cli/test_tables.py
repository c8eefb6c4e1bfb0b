"""`lilliput tables`: from a file to a schema, a run, rows, shards and a report."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.worlds.tables.examples import people, write_payments, write_people, write_shop

TINY = ("model.d_model=32", "model.n_layers=1", "model.n_heads=2", "train.epochs=null", "train.steps=6")
TINY += ("train.batch_tokens=1024", "evaluate.tokens=2000", "evaluate.final_tokens=2000", "train.compile=false")


@pytest.mark.usefixtures("peaks")
def test_from_a_file_to_a_report(command: Command) -> None:
    pytest.importorskip("sklearn")
    pq = pytest.importorskip("pyarrow.parquet")
    rows = people(1700)
    rows[5]["city"] = "Xanadu7"  # one person's
    write_people(Path("people.csv"), rows)
    write_people(Path("held.csv"), people(1600, seed=2))
    result = command("tables", "schema", "people.csv", "--out", "people.yaml")
    assert result.code == 0, result.err
    assert "lilliput tables train people.csv --schema people.yaml" in result.err + result.out
    text = Path("people.yaml").read_text()
    Path("people.yaml").write_text(text.replace("note: {kind: text}", "note: {kind: skip}") + "rules: [age > 30]\n")
    result = command("tables", "train", "people.csv", "--schema", "people.yaml", "--known", "city", *TINY, "--json")
    assert result.code == 0, result.err
    made = json.loads(result.out)
    assert made["anonymity"]["alone"] == pytest.approx(1 / 1700)
    assert made["summary"]["figure"]["validation"] == "val_bits_per_row"
    for path in Path(made["run"]).rglob("*"):  # no row of the table is kept
        if path.is_file():
            assert b"Xanadu7" not in path.read_bytes(), path

    rows = json.loads(command("tables", "sample", "people", "--rows", "3", "--where", "city=Oslo", "--json").out)[
        "rows"
    ]
    assert [row["city"] for row in rows] == ["Oslo"] * 3
    assert command("tables", "sample", "people", "--rows", "1600", "--out", "rows.csv").code == 0
    assert len(Path("rows.csv").read_text().splitlines()) == 1601
    for words in (("sample", "people"), ("schema", "people.csv")):  # neither a table nor a schema is replaced
        again = command("tables", *words, "--out", "people.csv" if words[0] == "sample" else "people.yaml")
        assert again.code == 2
        assert "is there already" in again.err
    wrong = command("tables", "train", "people.csv", "--known", "cty")
    assert wrong.code == 2
    assert "did you mean 'city'" in wrong.err
    assert command("tables", "sample", "people", "--rows", "20", "--out", "rows.parquet").code == 0
    columns = pq.read_table("rows.parquet")
    assert str(columns.schema.field("age").type) == "int64"
    assert str(columns.schema.field("born").type) == "date32[day]"

    report = command(
        "tables", "evaluate", "people", "--test", "held.csv", "--synthetic", "rows.csv", "--target", "city", "--json"
    )
    assert report.code == 0, report.err
    found = json.loads(report.out)
    assert found["quality"]["held out"]["shape_error"] < 0.05
    assert found["worth"]["real"] > 0.9
    assert Path(found["page"]).read_text().startswith("<!doctype html>")


@pytest.mark.usefixtures("peaks")
def test_payments_through_time(command: Command) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    write_payments(Path("payments.csv"))
    result = command("tables", "train", "payments.csv", "--entity", "user_id", "--time", "time", *TINY)
    assert result.code == 0, result.err
    assert "lilliput tables sample payments" in result.err + result.out
    words = ("tables", "sample", "payments", "--entities", "30", "--shard", "12", "--out", "made")
    result = command(*words, "--workers", "2")
    assert result.code == 0, result.err
    files = sorted(Path("made").glob("*.parquet"))
    assert [file.name for file in files] == [f"rows-00000{number}.parquet" for number in range(3)]
    tables = [pq.read_table(file).to_pydict() for file in files]
    assert sorted({int(owner) for table in tables for owner in table["user_id"]}) == list(range(1, 31))
    files[1].unlink()
    again = command(*words)
    assert "2 of 3 shards are there already" in again.err + again.out
    assert pq.read_table(files[1]).to_pydict() == tables[1]  # whoever makes it, a shard has the same rows
    other = command("tables", "sample", "payments", "--entities", "31", "--out", "made")
    assert other.code == 2
    assert "shards of another sampling" in other.err


@pytest.mark.usefixtures("peaks")
def test_two_tables_come_back_as_two_tables(command: Command) -> None:
    pytest.importorskip("sklearn")
    pq = pytest.importorskip("pyarrow.parquet")
    customers, orders = write_shop(Path("."), 2000)
    for file in write_shop(Path("held"), 2000, seed=2):
        assert file.is_file()
    between = ("--parent", "customers.csv", "--key", "customer_id=id", "--time", "day")
    made = command("tables", "schema", "orders.csv", *between, "--out", "shop.yaml")
    assert made.code == 0, made.err
    assert "train orders.csv --schema shop.yaml --parent customers.csv" in made.err + made.out
    with_schema = ("--schema", "shop.yaml", "--parent", "customers.csv")
    result = command("tables", "train", "orders.csv", *with_schema, "--name", "shop", *TINY)
    assert result.code == 0, result.err
    assert "tables sample shop --parents 500 --out made" in result.err + result.out

    result = command("tables", "sample", "shop", "--parents", "40", "--out", "made", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["files"]["made/customers.csv"] == 40
    above, below = (
        list(csv.DictReader(Path("made", name).read_text().splitlines())) for name in ("customers.csv", "orders.csv")
    )
    assert [row["id"] for row in above] == [str(number) for number in range(1, 41)]
    assert list(above[0]) == customers.read_text().splitlines()[0].split(",")
    assert list(below[0]) == orders.read_text().splitlines()[0].split(",")
    assert {row["customer_id"] for row in below} <= {row["id"] for row in above}

    words = ("tables", "sample", "shop", "--parents", "25", "--shard", "10", "--out", "shards")
    assert command(*words, "--workers", "2").code == 0
    parts = [pq.read_table(f"shards/customers-00000{number}.parquet").to_pydict() for number in range(3)]
    assert sorted(int(key) for part in parts for key in part["id"]) == list(range(1, 26))
    assert str(pq.read_schema("shards/orders-000000.parquet").field("price").type) == "int64"
    for number, part in enumerate(parts):
        rows = pq.read_table(f"shards/orders-00000{number}.parquet").to_pydict()
        assert set(rows["customer_id"]) <= set(part["id"])

    asked = ("evaluate", "shop", "--test", "held/orders.csv", "--parent", "held/customers.csv", "--json")
    report = command("tables", *asked)
    assert report.code == 0, report.err
    found = json.loads(report.out)["children"]
    assert found["held out"]["ks"] < 0.1
    assert 0.3 < found["train"]["none"] < 0.6
    assert "Rows of a parent" in Path("runs/shop/tables.html").read_text()


@pytest.mark.usefixtures("peaks")
def test_training_with_an_epsilon_says_how_much_it_spent_and_what_is_not_counted(command: Command) -> None:
    pytest.importorskip("sklearn")
    write_people(Path("people.csv"), people(1700))
    write_people(Path("held.csv"), people(1600, seed=2))
    small = [word for word in TINY if "batch_tokens" not in word]
    result = command("tables", "train", "people.csv", "--epsilon", "8", "--delta", "1e-4", *small, "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    spent = found["summary"]["privacy"]
    assert 7.8 < spent["epsilon"] <= 8
    assert spent["delta"] == 1e-4
    assert spent["examples"] == found["summary"]["data"]["train"]["documents"]  # a row of the table is an example
    assert "for each row" in result.err
    assert "This is no guarantee" in result.err
    report = command("tables", "evaluate", "people", "--test", "held.csv", "--json")
    assert report.code == 0, report.err
    assert json.loads(report.out)["privacy"] == spent
    page = Path(json.loads(report.out)["page"]).read_text()
    assert "Training spent an epsilon of" in page
    assert "the schema and the tokenizer, which were read from the data without noise" in page


@pytest.mark.usefixtures("peaks")
def test_an_entity_is_one_example_and_has_to_fit_into_one_document(command: Command) -> None:
    file = write_payments(Path("payments.csv"))
    words = ("--entity", "user_id", "--time", "time", "--epsilon", "20", "--delta", "0.01")
    small = [word for word in TINY if "batch_tokens" not in word]
    result = command("tables", "train", "payments.csv", *words, *small, "--json")
    assert result.code == 0, result.err
    summary = json.loads(result.out)["summary"]
    assert summary["privacy"]["examples"] == summary["data"]["train"]["documents"] < 60
    assert "for each entity" in result.err
    first = file.read_text().splitlines()
    Path("long.csv").write_text("\n".join([*first, *[first[1]] * 300]) + "\n")
    result = command("tables", "train", "long.csv", *words)
    assert result.code == 2
    assert "epsilon would count the entity more than once" in result.err


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (("tables", "schema", "none.csv"), "none.csv"),
        (("tables", "train", "t.csv", "--delta", "1e-5"), "a delta is given without an epsilon"),
        (("tables", "train", "t.csv", "--epsilon", "0"), "epsilon"),
        (("tables", "train", "t.csv", "--parent", "p.csv"), "a parent table and its key go together"),
        (("tables", "train", "t.csv", "--key", "a"), "a parent table and its key go together"),
        (("tables", "train", "t.csv", "--parent", "p.csv", "--parent", "q.csv", "--key", "a"), "2 parent tables"),
        (("tables", "train", "t.csv", "--parent", "p.csv", "--key", "a", "--entity", "a"), "leave --entity out"),
        (("tables", "train", "t.csv", "--parent", "p.csv", "--key", "a"), "1 of 1 rows name a parent that is not"),
        (("tables", "train"), "Missing argument"),
        (("tables", "train", "t.csv", "--schema", "no.yaml"), "there is no schema no.yaml"),
        (("tables", "train", "t.csv", "--entity", "who"), "no column 'who'"),
        (("tables", "sample", "none"), "there is no run or model folder 'none'"),
    ],
)
def test_bad_input_gives_one_line_and_2(command: Command, words: tuple[str, ...], printed: str) -> None:
    Path("t.csv").write_text("a,b\n1,2\n")
    Path("p.csv").write_text("a,c\n2,2\n")
    result = command(*words)
    assert result.code == 2
    assert printed in result.err
    assert "Traceback" not in result.err

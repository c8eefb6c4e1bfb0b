"""Two tables as one: each row with its parent's columns, parents without rows, and keys that lead nowhere."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.columns.reading import Columns, joined, read_batches
from lilliput.data.columns.relations import children, divided, infer_related, read_related
from lilliput.data.columns.schema import TableSchema
from lilliput.data.columns.sequences import entities
from lilliput.worlds.tables.training import fit_table
from tests.worlds.tables.examples import write, write_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    customers, orders = write_shop(tmp_path_factory.mktemp("shop"))
    return [str(orders)], [str(customers)]


def whole(paths: list[str]) -> dict[str, list[str | None]]:
    header = Path(paths[0]).read_text().splitlines()[0].split(",")
    return joined(read_batches(paths, dict.fromkeys(header, ())))


def test_the_schema_has_the_columns_of_both_tables(shop: tuple[list[str], list[str]]) -> None:
    schema = infer_related(*shop, "customer_id=id")
    assert list(schema.columns) == ["city", "customers.kind", "customer_id", "day", "kind", "price"]
    assert schema.profile == ("city", "customers.kind")
    assert schema.entity == "customer_id"
    assert schema.parent is not None
    assert schema.parent.key == "id"
    assert (schema.parent.name, schema.parent.child) == ("customers", "orders")


def test_rows_get_the_columns_of_their_parent(shop: tuple[list[str], list[str]]) -> None:
    schema = infer_related(*shop, "customer_id=id")
    columns, childless = read_related(schema, *shop)
    orders, customers = whole(shop[0]), whole(shop[1])
    of = {key: place for place, key in enumerate(customers["id"])}
    assert columns["customer_id"] == orders["customer_id"]
    assert columns["price"] == orders["price"]
    assert columns["customers.kind"] == [customers["kind"][of[key]] for key in orders["customer_id"]]
    assert set(childless["customer_id"]) == set(customers["id"]) - set(orders["customer_id"])
    assert "Bonn" in childless["city"]
    counts = children(schema, columns, childless)
    assert len(counts) == len(customers["id"])
    assert sum(counts) == len(orders["price"])


def test_a_parent_without_rows_is_a_document_of_its_profile(shop: tuple[list[str], list[str]], tmp_path: Path) -> None:
    schema = infer_related(*shop, "customer_id=id", "day")
    fitted = fit_table(shop[0], schema, tmp_path, shop[1])
    columns, childless = read_related(schema, *shop)
    made = list(entities(fitted.layout, columns, 512, childless))
    assert len(made) == len(whole(shop[1])["id"]) == fitted.codec.entities
    empty = [ids for owner, _, ids in made if owner == ""]
    assert len(empty) == len(childless["city"])
    assert len({text for _, text, _ in made}) == len(made)  # equal profiles do not fall into one split together
    assert not any(fitted.layout.row in ids for ids in empty)
    (time,) = [group for group in fitted.layout.head if group.name == "day"]
    first = [first for first, _ in time.parts]  # code 0 of each part: the time of no first row
    assert all(np.isin(first, ids).all() for ids in empty)
    assert not any(np.isin(first, ids).any() for owner, _, ids in made if owner)


def test_profiles_are_counted_once_a_parent(tmp_path: Path) -> None:
    parents = [{"id": str(n), "town": "Rare" if n == 0 else "Oslo"} for n in range(40)]
    rows = [{"id": "0", "what": "x"} for _ in range(30)] + [{"id": str(n), "what": "y"} for n in range(1, 30)]
    files = [str(write(tmp_path / "rows.csv", rows))], [str(write(tmp_path / "parents.csv", parents))]
    fitted = fit_table(files[0], infer_related(*files, "id"), tmp_path / "fit", files[1])
    assert fitted.codec.codecs["town"].model_dump()["values"] == ("Oslo",)  # one parent's town, in 30 rows
    assert fitted.codec.rows_per_entity[0] == 0


def test_joined_rows_become_two_tables_again() -> None:
    schema = TableSchema.model_validate(
        {
            "columns": {name: {"kind": "category"} for name in ("p.a", "b", "k", "a")},
            "entity": "k",
            "profile": ["p.a", "b"],
            "parent": {"name": "p", "child": "c", "key": "id", "columns": {"p.a": "a", "b": "b"}},
        }
    )
    rows: Columns = {"p.a": ["x", "x", "y"], "b": ["1", "1", "2"], "k": ["3", "3", "1"], "a": ["u", "v", "w"]}
    above, below = divided(schema, rows, {"k": ["2"], "p.a": ["z"], "b": ["3"]})
    assert above == {"id": ["1", "2", "3"], "a": ["y", "z", "x"], "b": ["2", "3", "1"]}
    assert below == {"k": ["3", "3", "1"], "a": ["u", "v", "w"]}


@pytest.mark.parametrize(
    ("orders", "customers", "message"),
    [
        ("id,x\n1,a\n9,b\n9,c\n", "id,y\n1,u\n2,v\n", "2 of 3 rows name a parent that is not there: '9' in 'id'"),
        ("id,x\n1,a\n,b\n", "id,y\n1,u\n2,v\n", "1 rows have no 'id'"),
        ("id,x\n1,a\n", "id,y\n1,u\n1,v\n", "2 rows have the 'id' '1'"),
        ("id,x\n1,a\n", "id,y\n1,u\n,v\n", "1 rows have no 'id'"),
        ("id,x\n1,a\n", "key,y\n1,u\n", "has no column 'id'"),
        ("id,x\n1,a\n", "id\n1\n", "no column but 'id'"),
        ("key,x\n1,a\n", "id,y\n1,u\n", "has no column 'id'"),
    ],
)
def test_keys_that_lead_nowhere_are_refused(orders: str, customers: str, message: str, tmp_path: Path) -> None:
    below, above = tmp_path / "orders.csv", tmp_path / "customers.csv"
    below.write_text(orders)
    above.write_text(customers)
    with pytest.raises(DataError, match=message):
        read_related(infer_related([str(below)], [str(above)], "id"), [str(below)], [str(above)])


def test_a_schema_with_a_parent_needs_its_file_and_its_profile(shop: tuple[list[str], list[str]]) -> None:
    schema = infer_related(*shop, "customer_id=id")
    with pytest.raises(ConfigError, match="no file of it is given"):
        read_related(schema, shop[0], [])
    given = schema.model_dump()
    for wrong in ({"profile": ["city"]}, {"entity": None}, {"balance": {"price": "price"}}):
        with pytest.raises(ValidationError, match=r"profile|parent goes with"):
            TableSchema.model_validate({**given, **wrong})

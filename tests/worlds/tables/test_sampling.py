"""Samplers on models that were hardly trained: every row is one of the table, whatever the model predicts."""

from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from lilliput.base.errors import ConfigError
from lilliput.data.columns.inferring import infer_schema
from lilliput.data.columns.relations import infer_related
from lilliput.data.columns.schema import TableSchema
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from lilliput.worlds.tables import sampling
from lilliput.worlds.tables.entity_sampling import Entity, EntitySampler
from lilliput.worlds.tables.generating import related
from lilliput.worlds.tables.sampling import Rows, TableSampler
from lilliput.worlds.tables.training import Fitted, fit_table
from tests.worlds.tables.examples import CITIES, write_payments, write_people, write_shop


def untrained(fitted: Fitted, context: int = 256) -> Model:
    torch.manual_seed(3)
    shape = {"d_model": 32, "n_layers": 1, "n_heads": 2, "d_mlp": 64, "init": "normal"}
    return Model(ModelConfig(**shape, vocab_size=fitted.layout.size, context_length=context))


@pytest.fixture(scope="module")
def persons(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("people")
    file = str(write_people(folder / "people.csv"))
    schema = infer_schema([file]).model_copy(update={"rules": ("age >= 40", "score < 7")})
    return fit_table([file], TableSchema.model_validate(schema.model_dump()), folder / "fit")


@pytest.fixture(scope="module")
def payers(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("payments")
    file = str(write_payments(folder / "payments.csv"))
    schema = infer_schema([file], "user_id", "time").model_dump()
    schema |= {"balance": {"balance": "amount"}, "rules": ("amount > 5", "balance <= 1234.5")}
    return fit_table([file], TableSchema.model_validate(schema), folder / "fit")


def test_every_row_is_one_of_the_table(persons: Fitted) -> None:
    rows = TableSampler(untrained(persons), persons.layout).sample(300, seed=1)
    assert list(rows) == ["age", "city", "born", "score", "note"]
    assert {len(values) for values in rows.values()} == {300}
    assert set(rows["city"]) == set(CITIES)
    for value in rows["born"]:
        datetime.strptime(str(value), "%Y-%m-%d")
    assert all(float(str(value)) >= 40 for value in rows["age"])
    scores = [float(value) for value in rows["score"] if value is not None]
    assert all(score < 7 for score in scores)
    assert 0 < len(scores) < 300  # some are missing
    assert all(isinstance(value, str) and "<|" not in value for value in rows["note"])


def test_the_same_seed_gives_the_same_rows(persons: Fitted) -> None:
    sampler = TableSampler(untrained(persons), persons.layout)
    assert sampler.sample(40, seed=5) == sampler.sample(40, seed=5) != sampler.sample(40, seed=6)


def test_conditions_of_any_columns_are_met(persons: Fitted) -> None:
    given = {"city": "Oslo|Rome", "age": "50..60", "born": "1960-01-01..1961-06-30", "score": ""}
    rows = TableSampler(untrained(persons), persons.layout, given).sample(30)
    assert set(rows["city"]) <= {"Oslo", "Rome"}
    assert all(50 <= float(str(value)) <= 60 for value in rows["age"])
    assert all("1960-01-01" <= str(value) <= "1961-06-30" for value in rows["born"])
    assert set(rows["score"]) == {None}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cty": "Oslo"}, "did you mean 'city'"),
        ({"age": "old"}, "column 'age': 'old' is no number"),
        ({"age": "..3"}, "column 'age': no value is '..3'"),
        ({"note": "dog"}, "a text takes no condition"),
    ],
)
def test_conditions_that_cannot_be_are_refused(persons: Fitted, given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TableSampler(untrained(persons), persons.layout, given)


def test_rows_that_no_rule_allows_are_reported(persons: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "ROUNDS", 3)
    sampler = TableSampler(untrained(persons), persons.layout, {"age": "..39"})
    with pytest.raises(ConfigError, match=r"20 of 20 rows could not be made to meet: age >= 40, score < 7, age=..39"):
        sampler.sample(20, batch=4)


def test_probabilities_are_those_of_the_model(persons: Fitted) -> None:
    """The share of each city, given the mask, is the model's own probability of it behind the marker."""
    model, layout = untrained(persons), persons.layout
    group = layout.groups["city"]
    ids = torch.tensor([[layout.tokenizer.bos_id, group.marker]])
    first, size = group.parts[0]
    # The last code stands for rare values, and is never generated.
    expected = model.logits(model(ids)[:, -1])[0, first : first + size - 1].softmax(-1).tolist()
    sampler = TableSampler(model, layout)
    sampler.ruling.rules = []
    sampler.layout.body.sort(key=lambda each: each is not group)  # the city first
    rows = sampler.sample(1000, seed=2)
    labels = group.codec.labels[0][:-1]
    shares = [rows["city"].count(label) / 1000 for label in labels]
    assert np.abs(np.array(shares) - expected).max() < 0.06


def test_entities_have_rows_in_the_order_of_time_and_running_sums(payers: Fitted) -> None:
    rows = EntitySampler(untrained(payers), payers.layout, {"city": "Bonn"}).sample(25, seed=1)
    assert list(rows) == ["user_id", "city", "time", "kind", "amount", "balance"]
    assert set(rows["city"]) == {"Bonn"}
    assert sorted(set(map(int, map(str, rows["user_id"])))) == list(range(1, 26))
    last: dict[str, tuple[datetime, float]] = {}
    for owner, time, amount, total in zip(
        *(rows[name] for name in ("user_id", "time", "amount", "balance")), strict=True
    ):
        at, added = datetime.strptime(str(time), "%Y-%m-%d %H:%M"), float(str(amount))
        before, held = last.get(str(owner), (datetime.min, 0.0))
        assert at >= before
        assert added > 5
        assert float(str(total)) == pytest.approx(held + added, abs=0.011)
        assert float(str(total)) <= 1234.5
        last[str(owner)] = at, float(str(total))


def test_a_long_entity_goes_on_beyond_the_context(payers: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def ends(
        sampler: EntitySampler, rows: Rows, running: list[Entity], rng: np.random.Generator, first: bool
    ) -> np.ndarray:
        drawn = usual(sampler, rows, running, rng, first=True)  # no end is drawn
        steps.append(max(rows.cache.lengths))
        return drawn | (len(steps) > 30)

    usual = EntitySampler._ends
    monkeypatch.setattr(EntitySampler, "_ends", ends)
    free = payers.codec.model_copy(update={"table": payers.codec.table.model_copy(update={"rules": ()})})
    sampler = EntitySampler(untrained(payers, context=96), free.layout(payers.layout.tokenizer))
    rows = sampler.sample(3, seed=4)
    assert [rows["user_id"].count(owner) for owner in "123"] == [30, 30, 30]
    assert max(steps) <= 96 < 30 * payers.layout.row_tokens
    assert sum(after < before for before, after in pairwise(steps)) > 2  # it was read again


def test_a_condition_decides_on_the_rest_of_the_profile(payers: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    table = payers.codec.table.model_copy(update={"profile": ("kind", "city"), "rules": ()})
    layout = payers.codec.model_copy(update={"table": table}).layout(payers.layout.tokenizer)
    seen: list[str] = []
    usual = EntitySampler.column
    monkeypatch.setattr(
        EntitySampler,
        "column",
        lambda self, rows, group, *rest: (seen.append(group.name), usual(self, rows, group, *rest))[1],
    )
    EntitySampler(untrained(payers), layout, {"city": "Bonn"})._heads(3, np.random.default_rng(1))
    assert seen == ["city", "kind", "balance before", "time"]


def test_conditions_of_entities_are_of_the_profile(payers: Fitted) -> None:
    with pytest.raises(ConfigError, match=r"'amount'.* which can have none"):
        EntitySampler(untrained(payers), payers.layout, {"amount": "5"})


@pytest.mark.parametrize("time", [None, "day"])
def test_children_name_parents_that_are_there(tmp_path: Path, time: str | None) -> None:
    customers, orders = write_shop(tmp_path)
    schema = infer_related([str(orders)], [str(customers)], "customer_id=id", time)
    fitted = fit_table([str(orders)], schema, tmp_path / "fit", [str(customers)])
    sampler = EntitySampler(untrained(fitted), fitted.layout, {"city": "Oslo|Bonn"})
    above, below = related(sampler, fitted, 90, seed=2, before=100)
    assert above["id"] == [str(number) for number in range(101, 191)]
    assert set(below["customer_id"]) < set(above["id"])  # every key is there, and some parents have no row
    assert list(above) == ["id", "city", "kind"]
    assert list(below) == ["customer_id", "day", "kind", "price"]
    assert set(above["city"]) == {"Oslo", "Bonn"}
    assert set(above["kind"]) <= {"firm", "person"}
    assert set(below["kind"]) <= {"gift", "food", "book"}
    assert None not in below["day"]
    assert related(sampler, fitted, 90, seed=2, before=100) == (above, below)
    if time is not None:
        days: dict[str | None, list[str | None]] = {}
        for key, day in zip(below["customer_id"], below["day"], strict=True):
            days.setdefault(key, []).append(day)
        assert all(each == sorted(map(str, each)) for each in days.values())

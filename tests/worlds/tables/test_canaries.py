"""Canaries and likelihoods: a model that learned rows by heart shows it, and one that learned nothing does not."""

from pathlib import Path

import pytest
import torch

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.columns.inferring import infer_schema
from lilliput.data.columns.reading import Columns, joined, read_batches
from lilliput.data.table_rows import TableRows
from lilliput.model.sight import Sight
from lilliput.worlds.tables.canaries import exposure, plant, read_canaries, write_canaries
from lilliput.worlds.tables.leakage import area
from lilliput.worlds.tables.likelihood import nats_of
from lilliput.worlds.tables.training import Fitted, fit_table
from tests.worlds.tables.examples import write_people
from tests.worlds.tables.test_sampling import untrained


@pytest.fixture(scope="module")
def persons(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fitted, Columns, str]:
    folder = tmp_path_factory.mktemp("people")
    file = str(write_people(folder / "people.csv"))
    schema = infer_schema([file])
    kinds = {**schema.columns, "note": schema.columns["note"].model_copy(update={"kind": "skip"})}
    schema = schema.model_copy(update={"columns": kinds})
    fitted = fit_table([file], schema, folder / "fit")
    rows = joined(read_batches([file], {name: schema.columns[name].missing for name in schema.kept}))
    return fitted, rows, file


def test_nats_are_those_of_each_row_alone(persons: tuple[Fitted, Columns, str]) -> None:
    fitted, rows, file = persons
    model, tokenizer = untrained(fitted), fitted.layout.tokenizer
    found = nats_of(model, fitted.layout, {name: values[:5] for name, values in rows.items()})
    source = TableRows(paths=(file,), codec=str(fitted.folder), tokenizer=str(fitted.folder))
    for value, document in zip(found, source.documents(), strict=False):
        assert document.tokens is not None
        ids = torch.tensor([[tokenizer.bos_id, *document.tokens.ids.tolist(), tokenizer.eos_id]])
        logits = model.logits(model(ids[:, :-1], Sight())).log_softmax(-1)[0]
        names = [tokenizer.token(number) for number in ids[0, 1:].tolist()]
        learned = [place for place, name in enumerate(names) if "=" in name or name == "<|end_of_text|>"]
        expected = -sum(float(logits[place, ids[0, place + 1]].detach()) for place in learned)
        assert value == pytest.approx(expected, rel=1e-4)


def test_a_model_that_learned_its_rows_by_heart_is_found_out(persons: tuple[Fitted, Columns, str]) -> None:
    fitted, rows, _ = persons
    model, schema = untrained(fitted), fitted.codec.table
    planted, canaries = plant(schema, rows, count=5, repeats=(1, 8), seed=3)
    assert len(planted["age"]) == 400 + 5 + 40
    known = set(zip(*rows.values(), strict=True))
    assert not any(tuple(canary.row.values()) in known for canary in canaries)
    before = exposure(model, fitted.layout, rows, canaries, rows)
    assert {key: each["canaries"] for key, each in before.items()} == {"1": 5, "8": 5}
    assert all(each["exposure_bits"] < 5 and each["generated"] == 0 for each in before.values())
    few = {name: [canary.row[name] for canary in canaries[5:]] for name in rows}
    others = {name: values[:200] for name, values in rows.items()}
    learn(model, fitted, few)
    after = exposure(model, fitted.layout, rows, canaries, few)
    assert after["8"]["exposure_bits"] > 9
    assert after["8"]["generated"] == 5
    assert after["1"]["exposure_bits"] < 5
    assert area(-nats_of(model, fitted.layout, few), -nats_of(model, fitted.layout, others)).low > 0.9


def learn(model: torch.nn.Module, fitted: Fitted, rows: Columns) -> None:
    """Learn rows by heart."""
    tokenizer = fitted.layout.tokenizer
    count = len(rows["age"])
    made = fitted.layout.rows_of(fitted.layout.body, rows, count)
    ids = torch.tensor([[tokenizer.bos_id, *each.tolist(), tokenizer.eos_id] for each in made])
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(80):
        loss = model.loss(model(ids[:, :-1]), ids[:, 1:], torch.ones(count, ids.shape[1] - 1))  # type: ignore[operator]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def test_canaries_are_kept_and_read_again(persons: tuple[Fitted, Columns, str], tmp_path: Path) -> None:
    fitted, rows, _ = persons
    _, canaries = plant(fitted.codec.table, rows, count=2, repeats=(1,))
    write_canaries(tmp_path / "c.json", canaries)
    assert read_canaries(tmp_path / "c.json") == canaries
    (tmp_path / "d.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match="holds no canaries"):
        read_canaries(tmp_path / "d.json")
    with pytest.raises(ConfigError, match="every combination of values is a row"):
        plant(
            fitted.codec.table.model_copy(update={"columns": {"city": fitted.codec.table.columns["city"]}}),
            rows,
            1,
            (1,),
        )

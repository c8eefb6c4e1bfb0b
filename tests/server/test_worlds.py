"""/worlds and its views: templates, tables, people, diaries and towns, by models of random weights and by rule."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("llguidance")
pytest.importorskip("mesa")

from lilliput.data.columns.inferring import infer_schema
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.text_generator import TextGenerator
from lilliput.model.config import resolve
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal
from lilliput.objectives.table import Table
from lilliput.server import worlds
from lilliput.server.served import Served
from lilliput.worlds.agents.simulating import simulate_town
from lilliput.worlds.extraction.extracting import extract
from lilliput.worlds.population.days import read_day
from lilliput.worlds.population.joint import fit_joint
from lilliput.worlds.population.marginals import TOWN, read_marginals
from lilliput.worlds.population.people import draw_people
from lilliput.worlds.population.telling import tell
from lilliput.worlds.tables.generating import sampler_for, tables_of
from lilliput.worlds.tables.training import Fitted, fit_table
from tests.server.conftest import Address, serving
from tests.worlds.extraction.models import untrained as untrained_extractor
from tests.worlds.tables.examples import write_people
from tests.worlds.tables.test_sampling import untrained

TEMPLATE = {"name": "verbatim-string", "born": "date"}
TEXT = "Ida Moss was born in Oslo \U0001f600 on 3 May 1960."
PEOPLE = draw_people(fit_joint(read_marginals()), 20, seed=4)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("rows")
    file = str(write_people(folder / "people.csv"))
    return fit_table([file], infer_schema([file]), folder / "run" / "table")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Served:
    folder = tmp_path_factory.mktemp("town")
    shutil.copytree(TOWN, folder / "population")
    tokenizer = Tokenizer.train([tell(each) for each in PEOPLE], TokenizerConfig(vocab_size=400))
    shape: dict[str, Any] = {"d_model": 16, "n_layers": 1, "n_heads": 2, "context_length": 2048}
    model = Model(resolve("story_1m", **shape, vocab_size=tokenizer.vocab_size)).eval()
    return Served("town", TextGenerator(model, tokenizer, Causal()), folder, worlds.world_in(folder, Causal()))


@pytest.fixture(scope="module")
def models(fitted: Fitted, town: Served, tmp_path_factory: pytest.TempPathFactory) -> list[Served]:
    folder = tmp_path_factory.mktemp("extractor")
    (folder / "extraction.json").write_text("{}")
    table = TextGenerator(untrained(fitted), fitted.layout.tokenizer, Table())
    return [
        town,
        Served("rows", table, fitted.folder.parent, worlds.world_in(fitted.folder.parent, Table())),
        Served("extractor", untrained_extractor(), folder, worlds.world_in(folder, untrained_extractor().objective)),
    ]


@pytest.fixture(scope="module")
def server(models: list[Served]) -> Iterator[Address]:
    with serving(*models) as address:
        yield address


def post(server: Address, what: str, **body: Any) -> Any:
    answer = httpx.post(f"{server.url}/worlds/{what}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(server: Address, path: str, **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{server.url}{path}", json=body, timeout=60)
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]


def test_models_say_what_they_were_trained_for(server: Address) -> None:
    found = httpx.get(f"{server.url}/v1/models").json()["data"]
    assert {each["id"]: (each["world"], each["generates"]) for each in found} == {
        "town": ("people", True),
        "rows": ("table", False),
        "extractor": ("extraction", True),
    }


def test_a_template_is_filled_as_the_command_fills_it(server: Address, models: list[Served]) -> None:
    found = post(server, "extract", model="extractor", template=TEMPLATE, texts=[TEXT, "Bo ran."])
    expected = extract(models[2].generator, [TEXT, "Bo ran."], TEMPLATE)
    assert [each["values"] for each in found["texts"]] == [each.values for each in expected]
    assert found["texts"][0]["fields"] == expected[0].as_dict()["fields"]


def test_rows_are_those_of_the_command(server: Address, models: list[Served], fitted: Fitted) -> None:
    found = post(server, "tables", model="rows", count=7, where={"city": "Oslo|Rome"}, seed=3)
    sampler = sampler_for(models[1].model, fitted, {"city": "Oslo|Rome"}, 1.0)
    columns = tables_of(sampler, fitted, 7, 3)["rows"]
    assert found["tables"]["rows"]["columns"] == list(columns)
    assert found["tables"]["rows"]["rows"] == [list(row) for row in zip(*columns.values(), strict=True)]
    assert set(columns["city"]) <= {"Oslo", "Rome"}


def test_people_by_rule_and_by_a_model(server: Address) -> None:
    found = post(server, "personas", count=20, seed=4)
    assert found["by"] == "rule"
    assert [each["text"] for each in found["people"]] == [tell(each) for each in PEOPLE]
    assert found["fit"]["contradicting"]["share"] == 0
    made = post(server, "personas", count=2, seed=4, model="town")
    assert made["by"] == "town"
    assert len({each["text"] for each in made["people"]}) == 2


@pytest.mark.parametrize("by", [{}, {"model": "town"}])
def test_diaries_can_be_read(server: Address, by: dict[str, str]) -> None:
    found = post(server, "diaries", count=2, days=2, seed=4, **by)
    days = [day for each in found["diaries"] for day in each["days"]]
    assert found["report"]["days"] == len(days) == 4
    for day in days:
        assert [each["euros"] for each in day["expenses"]] == [each.euros for each in read_day(day["text"]).expenses]


def test_a_town_is_that_of_the_command(server: Address, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"people": 12, "days": 4, "policy": ["tram=0"], "from_day": 3, "seed": 2}
    expected, _ = simulate_town(None, tmp_path / "town", notify=lambda text: None, **asked)
    assert post(server, "simulate", **asked) == json.loads(json.dumps(expected))
    lived = post(server, "simulate", model="town", people=2, days=1)
    assert set(lived["outcomes"]["meetings"]) == {"control"}


@pytest.mark.parametrize(
    ("what", "body", "param", "words"),
    [
        ("extract", {"model": "town", "template": TEMPLATE, "texts": [TEXT]}, "model", "lilliput extract train"),
        ("extract", {"model": "extractor", "template": {"n": "text"}, "texts": [TEXT]}, "template", "is no type"),
        ("extract", {"model": "extractor", "template": TEMPLATE, "texts": []}, "texts", "texts"),
        ("tables", {"model": "town"}, "model", "lilliput tables train"),
        ("tables", {"model": "rows", "where": {"town": "Oslo"}}, "where", "town"),
        ("tables", {"model": "rows", "count": 10_001}, "count", "count"),
        ("personas", {"model": "rows"}, "model", "lilliput personas train"),
        ("personas", {"tables": "/etc"}, None, "tables"),
        ("diaries", {"model": "town", "count": 1000}, "count", "7,000 days of people"),
        ("simulate", {"policy": ["tram=99"]}, "policy", "0, 2, 3"),
        ("simulate", {"from_day": 3}, "policy", "nothing begins on day 3"),
        ("simulate", {"people": 2000, "days": 60}, "people", "120,000 days of people"),
    ],
)
def test_what_cannot_be_made_is_refused(
    server: Address, what: str, body: dict[str, Any], param: str | None, words: str
) -> None:
    error = refused(server, f"/worlds/{what}", **body)
    assert words in error["message"]
    assert error["param"] == param or param is None


def test_a_table_generates_no_text(server: Address) -> None:
    error = refused(server, "/v1/completions", model="rows", prompt="Tom")
    assert (error["param"], "generates no text" in error["message"]) == ("model", True)


def test_a_model_of_no_world_has_none(models: list[Served], tmp_path: Path) -> None:
    assert worlds.world_in(tmp_path, models[0].objective) is None
    assert models[0].folder is not None
    assert worlds.world_in(models[0].folder, models[0].objective) == "people"
    assert worlds.world_in(models[0].folder, Table()) is None


# ---------------------------------------------------------------------------- the page


def test_the_views_of_the_page(browser: Any, server: Address) -> None:
    from playwright.sync_api import expect

    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(server.url)
    expect(page.locator("#model option")).to_have_text(["town", "extractor"])

    page.click("#tab-people")
    page.fill("#people-seed", "4")
    page.click("text=Make people")
    three = draw_people(fit_joint(read_marginals()), 3, seed=4)
    expect(page.locator("#people-made .sample")).to_have_text([tell(each) for each in three])
    page.click("text=Write diaries")
    expect(page.locator("#people-made mark").first).to_contain_text("[Expense: ")
    page.select_option("#policy-tram", "0")
    page.fill("#policy-from", "5")
    page.click("text=Simulate a town")
    expect(page.locator("#people-made .hint")).to_contain_text("3 made-up people, 7 days; tram=0 from day 5 on")
    expect(page.locator("#people-made svg").first).to_be_visible()
    page.fill("#policy-from", "9")
    page.click("text=Simulate a town")
    expect(page.locator("#people-made .error")).to_contain_text("day 9 of 7")

    page.click("#tab-tables")
    page.fill("#tables-where", "city = Rome\n")
    page.fill("#tables-count", "5")
    page.click("text=Make rows")
    cells = page.locator("#tables-made tbody td:nth-child(2)")
    expect(cells).to_have_text(["Rome"] * 5)
    with page.expect_download() as download:
        page.click("#tables-save")
    with open(download.value.path(), newline="") as file:
        saved = list(csv.reader(file))
    assert saved[0] == page.locator("#tables-made th").all_text_contents()
    assert saved[1:] == [row.locator("td").all_text_contents() for row in page.locator("#tables-made tbody tr").all()]

    page.click("#tab-extract")
    page.fill("#extract-text", TEXT)
    page.fill("#extract-template", json.dumps(TEMPLATE))
    page.click("text=Fill the template")
    expect(page.locator("#extract-made tbody tr")).to_have_count(2)
    values = json.loads(page.locator("#extract-made pre").inner_text())
    marked = page.locator("#extract-made mark")
    assert marked.all_text_contents() == ([values["name"]] if values["name"] else [])
    page.fill("#extract-template", "name")
    page.click("text=Fill the template")
    assert re.search("no JSON", page.eval_on_selector("#extract-template", "field => field.validationMessage"))
    page.set_viewport_size({"width": 390, "height": 800})
    for view in ("people", "tables", "extract"):
        page.click(f"#tab-{view}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
    assert [line for line in complaints if "400" not in line] == []

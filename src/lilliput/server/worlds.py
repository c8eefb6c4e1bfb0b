"""/worlds: templates filled from texts, rows of tables, and made-up people with their days; by a model or by rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from fastapi import APIRouter, Request

from lilliput.objectives.objective import ObjectiveConfig
from lilliput.runs.finding import inside
from lilliput.server import answers
from lilliput.server.errors import Refused, about
from lilliput.server.schemas import World
from lilliput.server.served import Served
from lilliput.server.service import Service, unless_left
from lilliput.server.world_schemas import (
    Diaries,
    DiariesRequest,
    Extracted,
    ExtractedText,
    ExtractRequest,
    People,
    PeopleRequest,
    Simulated,
    SimulateRequest,
    TableRequest,
    Tables,
)
from lilliput.worlds.agents.simulating import Simulation, live
from lilliput.worlds.extraction.extracting import extract
from lilliput.worlds.extraction.training import CHOICE
from lilliput.worlds.population.by_model import TABLES, ModelWriter
from lilliput.worlds.population.checking import check_diaries, check_people
from lilliput.worlds.population.files import Diary, diaries_of
from lilliput.worlds.population.joint import Joint, fit_joint
from lilliput.worlds.population.marginals import TOWN, Marginals, read_marginals
from lilliput.worlds.population.people import Person, draw_people
from lilliput.worlds.population.telling import tell
from lilliput.worlds.population.weeks import Writer, rule_writer
from lilliput.worlds.tables.generating import sampler_for, tables_of
from lilliput.worlds.tables.training import FITTED, load_fitted

T = TypeVar("T")
BY_MODEL, BY_RULE = 6_000, 40_000
"""Days of people that a request may ask for: about a minute and a few seconds of one core."""
MARKS: dict[World, str] = {"table": FITTED, "people": TABLES, "extraction": CHOICE}
"""What the folder of a run of each world holds."""


def world_in(folder: Path, objective: ObjectiveConfig) -> World | None:
    """Return what a model was trained for, by its objective and what its run's folder holds; None for other models."""
    wanted: dict[str, World] = {"table": "table", "causal": "people", "chat": "extraction"}
    world = wanted.get(objective.kind)
    return world if world and inside(folder, MARKS[world]) else None


def router(service: Service) -> APIRouter:
    """Return the routes for the models of `service`."""
    routes = APIRouter()

    async def computed(request: Request, model: str | None, work: Callable[[], T]) -> T:
        """Return the result of `work`, which is done in the thread of the model, or of the first one."""
        waiting = service.worker(model).compute(work, answers.client(request))
        with about("model"):
            return await unless_left(request, waiting)

    @routes.post("/worlds/extract")
    async def extraction(request: Request, body: ExtractRequest) -> Extracted:
        served = service.worker(body.model).served
        if served.chat is None:
            raise Refused(f"'{served.name}' fills no templates", "serve a run of lilliput extract train", param="model")
        return await computed(request, body.model, lambda: extracted(served, body))

    @routes.post("/worlds/tables")
    async def table(request: Request, body: TableRequest) -> Tables:
        served = service.worker(body.model).served
        if served.world != "table":
            raise Refused(f"'{served.name}' has no table", "serve a run of lilliput tables train", param="model")
        return await computed(request, body.model, lambda: sampled(served, body))

    @routes.post("/worlds/personas")
    async def personas(request: Request, body: PeopleRequest) -> People:
        maker = maker_of(service, body.model)
        return await computed(request, body.model, lambda: maker.people_of(body))

    @routes.post("/worlds/diaries")
    async def diaries(request: Request, body: DiariesRequest) -> Diaries:
        maker = maker_of(service, body.model)
        maker.check(body.count * body.days, "count")
        return await computed(request, body.model, lambda: maker.diaries(body))

    @routes.post("/worlds/simulate")
    async def simulation(request: Request, body: SimulateRequest) -> Simulated:
        maker = maker_of(service, body.model)
        asked = Simulation(body.model, body.people, body.days, body.seed, tuple(body.policy), body.from_day)
        with about("policy"):
            asked.check()
        maker.check(body.people * body.days * len(asked.arms), "people")
        return await computed(request, body.model, lambda: maker.town(asked))

    return routes


def extracted(served: Served, body: ExtractRequest) -> Extracted:
    """Fill the template from each text. Called in the worker's thread."""
    with about("template"):
        found = extract(served.generator, body.texts, body.template)
    return Extracted(model=served.name, texts=[ExtractedText.model_validate(each.as_dict()) for each in found])


def sampled(served: Served, body: TableRequest) -> Tables:
    """Generate rows of a table, or of two tables with a key. Called in the worker's thread."""
    assert served.folder is not None
    fitted = load_fitted(inside(served.folder, FITTED) or served.folder)
    with about("where"):
        sampler = sampler_for(served.generator.model, fitted, body.where, body.temperature)
        found = tables_of(sampler, fitted, body.count, body.seed)
    tables = {
        name: {"columns": list(each), "rows": list(zip(*each.values(), strict=True))} for name, each in found.items()
    }
    return Tables.model_validate({"model": served.name, "tables": tables})


# ---------------------------------------------------------------------------- people


def maker_of(service: Service, model: str | None) -> Maker:
    """Return the maker of people by a served model, or by rule where `model` is None. Raises Refused for a model that
    was not trained on people."""
    if model is None:
        return Maker(None, TOWN)
    served = service.worker(model).served
    if served.world != "people":
        hint = "serve a run of lilliput personas train, or leave 'model' out: people by rule"
        raise Refused(f"'{served.name}' was not trained on people", hint, param="model")
    assert served.folder is not None
    return Maker(served, inside(served.folder, TABLES) or TOWN)


class Maker:
    """Makes people, their days and towns: by a model, or by rule. All but `check` is called in the worker's thread."""

    def __init__(self, served: Served | None, tables: Path):
        self.served, self.tables = served, tables
        self.by = "rule" if served is None else served.name

    def check(self, days: int, param: str) -> None:
        """Raise Refused for more days of people than a request may ask for."""
        most = BY_RULE if self.served is None else BY_MODEL
        if days > most:
            command = "lilliput simulate" if param == "people" else "lilliput diaries"
            message = f"{days:,} days of people are asked for, and an answer holds at most {most:,}"
            raise Refused(message, f"ask for fewer, or use the command: {command}", param=param)

    def people_of(self, body: PeopleRequest) -> People:
        """Make people, with their texts and their fit to the tables."""
        people = self._people(body.count, body.seed)
        rows = [{**each.model_dump(mode="json"), "text": tell(each)} for each in people]
        return People(by=self.by, people=rows, fit=check_people(people, _marginals(self.tables)))

    def diaries(self, body: DiariesRequest) -> Diaries:
        """Make people, each with a diary, and the report of the diaries."""
        people = self._people(body.count, body.seed)
        found = list(diaries_of(people, self._writer(), body.days, body.seed))
        rows = [
            {"person": each.person.model_dump(mode="json"), "text": tell(each.person), "days": days_of(each)}
            for each in found
        ]
        return Diaries(by=self.by, diaries=rows, report=check_diaries(found))

    def town(self, asked: Simulation) -> Simulated:
        """Simulate a town. Its people are drawn from the tables, also where a model writes their days."""
        people = draw_people(_joint(self.tables), asked.people, asked.seed)
        with TemporaryDirectory() as folder:
            return Simulated.model_validate(live(Path(folder), asked, people, self._writer()))

    def _people(self, count: int, seed: int) -> list[Person]:
        if self.served is None:
            return draw_people(_joint(self.tables), count, seed)
        return self._model().people(count, seed)

    def _writer(self) -> Writer:
        return rule_writer if self.served is None else self._model()

    def _model(self) -> ModelWriter:
        assert self.served is not None
        generator = self.served.generator
        return ModelWriter(generator.decoder, generator.tokenizer, _marginals(self.tables))


def days_of(diary: Diary) -> list[dict[str, Any]]:
    """Return the days of a diary: the text of each, and its expenses and interactions."""
    return [
        {
            "text": str(day),
            "expenses": list(map(asdict, day.expenses)),
            "interactions": list(map(asdict, day.interactions)),
        }
        for day in diary.days
    ]


@cache
def _marginals(tables: Path) -> Marginals:
    return read_marginals(tables)


@cache
def _joint(tables: Path) -> Joint:
    return fit_joint(_marginals(tables))

"""Schemas of /worlds: templates, tables, people, diaries and towns. All of them are our own."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from lilliput.server.neutral import Body

Seed = Annotated[int, Field(ge=0, lt=2**31, description="the same seed makes the same answer")]
Model = Annotated[str | None, Field(description="a name from /v1/models; the first one if left out")]
ByModel = Annotated[
    str | None, Field(description="a model of people, by its name from /v1/models; by rule if left out")
]
Days = Annotated[int, Field(ge=1, le=60, description="days that follow each other, from a Monday")]


class ExtractRequest(Body):
    model: Model = None
    template: dict[str, Any] = Field(description='types by name of field, such as {"name": "verbatim-string"}')
    texts: Annotated[list[str], Field(min_length=1, max_length=64)]


class Leaf(BaseModel):
    """A value at a path of the template, with its characters in the text and the log-probability of its tokens, in
    nats."""

    path: str
    value: Any
    start: int | None
    end: int | None
    log_probability: float | None


class ExtractedText(BaseModel):
    values: dict[str, Any]
    fields: list[Leaf]
    windows: int
    cut: bool


class Extracted(BaseModel):
    """A filled template for each text. `windows` are the parts in which a long text was read; `cut` says that an answer
    did not fit into the context, so that values may be missing."""

    model: str
    texts: list[ExtractedText]


class TableRequest(Body):
    model: Model = None
    count: Annotated[int, Field(ge=1, le=10_000, description="rows; or entities, each with all of its rows")] = 20
    where: dict[str, str] = Field(default={}, description='by column a value, "A|B" or a range "18..30"')
    temperature: Annotated[float, Field(gt=0, le=2)] = 1.0
    seed: Seed = 0


class TableRows(BaseModel):
    columns: list[str]
    rows: list[list[str | None]]


class Tables(BaseModel):
    """Made rows, by name of the table: "rows", or the names of a parent and a child table."""

    model: str
    tables: dict[str, TableRows]


class PeopleRequest(Body):
    model: ByModel = None
    count: Annotated[int, Field(ge=1, le=1000)] = 10
    seed: Seed = 0


class People(BaseModel):
    """People, each with a text in the first person, and their fit to the aggregate tables."""

    by: str
    people: list[dict[str, Any]]
    fit: dict[str, Any]


class DiariesRequest(Body):
    model: ByModel = None
    count: Annotated[int, Field(ge=1, le=1000, description="people")] = 3
    days: Days = 7
    seed: Seed = 0


class Diaries(BaseModel):
    """People, each with days, and the report of all days: euros by category, and days that contradict the person."""

    by: str
    diaries: list[dict[str, Any]]
    report: dict[str, Any]


class SimulateRequest(Body):
    model: ByModel = None
    people: Annotated[int, Field(ge=1, le=2000)] = 100
    days: Days = 14
    policy: Annotated[list[str], Field(max_length=3, description='such as ["tram=0"]')] = Field(default=[])
    from_day: Annotated[int, Field(ge=1, description="the first day of the policy")] = 1
    seed: Seed = 0


class Simulated(BaseModel):
    """What the days of a town come to, with and without the policy: means a person by day (`series`), means a person
    and day from the policy's first day on with the difference and its 95% interval (`outcomes`), and accounts at the
    end (`left`)."""

    settings: dict[str, Any]
    series: dict[str, dict[str, list[float]]]
    outcomes: dict[str, dict[str, float]]
    left: dict[str, dict[str, float]]

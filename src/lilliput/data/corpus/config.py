"""CorpusConfig: what `lilliput data prepare` reads, and where it works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from lilliput.base.config import Config, override, read_yaml, validate
from lilliput.base.errors import ConfigError
from lilliput.base.registered import OneOf
from lilliput.data.config import listed
from lilliput.data.infer import infer_sources
from lilliput.data.source import SOURCES, Errors, Source
from lilliput.data.steps import STEPS, Step


class Executor(Config):
    """`executor`: the processes and machines that work. They do not change the result."""

    kind: Literal["local", "datatrove", "slurm", "ray"] = Field(
        default="local",
        description="local: processes here; datatrove, slurm, ray: datatrove's executors of local processes, "
        "of a Slurm cluster and of a Ray cluster (extra `cluster`)",
    )
    workers: int | None = Field(
        default=None, gt=0, description="processes at a time; null: one a core (slurm: as many as there are tasks)"
    )
    tasks: int = Field(
        default=16, gt=0, description="tasks of datatrove's executors, each with its share of the chunks"
    )
    time: str = Field(default="10:00:00", description="slurm: the limit of a task, such as 10:00:00")
    partition: str = Field(default="cpu", description="slurm: the partition")
    memory_gb: int = Field(default=4, gt=0, description="slurm and ray: memory of a task, in GB")
    options: Mapping[str, Any] = Field(
        default_factory=dict, description="further arguments of datatrove's executor, such as {qos: low}"
    )


class CorpusConfig(Config):
    """A corpus: sources, the steps that change or drop their documents, and the processes that work."""

    sources: tuple[Annotated[Source, OneOf(SOURCES)], ...] = Field(
        min_length=1, description="the sources of documents, each with a profile of its own where it needs one"
    )
    steps: tuple[Annotated[Step, OneOf(STEPS)], ...] = Field(
        default=(), description="the steps for all documents, in order, behind the profiles of the sources"
    )
    errors: Errors = Field(
        default="strict", description="strict: bytes that are not UTF-8 are an error; replace: they become U+FFFD"
    )
    max_documents: int | None = Field(default=None, gt=0, description="most documents that are read of each source")
    chunk_bytes: int = Field(
        default=16_000_000, gt=0, description="text of a chunk; a chunk is done whole, or again after an interruption"
    )
    executor: Executor = Field(default_factory=Executor, description="the processes that work")

    _is_list = field_validator("sources", "steps", mode="before")(listed)


def load(file: Path | None, data: Sequence[str], assignments: Sequence[str], profile: str | None) -> CorpusConfig:
    """Return the config of a YAML file, or of the words after --data, changed by overrides such as
    `executor.workers=4`; each word is a source. A recipe gives its `data` section. `profile` is that of all
    sources. Raises ConfigError."""
    values: dict[str, Any] = {} if file is None else dict(read_yaml(file))
    if "data" in values:
        known = CorpusConfig.model_fields.keys()
        values = {key: value for key, value in dict(values["data"]).items() if key in known}
    if data:
        values["sources"] = [source.model_dump(mode="json") for path in data for source in infer_sources([path])]
    if not values.get("sources"):
        raise ConfigError(
            "no source is named", "name files: lilliput data prepare --data 'texts/*.jsonl' --profile web"
        )
    if profile is not None:
        values["sources"] = [{**_mapping(source), "profile": profile} for source in values["sources"]]
    changes = [text.removeprefix("data.") for text in assignments]  # as in a recipe, and in the hints of sources
    return validate(CorpusConfig, override(values, changes), str(file or "the command line"))


def _mapping(source: Any) -> dict[str, Any]:
    return {"kind": source} if isinstance(source, str) else dict(source)

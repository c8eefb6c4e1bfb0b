"""Plan: the groups of files of a corpus, the steps of each, and the keys under which results are kept.

The key of a step is a hash of all that decides its outcomes: the documents, the steps before it, its own settings, its
code and the files that it reads. So after a change the results of earlier steps are found again, and those of later
steps are not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lilliput.base.config import validate
from lilliput.base.damage import read_sealed, write_sealed
from lilliput.base.errors import DataError
from lilliput.data.corpus.config import CorpusConfig
from lilliput.data.files import FileSource, digest
from lilliput.data.profiles import choose, steps_of
from lilliput.data.source import Source, documents_of, hash_of
from lilliput.data.steps import CorpusStep, Step

FORMAT = 1
"""Raise this number whenever the files of the work folder change."""
KEY = 24
"""Hex digits of a key."""
ROOM = "lilliput.data.steps"


@dataclass(frozen=True, slots=True)
class Planned:
    """A step of a group: its number in the plan's list of steps, the key of its outcomes, and for a step that looks at
    all documents the groups whose documents it sees."""

    step: int
    key: str
    scope: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Files of a source, or a whole source, whose documents are read together: the number of the source, the files, the
    key of the documents, and the steps that they pass."""

    source: int
    paths: tuple[str, ...] | None
    key: str
    steps: tuple[Planned, ...]

    @property
    def result(self) -> str:
        """The key of what is left behind the last step."""
        return self.steps[-1].key if self.steps else self.key


@dataclass(frozen=True)
class Plan:
    """A corpus config with its groups, and all steps with the number of the source that they belong to."""

    config: CorpusConfig
    groups: tuple[Group, ...]
    steps: tuple[tuple[Step, int | None], ...]

    def source_of(self, group: Group) -> Source:
        """Return the source of a group, restricted to the group's files."""
        source = self.config.sources[group.source]
        return source if group.paths is None else source.model_copy(update={"paths": group.paths})

    def barriers(self) -> int:
        """Return the most steps of a group that look at all documents."""
        return max(sum(bool(each.scope) for each in group.steps) for group in self.groups)

    def write(self, path: Path) -> None:
        """Write the plan for the processes that work."""
        groups = [asdict(group) for group in self.groups]
        write_sealed(path, {"format": FORMAT, "config": self.config.model_dump(mode="json"), "groups": groups})

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Raises DataError for a plan that cannot be used."""
        try:
            values = read_sealed(path)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} cannot be used: {error}", "type the command of `lilliput data prepare` again"
            ) from None
        config = validate(CorpusConfig, values["config"], str(path))
        return cls(config, tuple(_group(group) for group in values["groups"]), _steps(config))


def _group(values: Mapping[str, Any]) -> Group:
    steps = tuple(Planned(each["step"], each["key"], tuple(each["scope"])) for each in values["steps"])
    return Group(values["source"], values["paths"] and tuple(values["paths"]), values["key"], steps)


def plan(config: CorpusConfig) -> Plan:
    """Return the plan of a corpus. The profile `auto` of a source is chosen here. Raises DataError for sources that
    cannot be read."""
    chosen = [
        source.model_copy(update={"profile": choose(documents_of(source, number, config.errors))})
        if source.profile == "auto"
        else source
        for number, source in enumerate(config.sources)
    ]
    config = config.model_copy(update={"sources": tuple(chosen)})
    steps = _steps(config)
    found: list[tuple[int, tuple[str, ...] | None, str]] = []
    for number, source in enumerate(config.sources):
        for paths in _files(source, config):
            part = source if paths is None else source.model_copy(update={"paths": paths})
            inputs = (FORMAT, part.fingerprint(), config.errors, config.max_documents, config.chunk_bytes)
            found.append((number, paths, hash_of(*inputs)[:KEY]))
    keys = [key for _, _, key in found]
    chains: list[list[Planned]] = [[] for _ in found]
    for number, (step, source) in enumerate(steps):
        scope = [place for place, (one, _, _) in enumerate(found) if source in (None, one)]
        own = step.fingerprint(), code_of(type(step))
        together = hash_of(*[keys[place] for place in scope])
        for place in scope:
            seen = tuple(scope) if isinstance(step, CorpusStep) else ()
            keys[place] = hash_of(together if seen else keys[place], *own)[:KEY]
            chains[place].append(Planned(number, keys[place], seen))
    groups = (Group(*each, tuple(chain)) for each, chain in zip(found, chains, strict=True))
    return Plan(config, tuple(groups), steps)


def _steps(config: CorpusConfig) -> tuple[tuple[Step, int | None], ...]:
    """Return all steps, each with the number of its source (None: all sources)."""
    profiles = [(step, number) for number, source in enumerate(config.sources) for step in steps_of(source.profile)]
    return (*profiles, *((step, None) for step in config.steps))


def _files(source: Source, config: CorpusConfig) -> Iterator[tuple[str, ...] | None]:
    """Yield the files of each group: neighbours, until they have the size of a chunk. None is the whole source."""
    if not isinstance(source, FileSource) or config.max_documents:
        yield None
        return
    group: list[str] = []
    size = 0
    for path in source.files():
        group.append(str(path))
        size += path.stat().st_size
        if size >= config.chunk_bytes:
            yield tuple(group)
            group, size = [], 0
    if group:
        yield tuple(group)


def code_of(step: type[Step]) -> str:
    """Return a hash of the code that a step runs: its module, and the modules of the steps' room that it imports."""
    return hash_of(*sorted(_modules(step.__module__)))


@cache
def _modules(name: str) -> frozenset[tuple[str, str]]:
    """Return the name and the hash of a module and of those that it imports, within the steps' room."""
    found: dict[str, str] = {}
    waiting = [name]
    while waiting:
        module = waiting.pop()
        spec = find_spec(module)
        if module in found or spec is None or spec.origin is None:
            continue
        path = Path(spec.origin)
        found[module] = digest(path)
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{ROOM}."):
                waiting.append(str(node.module))
    return frozenset(found.items())

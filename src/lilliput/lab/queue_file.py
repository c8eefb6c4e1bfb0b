"""experiments.yaml: read as typed entries, and changed in place, so that comments and order stay."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field

from lilliput.base import foreign
from lilliput.base.config import Config, validate
from lilliput.base.errors import ConfigError, FileError
from lilliput.base.files import write_text
from lilliput.base.reading import LARGEST_YAML, from_yaml, read_bytes

Status = Literal["todo", "running", "done", "failed"]


def _words(values: Any) -> Any:
    """Turn numbers into the text of environment variables; `local` sets no variables. A bare yes or true is refused,
    because YAML reads both as the same value and the meant word is lost."""
    if values == "local":
        return {}
    if isinstance(values, str):
        raise ValueError("runs train on this machine: give local, or variables such as {OMP_NUM_THREADS: 2}")
    if not isinstance(values, Mapping):
        return values
    if unclear := [key for key, value in values.items() if isinstance(value, bool)]:
        raise ValueError(f"{', '.join(map(str, unclear))}: put the value in quotes")
    return {key: str(value) if isinstance(value, int | float) else value for key, value in values.items()}


def _one_device(value: Any) -> Any:
    if value == 1 and not isinstance(value, bool):
        return "auto"
    if isinstance(value, int | list):
        raise ValueError("a run trains on one device: auto, cpu, mps, cuda or cuda:N")
    return value


def _settings(values: Any) -> Any:
    if isinstance(values, list | tuple):
        try:
            foreign.refuse([str(value) for value in values], ())
        except ConfigError as error:
            raise ValueError("; ".join(filter(None, (error.message, error.hint)))) from None
    return values


class LastRun(Config):
    """The last process of an experiment: its host, its start and its end."""

    pid: int
    host: str
    started: str
    ended: str | None = None
    exit: int | None = None
    reason: str | None = None


class Experiment(Config):
    """One entry of experiments.yaml.

    name         of the run: runs/NAME, beside the file
    config       a recipe file, relative to the file's folder, or a shipped recipe's name
    overrides    section.key=value, as on the command line
    devices      auto, cpu, mps, cuda or cuda:N; 1 is auto
    environment  variables of the training process; `local` for none
    status       todo, running, done or failed
    last_run     written by the worker
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    config: str
    overrides: Annotated[tuple[str, ...], BeforeValidator(_settings)] = ()
    devices: Annotated[str, BeforeValidator(_one_device)] = "auto"
    environment: Annotated[dict[str, str], BeforeValidator(_words)] = Field(default_factory=dict)
    status: Status = "todo"
    last_run: LastRun | None = None


class QueueFile:
    """The file's content when it was read. The file is a list of entries, or a mapping whose `experiments` is a
    list."""

    def __init__(self, path: Path):
        """Read the file. Raises ConfigError for a missing file, for a file of another form, and for a name that occurs
        twice."""
        self.path = Path(os.path.realpath(path))  # unlike resolve(), it takes links that lead to themselves
        self.text = _read(path)
        self.experiments = [
            validate(Experiment, entry if isinstance(entry, Mapping) else {}, f"{path}, experiment {number}")
            for number, entry in enumerate(_entries(_load(self.text, path), path), 1)
        ]
        names = [experiment.name for experiment in self.experiments]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"{path} names {', '.join(twice)} twice; each is a run folder of its own")

    def update(self, name: str, **values: Any) -> None:
        """Write values into the entry `name`, and change no other part of the file. Raises ConfigError where the entry
        is gone, or where a YAML alias makes the change affect other entries."""
        names = [experiment.name for experiment in self.experiments]
        if name not in names:
            raise ConfigError(f"{self.path} has no experiment '{name}' any more; its status could not be written")
        index, text = names.index(name), self.text
        for key, value in values.items():
            text = _put(text, index, key, value)
        expected, found = _load(self.text, self.path), _load(text, self.path)
        entries = _entries(expected, self.path)
        entries[index] = {**entries[index], **values}
        if found != expected:
            raise ConfigError(
                f"{self.path}: the status of '{name}' cannot be changed without changing more of the file",
                "write the entry out, one key a line, with no alias",
            )
        write_text(self.path, text)
        self.text = text


def _read(path: Path) -> str:
    try:
        return read_bytes(path, LARGEST_YAML).decode("utf-8")  # as bytes, so that line ends stay unchanged
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}", "name a file with --file; docs/tiny_stories.md shows one") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: {error}") from None


def _load(text: str, path: Path) -> Any:
    try:
        return from_yaml(text)
    except FileError as error:
        raise ConfigError(f"{path} {error.message}") from None


def _entries(values: Any, path: Path) -> list[Any]:
    entries = values.get("experiments") if isinstance(values, Mapping) else values
    if not isinstance(entries, list):
        raise ConfigError(f"{path} holds no list of experiments", "begin it with 'experiments:' and '- name: ...'")
    return entries


def _put(text: str, index: int, key: str, value: Any) -> str:
    """Return `text` with `key: value` in the entry `index`. An old value is replaced; a missing key is added."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        root = next(node for name, node in root.value if name.value == "experiments")
    entry = root.value[index]
    shown = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=float("inf"), allow_unicode=True)
    shown = shown.removesuffix("\n").removesuffix("\n...")
    for name, node in entry.value:
        if name.value == key:
            start, end = node.start_mark.index, _end(text, node)
            return text[:start] + ("" if end > start else " ") + shown + text[end:]
    last = _end(text, entry.value[-1][1])
    if entry.flow_style:
        return f"{text[:last]}, {key}: {shown}{text[last:]}"
    line_end = text.find("\n", last)
    line_end = len(text) if line_end < 0 else line_end - (text[line_end - 1] == "\r")
    gap = ("\r\n" if "\r\n" in text else "\n") + " " * entry.value[0][0].start_mark.column
    return f"{text[:line_end]}{gap}{key}: {shown}{text[line_end:]}"


def _end(text: str, node: yaml.Node) -> int:
    """Return the place where the node's own text ends. PyYAML's end mark of a block lies after the comments that follow
    the block, so the end of the block's last leaf counts. An empty value starts and ends at the same place."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(node, yaml.MappingNode) else last)
    start, end = node.start_mark.index, node.end_mark.index
    return start + len(text[start:end].rstrip())

"""Look: the figures that the instruments measured in one model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lilliput.base.errors import CheckpointError
from lilliput.base.reading import read_object
from lilliput.base.runtime import state
from lilliput.lens.instrument import INSTRUMENTS, PARTS, Instrument, Subject


@dataclass(frozen=True, slots=True)
class Look:
    """The content of lens.json.

    model    the name of the model, such as `story` or `story/step-0001000`
    facts    the model's size, the text that it read, and the controls: JSON values, by the words for a person
    key      the weights, the text and the options; two looks with the same key measured the same
    found    the figures of each instrument, by its name
    refused  why an instrument does not fit the model, by its name
    runtime  the allocator, the products and the versions of libraries that computed the figures
    seconds  the time that each instrument took
    """

    model: str
    facts: dict[str, Any]
    key: str
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    runtime: dict[str, str] = field(default_factory=dict, compare=False)
    seconds: dict[str, float] = field(default_factory=dict, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the content of lens.json. It holds no times: the same model, text, options and runtime give the
        same file."""
        values = asdict(self)
        del values["seconds"]
        return values

    @classmethod
    def read(cls, path: Path) -> Look:
        """Return the look that was kept as `path`. Raises CheckpointError for a damaged file."""
        try:
            values = read_object(path)
            found, refused, runtime = values["found"], values["refused"], values.get("runtime", {})
            about = str(values["model"]), dict(values["facts"]), str(values["key"])
            return cls(*about, dict(found), dict(refused), dict(runtime))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} cannot be used: {error}", "delete it; lilliput lens writes it") from None


def ordered(names: Sequence[str] = ()) -> list[str]:
    """Return the names of instruments in the order of the page; all of them without `names`. Raises ConfigError for an
    unknown name."""
    parts = list(PARTS)
    chosen = {name: INSTRUMENTS[name] for name in names or INSTRUMENTS}
    return sorted(chosen, key=lambda name: (parts.index(chosen[name].part), chosen[name].order, name))


def measure(
    subject: Subject,
    name: str,
    facts: Mapping[str, Any],
    key: str,
    instruments: Sequence[str],
    begins: Callable[[str], None] = lambda name: None,
    done: Callable[[], None] = lambda: None,
) -> Look:
    """Measure a model by the instruments with these names. `begins` is called with the name of an instrument before it
    measures, and `done` after it. An instrument that refuses the model is left out, with its reason. An instrument's
    error is raised."""
    look = Look(name, dict(facts), key, runtime=state.recorded())
    for one in instruments:
        begins(one)
        instrument: Instrument = INSTRUMENTS[one]()
        began = time.perf_counter()
        if reason := instrument.refuses(subject):
            look.refused[one] = reason
        else:
            look.found[one] = plain(instrument.measure(subject))
        look.seconds[one] = time.perf_counter() - began
        done()
    return look


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures as JSON holds them: the keys are texts, and a number that JSON lacks (NaN) is None. Raises
    TypeError for another value, such as a tensor."""
    return json.loads(json.dumps(values), parse_constant=lambda name: None)

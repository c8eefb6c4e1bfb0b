"""Writers of a town's days: by rule, by a model in this process, or by a model in several processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from lilliput.worlds.population.by_model import ModelWriter, writer_of
from lilliput.worlds.population.days import Day, Heading
from lilliput.worlds.population.people import Person
from lilliput.worlds.population.weeks import Writer, rule_writer

CHUNK = 512
"""People whose days are written together. It does not depend on the number of processes, so that days do not either."""


@contextmanager
def writer_for(run: str | Path | None, workers: int = 1) -> Iterator[Writer]:
    """Give a writer: days by rule where `run` is None, else by its model in `workers` processes of one thread each.
    Raises LilliputError."""
    if run is None:
        yield rule_writer
    elif workers == 1:
        made = writer_of(run)
        yield lambda people, headings, seeds: [day for part in _parts(people, headings, seeds) for day in made(*part)]
    else:
        writer_of(run)  # an error of the run is reported here, and not by a process
        with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (str(run),)) as pool:
            yield lambda people, headings, seeds: [
                day for days in pool.map(_write, *zip(*_parts(people, headings, seeds), strict=True)) for day in days
            ]


Part = tuple[Sequence[Person], Sequence[Heading], Sequence[int]]


def _parts(people: Sequence[Person], headings: Sequence[Heading], seeds: Sequence[int]) -> Iterator[Part]:
    for start in range(0, len(people), CHUNK):
        place = slice(start, start + CHUNK)
        yield people[place], headings[place], seeds[place]


_MADE: list[ModelWriter] = []
"""The writer of this process."""


def _begin(run: str) -> None:
    import torch

    torch.set_num_threads(1)
    _MADE.append(writer_of(run))


def _write(people: Sequence[Person], headings: Sequence[Heading], seeds: Sequence[int]) -> list[Day]:
    return _MADE[0](people, headings, seeds)

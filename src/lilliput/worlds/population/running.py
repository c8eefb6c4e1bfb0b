"""make_people, make_diaries and checks: people and their days by rule or by a run, into files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lilliput.base.console import progress
from lilliput.base.errors import ConfigError
from lilliput.base.files import write_text
from lilliput.worlds.population.by_model import tables_folder, writer_of
from lilliput.worlds.population.checking import check_diaries, check_people
from lilliput.worlds.population.files import WEEK, diaries_of, read_diaries, read_people, write_diaries, write_people
from lilliput.worlds.population.joint import fit_joint
from lilliput.worlds.population.marginals import TOWN, Marginals, read_marginals
from lilliput.worlds.population.page import diaries_page, people_page
from lilliput.worlds.population.people import Person, draw_people
from lilliput.worlds.population.weeks import rule_writer


def people_of(
    count: int,
    *,
    run: str | Path | None = None,
    tables: str | Path | None = None,
    trained: str | Path | None = None,
    seed: int = 0,
) -> list[Person]:
    """Return people: written by a run where one is given; else drawn from the tables of a folder, of the run `trained`,
    or of the made-up town. Raises LilliputError."""
    if run is not None:
        if tables is not None:
            raise ConfigError("a run has tables of its own", "leave --tables out")
        return writer_of(run).people(count, seed)
    return draw_people(fit_joint(tables_of(trained, tables)), count, seed)


def tables_of(run: str | Path | None, tables: str | Path | None) -> Marginals:
    """Return the aggregate tables of a folder, else of a run, else of the made-up town."""
    return read_marginals(tables_folder(run) if run is not None and tables is None else tables or TOWN)


def make_people(
    out: str | Path,
    count: int = 1000,
    *,
    run: str | Path | None = None,
    tables: str | Path | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Write people into a JSON lines file (see people_of), and return their fit to the tables (check_people). Raises
    LilliputError."""
    found = people_of(count, run=run, tables=tables, seed=seed)
    write_people(out, found)
    return check_people(found, tables_of(run, tables))


def report_people(file: str | Path, *, tables: str | Path | None = None) -> tuple[dict[str, Any], Path]:
    """Compare the people of a file with aggregate tables. Writes a page beside the file. Returns the figures and the
    page. Raises LilliputError."""
    found = check_people(read_people(file), read_marginals(tables or TOWN))
    page = Path(file).with_suffix(".html")
    write_text(page, people_page(found))
    return found, page


def make_diaries(
    people: str | Path, out: str | Path, *, run: str | Path | None = None, days: int = WEEK, seed: int = 0
) -> dict[str, Any]:
    """Write a diary for each person of a file, by rule or by a run, and return the report (check_diaries). Raises
    LilliputError."""
    residents = read_people(people)
    writer = rule_writer if run is None else writer_of(run)
    with progress("days of diaries", days * len(residents)) as bar:
        found = list(diaries_of(residents, writer, days, seed, bar.advance))
    write_diaries(out, found)
    return check_diaries(found)


def report_diaries(file: str | Path) -> tuple[dict[str, Any], Path]:
    """Read the diaries of a file and report them. Writes a page beside the file, and returns the figures and the page.
    Raises LilliputError."""
    diaries = read_diaries(file)
    found = check_diaries(diaries)
    page = Path(file).with_suffix(".html")
    write_text(page, diaries_page(found, [str(each) for each in diaries[:3]]))
    return found, page

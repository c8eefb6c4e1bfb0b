"""Looking inside a model: every instrument on one model, and the page of what they found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lilliput.assembly.recipe import run_of
from lilliput.assembly.subject import look_at
from lilliput.base.console import print_line, progress
from lilliput.base.errors import ConfigError
from lilliput.base.files import write_json, write_text
from lilliput.lens.look import Look, measure, ordered
from lilliput.lens.page import page
from lilliput.runs.finding import find
from lilliput.runs.names import LENS, LENS_FIGURES


@dataclass(frozen=True, slots=True)
class Looked:
    """What `look_inside` found, and the files that hold it."""

    look: Look
    page: Path
    figures: Path


def look_inside(
    path: str | Path,
    only: Sequence[str] = (),
    *,
    data: str | Sequence[str] = (),
    fit: Sequence[str] = (),
    beside: str | Path | None = None,
    thorough: bool = False,
    output: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    notify: Callable[[str], None] = print_line,
) -> Looked:
    """Look inside the model at `path` (a run, a checkpoint, a Hugging Face folder) with all instruments, or with those
    in `only`, and write lens.html and lens.json into the folder of the run, or an HTML page `output` with its figures
    beside it.

    The instruments read held-out rows of the run's own text, or of the text `data`; a model without a run reads stories
    of the built-in world. `fit` holds overrides of how `data` is read. `beside` is a run of the same recipe with
    another seed, a further control. With `thorough` instruments may take minutes. Raises ConfigError for an unknown
    instrument and for a file of another kind than HTML."""
    names = ordered(only)
    files = _files(path, output)
    paths = [data] if isinstance(data, str) else list(data)
    seen = look_at(path, paths, fit=fit, beside=beside, thorough=thorough, seed=seed, device=device, notify=notify)
    with progress("looking inside", len(names), "instruments") as bar:
        look = measure(seen.subject, seen.name, seen.facts, seen.key, names, bar.describe, bar.advance)
    write_text(files[0], page(look))
    write_json(files[1], look.as_dict())
    return Looked(look, *files)


def _files(path: str | Path, output: str | Path | None) -> tuple[Path, Path]:
    """Return the page and the file of its figures. Those of a checkpoint stand in its run's folder, with its name,
    because a checkpoint's own folder is verified file by file."""
    if output is not None:
        target = page_file(output)
        return target, target.with_suffix(".json")
    folder, run = find(path), run_of(path)
    if run is None:
        return folder / LENS, folder / LENS_FIGURES
    if folder.resolve() == run.path.resolve():
        return run.lens, run.lens_figures
    step = folder.parent.name if folder.name == "model" else folder.name
    name = run.lens.with_name(f"{run.lens.stem}-{step}{run.lens.suffix}")
    return name, name.with_suffix(".json")


def page_file(output: str | Path) -> Path:
    """Return the file of a page. Raises ConfigError for another kind of file, and where its folder is missing."""
    target = Path(output)
    if target.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--output {target} is not the name of a page", "name an HTML file: --output lens.html")
    if not target.parent.is_dir():
        raise ConfigError(f"there is no folder {target.parent} for the page", f"make it: mkdir -p {target.parent}")
    return target

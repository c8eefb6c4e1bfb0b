"""The public Python API: one function for each command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lilliput.base.console import print_line
from lilliput.base.deprecation import warn_renamed
from lilliput.base.runtime import start

if TYPE_CHECKING:
    from lilliput.assembly.curating import CorpusConfig, prepare
    from lilliput.assembly.evaluation import evaluate, score_text
    from lilliput.assembly.generating import generate
    from lilliput.assembly.held_out import evaluate_held_out
    from lilliput.assembly.judging import judge
    from lilliput.assembly.looking import look_inside
    from lilliput.assembly.looking_across import compare_inside, look_through
    from lilliput.assembly.overlaps import overlaps
    from lilliput.assembly.recipe import Recipe
    from lilliput.data.columns.inferring import infer_schema
    from lilliput.evaluation.benchmarks.benchmarking import benchmark
    from lilliput.evaluation.judge.stories import complete
    from lilliput.formats.exchange import export, import_file, pull, push
    from lilliput.generation.conversation import Conversation
    from lilliput.generation.loading import chat, load
    from lilliput.generation.masks import fill
    from lilliput.generation.run import Run
    from lilliput.generation.scoring import score
    from lilliput.generation.text_generator import TextGenerator
    from lilliput.generation.vectors import embed, neighbours
    from lilliput.lab.compare import compare
    from lilliput.lab.labelling.labelling import LabelOptions, label
    from lilliput.planning.planning import plan
    from lilliput.planning.sweep import sweep
    from lilliput.runs.reporting import report
    from lilliput.server.serving import serve
    from lilliput.training.callbacks import Callback
    from lilliput.worlds.agents.simulating import simulate_town
    from lilliput.worlds.extraction.evaluating import evaluate_extractor
    from lilliput.worlds.extraction.extracting import extract
    from lilliput.worlds.extraction.training import train_extractor
    from lilliput.worlds.population.running import make_diaries, make_people, report_diaries, report_people
    from lilliput.worlds.population.training import train_population
    from lilliput.worlds.tables.generating import sample_table
    from lilliput.worlds.tables.running import evaluate_table, train_table

if TYPE_CHECKING:
    from lilliput.planning.doctor import Diagnosis

__all__ = [
    "Conversation",
    "CorpusConfig",
    "LabelOptions",
    "Run",
    "TextGenerator",
    "benchmark",
    "chat",
    "compare",
    "compare_inside",
    "complete",
    "doctor",
    "embed",
    "evaluate",
    "evaluate_extractor",
    "evaluate_held_out",
    "evaluate_table",
    "export",
    "extract",
    "fill",
    "generate",
    "import_file",
    "infer_schema",
    "judge",
    "label",
    "load",
    "look_inside",
    "look_through",
    "make_diaries",
    "make_people",
    "neighbours",
    "overlaps",
    "plan",
    "prepare",
    "pull",
    "push",
    "report",
    "report_diaries",
    "report_people",
    "sample_table",
    "score",
    "score_text",
    "serve",
    "simulate_town",
    "sweep",
    "train",
    "train_extractor",
    "train_population",
    "train_table",
]

_HOMES = {
    "lilliput.assembly.curating": ("CorpusConfig", "prepare"),
    "lilliput.assembly.evaluation": ("evaluate", "score_text"),
    "lilliput.assembly.generating": ("generate",),
    "lilliput.assembly.held_out": ("evaluate_held_out",),
    "lilliput.assembly.judging": ("judge",),
    "lilliput.assembly.looking": ("look_inside",),
    "lilliput.assembly.looking_across": ("compare_inside", "look_through"),
    "lilliput.assembly.overlaps": ("overlaps",),
    "lilliput.data.columns.inferring": ("infer_schema",),
    "lilliput.evaluation.benchmarks.benchmarking": ("benchmark",),
    "lilliput.evaluation.judge.stories": ("complete",),
    "lilliput.formats.exchange": ("export", "import_file", "pull", "push"),
    "lilliput.generation.conversation": ("Conversation",),
    "lilliput.generation.loading": ("chat", "load"),
    "lilliput.generation.masks": ("fill",),
    "lilliput.generation.run": ("Run",),
    "lilliput.generation.scoring": ("score",),
    "lilliput.generation.text_generator": ("TextGenerator",),
    "lilliput.generation.vectors": ("embed", "neighbours"),
    "lilliput.lab.compare": ("compare",),
    "lilliput.lab.labelling.labelling": ("LabelOptions", "label"),
    "lilliput.planning.planning": ("plan",),
    "lilliput.planning.sweep": ("sweep",),
    "lilliput.runs.reporting": ("report",),
    "lilliput.server.serving": ("serve",),
    "lilliput.worlds.agents.simulating": ("simulate_town",),
    "lilliput.worlds.population.running": ("make_diaries", "make_people", "report_diaries", "report_people"),
    "lilliput.worlds.population.training": ("train_population",),
    "lilliput.worlds.extraction.evaluating": ("evaluate_extractor",),
    "lilliput.worlds.extraction.extracting": ("extract",),
    "lilliput.worlds.extraction.training": ("train_extractor",),
    "lilliput.worlds.tables.generating": ("sample_table",),
    "lilliput.worlds.tables.running": ("evaluate_table", "train_table"),
}
"""The module of each name. A module is imported when its name is first used, because `train` sets variables that
PyTorch reads while it is loaded."""


def __getattr__(name: str) -> Any:
    if name == "Storyteller":
        warn_renamed("lilliput.Storyteller", "lilliput.TextGenerator", stacklevel=4)
        name = "TextGenerator"
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'lilliput.api' has no attribute '{name}'")
    return getattr(import_module(home), name)


def train(
    recipe: str | Path | Recipe = "story",
    overrides: Sequence[str] = (),
    *,
    data: str | Sequence[str] = (),
    name: str | None = None,
    steps: int | None = None,
    tokens: int | None = None,
    epochs: float | None = None,
    seconds: float | None = None,
    seed: int | None = None,
    device: str | None = None,
    from_: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    runs: str | Path | None = None,
    notify: Callable[[str], None] = print_line,
    live: bool = True,
    verbose: bool = False,
    **sections: Mapping[str, Any],
) -> Run:
    """Train by a recipe (a shipped name, a YAML path, or a Recipe) into runs/<name>.

    `from_` is a run, a checkpoint or a model folder whose weights, shape and tokenizer the run begins with (`init.from`
    of the recipe). `steps`, `tokens`, `epochs` or `seconds` replace the recipe's budget. Further sections are laid over
    the recipe: `train("story", model={"n_layers": 2}, train={"clip": 0.5})`. `callbacks` take part in the run beside
    the built-in ones (see training/callbacks.py). Without `live` the terminal shows messages alone; with `verbose` also
    which allocator, kernels and products compute the run. The same call again resumes a run that was interrupted and
    returns one that is finished. Raises LilliputError for anything that cannot be done as asked.

    The runtime (docs/environment.md) is applied to this process first. Where PyTorch was imported before, a part of the
    runtime cannot be applied, and a line names this part. Only the command preloads a memory allocator.
    """
    if missing := start.begin(trains=True):
        notify(start.too_late(missing))
    from lilliput.assembly.training import train as train_by
    from lilliput.planning.dial import load_recipe
    from lilliput.runs.finding import RUNS

    if "say" in sections:
        warn_renamed("the option say of lilliput.train", "notify")
        notify = cast("Callable[[str], None]", sections.pop("say"))
    changes = {key: dict(value) for key, value in sections.items()}
    budget = {"steps": steps, "tokens": tokens, "epochs": epochs, "seconds": seconds}
    if any(value is not None for value in budget.values()):
        changes["train"] = {**budget, **changes.get("train", {})}
    changes |= {key: value for key, value in {"seed": seed, "device": device}.items() if value is not None}
    if from_ is not None:
        changes["init"] = {**changes.get("init", {}), "from": str(from_)}
    paths = [data] if isinstance(data, str) else list(data)
    resolved = load_recipe(recipe, overrides, changes, paths, name)
    return train_by(resolved, callbacks=callbacks, runs=runs or RUNS, notify=notify, live=live, verbose=verbose)


def doctor(device: str = "auto") -> Diagnosis:
    """Measure this machine for about four seconds, and return its ceilings, the choices of a run on it, and advice.
    Raises ConfigError for a device that is not here."""
    from lilliput.planning.doctor import examine

    return examine(device)

"""sweep: make an IsoFLOP study of real runs, which resumes where it was interrupted, and its report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import Recipe
from lilliput.assembly.training import train
from lilliput.base.config import override, validate
from lilliput.base.console import Progress, print_line, progress
from lilliput.base.damage import read_kept, write_sealed
from lilliput.base.errors import CheckpointError, ConfigError, TrainingError
from lilliput.base.files import write_json, write_text
from lilliput.objectives.known import check_bits_per_byte
from lilliput.planning.chinchilla import TOKENS_PER_PARAMETER
from lilliput.planning.dial import load_recipe
from lilliput.planning.fit import scipy_minimise
from lilliput.planning.shapes import Shape, affordable, beyond, choose, ladder
from lilliput.planning.study import Findings, Trial, analyse
from lilliput.planning.study_page import page, picture
from lilliput.runs.finding import RUNS
from lilliput.runs.names import VAL_BITS_PER_BYTE
from lilliput.training.callbacks import Callback, Record
from lilliput.training.schedule import mean_rows

EXTENSIONS = 3
"""At most this many sizes are added to a budget whose best run lies at the end of its sizes."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The runs of a study. The fits do not use the budget `held_out`. `sizes` names rungs of the ladder ('w128-d3') to
    run at every budget, instead of `per_budget` sizes chosen around `tokens_per_parameter`."""

    budgets: tuple[float, ...] = (3e11, 1e12, 3e12)
    held_out: float | None = 1e13
    per_budget: int = 5
    sizes: tuple[str, ...] = ()
    seeds: int = 1
    tokens_per_parameter: float = TOKENS_PER_PARAMETER

    def check(self) -> None:
        """Raise ConfigError for a study with too few budgets, sizes or seeds for its fits."""
        if len(set(self.budgets)) < 3:
            raise ConfigError(f"a study needs three budgets, and {len(set(self.budgets))} are given")
        if self.held_out is not None and self.held_out <= max(self.budgets):
            raise ConfigError(
                f"the held-out budget {self.held_out:g} has to be larger than the others (up to {max(self.budgets):g})"
            )
        if self.per_budget < 3 or self.seeds < 1 or not self.tokens_per_parameter > 0 or min(self.budgets) <= 0:
            raise ConfigError("a curve needs three sizes and one seed at least, and budgets above 0")
        if len(self.sizes) in (1, 2):
            raise ConfigError(f"a curve needs three sizes, and {len(self.sizes)} are given")


@dataclass(frozen=True, slots=True)
class Sweep:
    """The study's folder, its runs and its findings; `findings` is None where the study was interrupted."""

    folder: Path
    trials: list[Trial]
    failed: list[str]
    findings: Findings | None = None
    files: dict[str, Path] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "folder": str(self.folder),
            "finished": self.findings is not None,
            "runs": [asdict(trial) for trial in self.trials],
            "failed": self.failed,
            **({} if self.findings is None else self.findings.as_dict()),
            **{name: str(path) for name, path in self.files.items()},
        }


def sweep(
    recipe: str | Path | Recipe,
    overrides: Sequence[str] = (),
    *,
    data: Sequence[str] = (),
    name: str = "sweep",
    settings: Settings | None = None,
    runs: str | Path = RUNS,
    notify: Callable[[str], None] = print_line,
) -> Sweep:
    """Train every size of every budget by `recipe` into runs/<name>/<run>, then fit, test and write study.json,
    study.svg and study.html.

    Each run trains on the tokens that its budget pays for, with a schedule of its own. The same call again resumes:
    finished runs are kept. Raises LilliputError, and CheckpointError where runs/<name> is another study."""
    settings = settings or Settings()
    settings.check()
    scipy_minimise()  # a missing scipy is reported now, not after an hour of runs
    base = load_recipe(recipe, overrides, data=data)
    check_bits_per_byte(base.objective)
    folder = Path(runs) / name
    study = _Study(base, settings, folder, notify)
    budgets = [*sorted(settings.budgets), *([settings.held_out] if settings.held_out else [])]
    total = sum(budget * len(study.sizes(budget)) * settings.seeds for budget in budgets)
    _same_study(folder, base, settings)
    dataset(base, notify)  # before the bar, which would hide messages about the data
    with progress(name, total, "FLOP") as bar:
        for budget in budgets:
            if not study.run_budget(budget, bar):
                return Sweep(folder, study.trials, study.failed)
    findings = analyse(study.trials, settings.held_out)
    done = Sweep(folder, study.trials, study.failed, findings, {
        "picture": folder / "study.svg", "page": folder / "study.html", "results": folder / "results.json",
    })  # fmt: skip
    write_text(done.files["picture"], picture(study.trials, findings, settings.held_out))
    write_text(done.files["page"], page(name, study.trials, findings, settings.held_out, study.failed))
    write_json(done.files["results"], done.as_dict())
    return done


def _same_study(folder: Path, base: Recipe, settings: Settings) -> None:
    """Write study.json, or check that an existing study.json has the same recipe and settings."""
    asked = {"settings": {**asdict(settings)}, "recipe": base.model_dump(mode="json")}
    asked["settings"] = {key: list(v) if isinstance(v, tuple) else v for key, v in asked["settings"].items()}
    path = folder / "study.json"
    if path.exists():
        try:
            same = read_kept(path) == asked
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged: {error}", "move the file away to resume this study") from None
        if not same:
            raise CheckpointError(
                f"{folder} holds a study of another recipe or other budgets, sizes or seeds", "give another --name"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_sealed(path, asked)


class _Study:
    """The runs of one study as they come in."""

    def __init__(self, base: Recipe, settings: Settings, folder: Path, notify: Callable[[str], None]):
        self.base, self.settings, self.folder, self.notify = base, settings, folder, notify
        self.rungs = ladder(base.model)
        context = base.model.context_length
        self.step_tokens = round(mean_rows(base.train, context) * context)
        self.trials: list[Trial] = []
        self.failed: list[str] = []

    def sizes(self, budget: float) -> list[Shape]:
        """Return the first shapes of a budget. Raises ConfigError for a name that is not on the ladder."""
        if not self.settings.sizes:
            chosen = self.settings.per_budget, self.step_tokens, self.settings.tokens_per_parameter
            return choose(self.rungs, budget, *chosen)
        known = {shape.name: shape for shape in self.rungs}
        for name in self.settings.sizes:
            if name not in known:
                raise ConfigError(f"there is no size '{name}' on the ladder", f"sizes: {', '.join(known)}")
        return [known[name] for name in self.settings.sizes]

    def run_budget(self, budget: float, bar: Progress) -> bool:
        """Run every size and seed of a budget, and further sizes while the best size lies at an end. Returns False
        where a run was interrupted."""
        waiting, tried = self.sizes(budget), list[Shape]()
        extensions = 0 if self.settings.sizes else EXTENSIONS
        while waiting:
            for shape in waiting:
                for seed in range(1, self.settings.seeds + 1):
                    if not self._run(shape, budget, seed, bar):
                        return False
            tried += waiting
            further = self._further(budget, tried) if extensions else None
            waiting = [further] if further else []
            extensions -= 1
            if further and bar.total is not None:
                self.notify(f"{further.name} is added at {budget:.3g} FLOPs: the best size so far lies at the end")
                bar.update(bar.done, bar.total + budget * self.settings.seeds)
        return True

    def _further(self, budget: float, tried: list[Shape]) -> Shape | None:
        here = [trial for trial in self.trials if trial.budget == budget]
        if not here:
            return None
        size = min(here, key=lambda trial: trial.loss).size
        best = next(shape for shape in tried if shape.size == size)
        return beyond(affordable(self.rungs, budget, self.step_tokens), tried, best)

    def _run(self, shape: Shape, budget: float, seed: int, bar: Progress) -> bool:
        """Train one run, or read it where it is finished. Returns False where the run was interrupted."""
        name = f"c{budget:.3g}-{shape.name}-s{seed}".replace("+", "")
        recipe = self._recipe(shape, budget, seed, name)
        began = bar.done
        bar.describe(name)
        try:
            run = train(recipe, runs=self.folder, callbacks=[_Report(bar, began, budget)], notify=_quiet, live=False)
        except TrainingError as error:
            self.failed.append(f"{name}: {error.message}")
            self.notify(self.failed[-1])
            bar.update(began + budget)
            return True
        summary = run.summary
        if not summary:
            return False
        bar.update(began + budget)
        self.trials.append(
            Trial(
                run=name,
                budget=budget,
                size=shape.size,
                parameters=summary["parameters"],
                tokens=summary["tokens"],
                epochs=summary["epochs"],
                seed=seed,
                loss=summary[VAL_BITS_PER_BYTE],
                seconds=summary["seconds"],
            )
        )
        return True

    def _recipe(self, shape: Shape, budget: float, seed: int, name: str) -> Recipe:
        """Return the study's recipe at one size, for the tokens that the budget pays for, scored only at the end."""
        steps = max(1, round(shape.tokens(budget) / self.step_tokens))
        values: dict[str, Any] = self.base.model_dump(mode="json")
        values |= {"name": name, "seed": seed, "model": shape.model.model_dump(mode="json")}
        bounds = [f"train.{bound}=null" for bound in ("tokens", "epochs", "seconds")]
        apart = [f"evaluate.steps={steps}", "evaluate.samples=0", "evaluate.baselines=[]", "evaluate.patience=null"]
        changes = [f"train.steps={steps}", *bounds, *apart]
        return validate(Recipe, override(values, changes), name)


class _Report(Callback):
    """Moves the study's progress bar during a run."""

    def __init__(self, bar: Progress, began: float, budget: float):
        self.bar, self.began, self.budget = bar, began, budget

    def on_step(self, trainer: Any, record: Record) -> None:
        self.bar.update(self.began + self.budget * trainer.progress)


def _quiet(text: str) -> None:
    """Print nothing: the progress bar stands for the runs' messages."""

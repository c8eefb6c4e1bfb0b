"""`lilliput plan sweep`, `learning-rate` and `batch-size`: short real runs that choose a size, rate and batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lilliput.cli.options import Json, amounts, whole
from lilliput.cli.texts import Data, sort_words

if TYPE_CHECKING:
    from lilliput.planning.study import Findings

Overrides = Annotated[list[str] | None, typer.Argument(help="section.key=value, such as train.steps=500")]


def sweep(
    recipe: Annotated[str, typer.Argument(help="Data, tokenizer, batch and optimizer of every run.")] = "story",
    overrides: Overrides = None,
    data: Data = None,
    budgets: Annotated[str, typer.Option(help="Budgets in FLOPs, three or more.")] = "3e11,1e12,3e12",
    held_out: Annotated[str, typer.Option(help="A larger budget that the fits do not see, or 'none'.")] = "1e13",
    per_budget: Annotated[int, typer.Option(min=3, help="Sizes of a budget to begin with.")] = 5,
    sizes: Annotated[str, typer.Option(help="Try these sizes at every budget instead, such as w64-d1,w96-d2.")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each size.")] = 1,
    tokens_per_parameter: Annotated[float, typer.Option(help="A guess of the best ratio, to choose sizes.")] = 20.0,
    name: Annotated[str, typer.Option(help="The study's folder: runs/NAME.")] = "sweep",
    json: Json = False,
) -> None:
    """Make an IsoFLOP study of real runs. Fits with intervals, and a test on a larger budget. Repeat to resume."""
    from lilliput import api
    from lilliput.base import console
    from lilliput.cli.train import INTERRUPTED
    from lilliput.planning.sweep import Settings

    console.use_json(json)
    assignments, paths = sort_words(overrides, data)
    settings = Settings(
        tuple(amounts(budgets, "--budgets")),
        None if held_out == "none" else amounts(held_out, "--held-out")[0],
        per_budget,
        tuple(filter(None, sizes.split(","))),
        seeds,
        tokens_per_parameter,
    )
    done = api.sweep(recipe, assignments, data=paths, name=name, settings=settings)
    if json:
        console.emit(done.as_dict())
    elif done.findings is None:
        console.print_line(f"interrupted after {len(done.trials)} runs; repeat the command to resume")
    else:
        for line in _findings(done.findings):
            console.print_line(line)
        console.print_line(f"report      {done.files['page']}")
    if done.findings is None:
        raise typer.Exit(INTERRUPTED)


def _findings(found: Findings) -> list[str]:
    """Format the study as lines for a person."""
    from lilliput.base.console import number
    from lilliput.planning.study_page import sized, with_interval

    lines = []
    for curve in found.curves:
        best = "no minimum" if curve.best is None else f"best size {sized(curve.best, curve.interval)}"
        loss = "" if curve.loss is None else f" on {number(curve.tokens or 0)} tokens, {curve.loss:.4f} bits per byte"
        lines.append(f"{curve.budget:<10.3g}  {best}{loss}")
    lines.append(f"exponent    {with_interval(found.exponent, found.exponent_interval, '{:.3f}')} of size in budget by "
                 f"approach 2, {found.law_exponent:.3f} by the law")  # fmt: skip
    constants = (with_interval(v, found.law_intervals[n], "{:.3g}") for n, v in found.law.as_dict().items())
    lines.append(
        "law         " + ", ".join(f"{n} {text}" for n, text in zip(found.law.as_dict(), constants, strict=True))
    )
    if test := found.held_out:
        size = "no minimum" if test.curve.best is None else sized(test.curve.best, test.curve.interval)
        lines.append(
            f"held out    best size {size}; predicted {sized(test.size_by_line, test.size_by_line_interval)} by "
            f"approach 2, {sized(test.size_by_law, test.size_by_law_interval)} by the law"
        )
        lines.append(
            f"            the law's losses are off by {test.mean_error:.1%} on average, {test.worst:+.1%} at worst"
        )
    return lines + [f"doubt       {doubt}" for doubt in found.doubts]


def _fractions(text: str) -> list[float]:
    """Parse comma-separated numbers and fractions: "1/4,2" gives [0.25, 2.0]. Raises ConfigError."""
    from lilliput.base.errors import ConfigError

    try:
        pairs = [part.partition("/") for part in text.split(",") if part.strip()]
        return [float(above) / float(below or 1) for above, _, below in pairs]
    except (ValueError, ZeroDivisionError):
        raise ConfigError(f"--factors '{text}' is not a list of numbers", "such as --factors 1/4,1,4") from None


def learning_rate(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name or a YAML file.")] = "story",
    overrides: Overrides = None,
    data: Data = None,
    factors: Annotated[str, typer.Option(help="Multiples of the recipe's rates.")] = "1/64,1/16,1/4,1,4,16,64",
    steps: Annotated[int, whole(least=4, help="Steps of each run.")] = 100,
    name: Annotated[str, typer.Option(help="The folder of the runs: runs/NAME.")] = "learning-rate",
    json: Json = False,
) -> None:
    """Make short real runs at several learning rates. Each is low, good, high or divergent. Repeat to resume."""
    from lilliput.base import console
    from lilliput.cli.train import INTERRUPTED
    from lilliput.planning.trials import learning_rates, learning_rates_of
    from lilliput.planning.tuning import Rates

    console.use_json(json)
    assignments, paths = sort_words(overrides, data)
    multiples = _fractions(factors)
    tried = learning_rates(recipe, assignments, data=paths, factors=multiples, steps=steps, name=name)
    if json:
        console.emit({**tried.as_dict(), "learning_rates": learning_rates_of(tried.base)})
    if not isinstance(tried.found, Rates):
        raise typer.Exit(INTERRUPTED)
    if json:
        return
    console.print_line(f"{'multiple':>10}  {'verdict':10}  bits per byte")
    for outcome, verdict in zip(tried.found.outcomes, tried.found.verdicts, strict=True):
        loss = "-" if outcome.last is None else f"{outcome.last:.4f}"
        console.print_line(f"{outcome.value:>10.4g}  {verdict:10}  {loss:13}  {outcome.unstable or ''}".rstrip())
    if tried.found.best is not None:
        rates = learning_rates_of(tried.base).items()
        best = " ".join(f"train.optimizer.{key}={rate * tried.found.best:.3g}" for key, rate in rates)
        console.print_line(f"best        {best}")
    for doubt in tried.found.doubts:
        console.print_line(f"doubt       {doubt}")
    console.print_line(f"page        {tried.page}")


def batch_size(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name or a YAML file.")] = "story",
    overrides: Overrides = None,
    data: Data = None,
    sizes: Annotated[str, typer.Option(help="Batches in tokens; 1 to 64 rows, doubling, unless given.")] = "",
    tokens: Annotated[int | None, whole(help="Tokens of each run; 4 steps of the largest batch.")] = None,
    name: Annotated[str, typer.Option(help="The folder of the runs: runs/NAME.")] = "batch-size",
    json: Json = False,
) -> None:
    """Make short real runs at several batch sizes. Prints speed, memory, loss, and the largest stable batch. Repeat to
    resume."""
    from lilliput.base import console
    from lilliput.cli.train import INTERRUPTED
    from lilliput.planning.trials import batch_sizes
    from lilliput.planning.tuning import Batches, batch_cells

    console.use_json(json)
    assignments, paths = sort_words(overrides, data)
    asked = [int(size) for size in amounts(sizes, "--sizes")]
    tried = batch_sizes(recipe, assignments, data=paths, sizes=asked, tokens=tokens, name=name)
    if json:
        console.emit(tried.as_dict())
    if not isinstance(tried.found, Batches):
        raise typer.Exit(INTERRUPTED)
    if json:
        return
    console.print_line(f"{'batch':>10}  {'steps':>6}  {'tokens/s':>9}  {'memory':>9}  bits per byte")
    for outcome in tried.found.outcomes:
        steps, speed, memory, loss, state = batch_cells(outcome).values()
        console.print_line(f"{outcome.value:>10,.0f}  {steps:>6}  {speed:>9}  {memory:>9}  {loss:13}  {state}")
    chosen = {
        "largest stable": tried.found.largest_stable,
        "fastest": tried.found.fastest,
        "lowest loss": tried.found.best,
    }
    console.print_line(
        ", ".join(f"{what} {'none' if size is None else f'{size:,.0f}'}" for what, size in chosen.items())
    )
    for doubt in tried.found.doubts:
        console.print_line(f"doubt       {doubt}")
    console.print_line(f"page        {tried.page}")

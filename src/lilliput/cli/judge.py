"""`lilliput judge` and `lilliput complete`: stories of several models, marked by a judge or printed side by side."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from lilliput.cli.options import Device, Json, Temperature, whole

Models = Annotated[list[str], typer.Argument(help="Runs, checkpoints or Hugging Face folders.")]
Prompts = Annotated[str | None, typer.Option(help="A file of prompts: a YAML list, or a prompt a line.")]
MaxTokens = Annotated[int, whole(help="At most this many tokens of a completion.")]
Seed = Annotated[int, typer.Option(help="The same seed generates the same stories.")]


def judge(
    models: Models,
    judge: Annotated[str | None, typer.Option(help="OpenAI-compatible address, as http://HOST:PORT/v1.")] = None,
    judge_model: Annotated[str | None, typer.Option("--model", help="The judge's model.")] = None,
    prompts: Prompts = None,
    human: Annotated[
        list[str] | None,
        typer.Option(help="Texts by people (more files and data.key=value may follow); else the run's held-out texts."),
    ] = None,
    stories: Annotated[int, whole(help="Number of texts by people; their beginnings are the prompts.")] = 20,
    twice: Annotated[float, typer.Option(help="Share of the stories that the judge grades twice.")] = 0.1,
    referee: Annotated[str | None, typer.Option(help="Model whose bits per byte are a proxy.")] = None,
    temperature: Temperature = 0.8,
    max_tokens: MaxTokens = 200,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Mark stories that models complete. The marks come from a judge (with the key in LILLIPUT_JUDGE_KEY or
    OPENAI_API_KEY), or without a judge from proxies. Human text is the ceiling; the same text with its words shuffled
    is the floor."""
    from lilliput import api
    from lilliput.base import console
    from lilliput.cli.evaluate import make_judge
    from lilliput.evaluation.judge.stories import read_prompts

    console.use_json(json)
    models, fit, texts = _sorted(models, human)
    result = api.judge(
        models,
        make_judge(judge, judge_model),
        prompts=read_prompts(prompts) if prompts else (),
        human=texts,
        fit=fit,
        stories=stories,
        twice=twice,
        referee=referee,
        device=device,
        notify=console.print_line,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
    )
    if json:
        console.emit(result)
    else:
        _print(result)


def _sorted(words: list[str], human: list[str] | None) -> tuple[list[str], list[str], list[str]]:
    """Separate models, overrides and texts. A model is a folder, so with --human a file is one more text."""
    from lilliput.base.errors import ConfigError

    files = [word for word in words if human and Path(word).is_file()]
    fit = [word for word in words if human and "=" in word and word not in files and not Path(word).exists()]
    models = [word for word in words if word not in files and word not in fit]
    if not models:
        raise ConfigError("no model is named", "lilliput judge RUN --human FILES")
    return models, fit, [*(human or ()), *files]


def _print(result: dict[str, Any]) -> None:
    from lilliput.base import console
    from lilliput.cli.printing import print_table
    from lilliput.evaluation.judge.proxies import PROXIES

    rows = result["rows"]
    names = list(next(iter(rows.values()))["scores"])
    console.print_line(result["kind"])
    print_table(
        ("mean [95% interval]", "stories", *names),
        [(name, str(row["stories"]), *(_cell(row["scores"][key]) for key in names)) for name, row in rows.items()],
    )
    print_table(
        ("normalised: 0 lowest, 1 best", *names),
        [(name, *(_number(row["scores"][key]["normalised"]) for key in names)) for name, row in rows.items()],
    )
    for name, row in rows.items():
        if row.get("age_groups"):
            console.print_line(
                f"{name}: age groups " + ", ".join(f"{age} x{n}" for age, n in row["age_groups"].items())
            )
    for name, deviation in result["noise"].items():
        console.print_line(f"the judge's own noise, {name}: {deviation:.2f}")
    for name in names:
        if name in PROXIES:
            console.print_line(f"{name}: {PROXIES[name].better} is better; {PROXIES[name].meaning}")


def _cell(cell: dict[str, Any]) -> str:
    if cell["interval"] is None:
        return _number(cell["mean"])
    low, high = cell["interval"]
    return f"{_number(cell['mean'])} [{_number(low)}, {_number(high)}]"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def complete(
    models: Models,
    prompts: Prompts = None,
    temperature: Temperature = 0.0,
    max_tokens: MaxTokens = 60,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Show completions of the same prompts side by side. The default prompts are the three of the TinyStories paper."""
    from lilliput import api
    from lilliput.base import console
    from lilliput.cli.printing import print_texts
    from lilliput.evaluation.judge.stories import COMPLETIONS, read_prompts

    console.use_json(json)
    chosen = read_prompts(prompts) if prompts else COMPLETIONS
    sampling: dict[str, Any] = {"temperature": temperature, "max_tokens": max_tokens, "seed": seed}
    rows = api.complete(models, chosen, device=device, notify=console.print_line, **sampling)
    if json:
        console.emit({"completions": rows})
        return
    print_texts(("prompt", *models), [(row["prompt"], *row["completions"].values()) for row in rows])

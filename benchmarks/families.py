"""Families side by side: experts beside a dense model, and a block's parts taken away, over seeds.

    python benchmarks/families.py experts --seeds 3     # equal work on a token, and equal parameters
    python benchmarks/families.py blocks --seeds 3      # norms, their place, the residual stream; gradients by block
    python benchmarks/families.py experts --smoke       # every run in seconds, to see that all of it works

Every run is the recipe story: the same stories, tokenizer, batches and number of tokens. A run that was finished in
--runs is not trained again. BatchNorm reads all positions of a row in training, later ones too. The column `leak` is
what that is worth: how much better a first half is predicted beside its own second half than beside another one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import torch
import typer
from rich import box
from rich.table import Table

import lilliput
from lilliput.base.console import console, emit, print_line, use_json
from lilliput.base.errors import ConfigError
from lilliput.cli.main import one_line_errors
from lilliput.data.story import Stories
from lilliput.model.counts import flops_per_token, parameters
from lilliput.model.transformer import Model
from lilliput.runs.names import GRADIENTS
from lilliput.runs.run_folder import RunFolder
from teaching import QUICK
from whole_runs import train_whole

EXPERTS: dict[str, dict[str, Any]] = {
    "dense": {"style": "story_1.8m"},
    "experts, equal work": {"style": "moe_3.5m_a1.9m"},
    "experts, equal parameters": {"style": "moe_1.9m_a1.4m"},
}
BLOCKS: dict[str, dict[str, Any]] = {
    "pre-norm, RMSNorm": {},
    "pre-norm, LayerNorm": {"norm": "layer"},
    "pre-norm, BatchNorm": {"norm": "batch"},
    "post-norm, RMSNorm": {"norm_place": "post"},
    "norms on outputs": {"norm_place": "output"},
    "no residual stream": {"residual": "none", "init": "normal"},
}
TOKENS = 4_096_000
"""Tokens that a run reads unless --tokens says otherwise: those of the recipe story."""
BATCH_TOKENS = 2048
SMALL = {"d_model": 32, "n_layers": 2, "n_heads": 2}


@dataclass(frozen=True)
class Study:
    """What all runs have in common: their folder, the tokens of each, and whether all is tiny."""

    runs: Path
    tokens: int = TOKENS
    smoke: bool = False


def overrides_of(changes: Mapping[str, Any], study: Study) -> list[str]:
    """Return the overrides of the recipe story for an arm."""
    made = {"style": "story_1.8m", **changes}
    found = [f"model.{key}={json.dumps(value)}" for key, value in made.items()]
    found += [f"train.steps={study.tokens // BATCH_TOKENS}", "train.log_gradients=true"]
    found += ["evaluate.samples=0", "evaluate.heroes=0", "evaluate.final_heroes=0"]
    if study.smoke:
        found += [f"model.{key}={value}" for key, value in SMALL.items()]
        found += ["data.sources.0.stories=120", "tokenizer.vocab_size=400", *QUICK]
    return found


def trained(study_name: str, arm: str, changes: Mapping[str, Any], seed: int, study: Study) -> Path:
    """Train a run, or find it finished. Return its folder."""
    name = f"{study_name}-{arm.replace(', ', '-').replace(' ', '-')}-{study.tokens}-{seed}"
    overrides = overrides_of(changes, study)
    print_line(f"{name}: {' '.join(overrides)}")
    return train_whole("story", overrides, name=name, runs=study.runs, seed=seed)


def measured(run: Path) -> dict[str, Any]:
    """Return a run's bits per byte, its costs, and the gradient of its first and last block early and late."""
    folder = RunFolder(run)
    summary = folder.read_summary()
    norms = [line[GRADIENTS] for line in folder.read_metrics() if GRADIENTS in line]
    early, late = norms[len(norms) // 10], norms[-1 - len(norms) // 10]
    found = {"bits": summary["val_bits_per_byte"], "seconds": summary["training_seconds"]}
    found |= {"early": [early[0], early[-1]], "late": [late[0], late[-1]]}
    config = lilliput.load(run, notify=lambda text: None).model.config
    found |= {"parameters": parameters(config).total, "active": parameters(config).active}
    found |= {"flops_per_token": flops_per_token(config).training}
    return found | ({"leak": leak(run)} if config.norm == "batch" else {})


def leak(run: Path) -> float:
    """Return the nats a token by which first halves of held-out rows are predicted better beside their own second
    halves than beside those of other rows, with the norms in training mode. It is 0 where no later position counts."""
    generator = lilliput.load(run, notify=lambda text: None)
    tokenizer, length = generator.tokenizer, generator.model.config.context_length
    ids = tokenizer.encode_batch([document.text for document in Stories(stories=64, seed=991).documents()])
    rows = torch.tensor([[*tokenizer.beginning, *each][:length] for each in ids if len(each) >= length])
    model, half = deepcopy(generator.model).train(), length // 2
    with torch.no_grad():
        own, other = (_first_half(model, each, half) for each in (rows, _exchanged(rows, half)))
    return other - own


def _exchanged(rows: torch.Tensor, half: int) -> torch.Tensor:
    """Rows (B, T) int64 with the second half of the row before it behind each first half."""
    return torch.cat([rows[:, :half], rows[:, half:].roll(1, 0)], dim=1)


def _first_half(model: Model, rows: torch.Tensor, half: int) -> float:
    """Mean nats of the tokens of the first half of rows (B, T), the first token left out. Each row is normed alone."""
    total = 0.0
    for row in rows:
        logits = model.logits(model(row[None]))[0, : half - 1]
        total += float(torch.nn.functional.cross_entropy(logits, row[1:half]))
    return total / max(1, len(rows))


def compared(name: str, arms: Mapping[str, Mapping[str, Any]], seeds: Sequence[int], study: Study) -> dict[str, Any]:
    """Train and measure every arm for every seed."""
    return {
        arm: [measured(trained(name, arm, changes, seed, study)) for seed in seeds] for arm, changes in arms.items()
    }


def print_table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Print the means over seeds with the standard deviation, the costs, and gradients of the first and last block."""
    shown = Table(box=box.SIMPLE_HEAD)
    for title in ("", "bits a byte", "parameters", "active", "MFLOPs a token", "gradients early", "late", "leak, nats"):
        shown.add_column(title)
    for arm, seeds in found.items():
        first, bits = seeds[0], [one["bits"] for one in seeds]
        spread = f" ± {stdev(bits):.4f}" if len(bits) > 1 else ""
        norms = [
            " / ".join(f"{mean(one[key][end] for one in seeds):.3g}" for end in (0, 1)) for key in ("early", "late")
        ]
        leaks = [one["leak"] for one in seeds if "leak" in one]
        shown.add_row(
            *(arm, f"{mean(bits):.4f}{spread}", f"{first['parameters']:,}", f"{first['active']:,}"),
            *(f"{first['flops_per_token'] / 1e6:.1f}", *norms, f"{mean(leaks):.3f}" if leaks else ""),
        )
    console.print(shown)


STUDIES = {"experts": EXPERTS, "blocks": BLOCKS}
app = typer.Typer(add_completion=False)


@app.command(help="Experts beside a dense model, or a block's parts taken away, over seeds.")
def main(
    study: Annotated[str, typer.Argument(help="experts, or blocks: norms, their place and the residual stream.")],
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 3,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/families"),
    tokens: Annotated[int, typer.Option(min=BATCH_TOKENS, help="Tokens that every run reads.")] = TOKENS,
    only: Annotated[list[str] | None, typer.Option(help="Arms by name. Left out: all of them. Repeatable.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Every run in seconds.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    use_json(json)
    if study not in STUDIES:
        raise ConfigError(f"there is no study '{study}'", f"known: {', '.join(STUDIES)}")
    arms = STUDIES[study]
    if unknown := {*(only or ())} - {*arms}:
        raise ConfigError(f"no arm is named {', '.join(unknown)}", "; ".join(arms))
    runs.mkdir(parents=True, exist_ok=True)
    chosen = {arm: arms[arm] for arm in only or arms}
    found = compared(study, chosen, range(1, seeds + 1), Study(runs, tokens, smoke))
    if json:
        emit({"seeds": seeds, "tokens": tokens, "arms": found})
    else:
        print_table(found)


if __name__ == "__main__":
    with one_line_errors():
        app()

"""Whole training runs of several trainers on the same tokens, each scored by one evaluator, and kept when finished."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from lilliput import __version__
from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import Recipe
from lilliput.assembly.recipe import load as load_recipe
from lilliput.base.console import duration, number, print_line
from lilliput.base.errors import LilliputError
from lilliput.base.files import read_json, write_json
from lilliput.data.dataset import Dataset
from lilliput.evaluation.bits_per_byte import FixedSet, bits_per_byte, fixed_set
from lilliput.generation.loading import load
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from rounds import Absent, alike
from workers.litgpt_pretrain import plan

WORKER = Path(__file__).resolve().parent / "workers" / "litgpt_pretrain.py"
PROBE_WINDOWS = 4
LOGIT_TOLERANCE = 1e-3
FOR_LITGPT = ("data", "tokenizer", "model")
"""The parts of the recipe that LitGPT's runs follow; its training has settings of its own."""
SHIPPED_BATCH, SHIPPED_RATE = 512 * 256, 5e-4
ADAMW = {"betas": [0.9, 0.95], "weight_decay": 0.1}
CLIP = 1.0
# The clock includes training alone, because the other loops do not validate or generate either.
ONLY_TRAINING = (
    "evaluate.samples=0",
    "evaluate.steps=1000000000",
    "evaluate.baselines=[]",
    "evaluate.final_tokens=1000",
)

LITGPT_NAMES = {
    "embed.weight": ("transformer.wte.weight",),
    "blocks.#.ln1.weight": ("transformer.h.#.norm_1.weight",),
    "blocks.#.attn.qkv.weight": ("transformer.h.#.attn.qkv.weight",),
    "blocks.#.attn.q_norm.weight": ("transformer.h.#.attn.norm_q.weight",),
    "blocks.#.attn.k_norm.weight": ("transformer.h.#.attn.norm_k.weight",),
    "blocks.#.attn.out.weight": ("transformer.h.#.attn.proj.weight",),
    "blocks.#.ln2.weight": ("transformer.h.#.norm_2.weight",),
    "blocks.#.mlp.gate_up.weight": ("transformer.h.#.mlp.fc_1.weight", "transformer.h.#.mlp.fc_2.weight"),
    "blocks.#.mlp.down.weight": ("transformer.h.#.mlp.proj.weight",),
    "ln_final.weight": ("transformer.ln_f.weight",),
    "unembed.weight": ("lm_head.weight",),
}
"""Our names and LitGPT's; ours of two are theirs one on top of the other. Both keep q, k and v in one matrix."""


@dataclass(frozen=True)
class Task:
    """One training run: an arm, a seed and a budget (seconds of training, or tokens). LitGPT's arms have a batch and
    a learning rate."""

    arm: str
    seed: int
    seconds: float | None = None
    tokens: int | None = None
    batch_tokens: int | None = None
    learning_rate: float | None = None

    @property
    def title(self) -> str:
        """For people: 'litgpt_tuned, 16,384 tokens a step at 0.002, 1m 00s, seed 1'."""
        parts = [self.arm]
        if self.batch_tokens:
            parts.append(f"{self.batch_tokens:,} tokens a step at {self.learning_rate:g}")
        budget = duration(self.seconds) if self.seconds else f"{number(self.tokens or 0)} tokens"
        return ", ".join([*parts, budget, f"seed {self.seed}"])


@dataclass(frozen=True)
class Outcome:
    """The result of a run. `seconds` are the seconds of training. They leave out LitGPT's compilation, and include
    ours."""

    task: Task
    tokens: int
    steps: int
    warmup_steps: int
    seconds: float
    compile_seconds: float | None
    bits_per_byte: float
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Bench:
    """The common parts of all runs: the recipe's data and shape, the fixed validation set, the machine's settings, and
    the folder in which finished runs are kept (`run` repeats no finished run)."""

    folder: Path
    recipe: str
    overrides: Sequence[str]
    data: Sequence[str]
    ours: Sequence[str]
    threads: int
    precision: str
    micro_rows: int
    validation_tokens: int
    litgpt_python: Path
    litgpt_environment: Mapping[str, str]

    @cached_property
    def resolved(self) -> Recipe:
        """The recipe that gives every arm its text, tokenizer and shape."""
        return load_recipe(self.recipe, self.overrides, data=self.data)

    @cached_property
    def dataset(self) -> Dataset:
        return dataset(self.resolved, print_line)

    @cached_property
    def model(self) -> ModelConfig:
        return self.resolved.model.model_copy(update={"vocab_size": self.dataset.tokenizer.vocab_size})

    @cached_property
    def validation(self) -> FixedSet:
        """The same targets for every arm."""
        sizes = self.dataset.tokenizer.token_bytes()
        return fixed_set(self.dataset.split("validation"), sizes, self.validation_tokens)

    def conditions(self, task: Task) -> dict[str, Any]:
        """Return all inputs that decide the result. A run that is kept under the same inputs is not repeated."""
        recipe = self.resolved.model_dump(mode="json")
        litgpt = {"micro_rows": self.micro_rows, "environment": dict(self.litgpt_environment)}
        ours = {"recipe": recipe, "ours": list(self.ours) if task.arm == "ours" else []}
        return {
            "task": asdict(task),
            "recipe": {part: recipe[part] for part in FOR_LITGPT},
            "threads": self.threads,
            "precision": self.precision,
            "validation_tokens": self.validation_tokens,
            "lilliput": __version__,
            **(litgpt if task.arm.startswith("litgpt") else ours),
        }

    def run(self, task: Task) -> Outcome:
        """The task's outcome, from the folder or by running it now. Raises Absent where LitGPT is not installed."""
        conditions = self.conditions(task)
        path = self.folder / "results" / f"{task.arm}-{_short_hash(conditions)}.json"
        if path.is_file():
            kept = read_json(path)["outcome"]
            return Outcome(**{**kept, "task": Task(**kept["task"])})
        print_line(f"{task.title} ...")
        outcome = self._litgpt(task) if task.arm.startswith("litgpt") else self._lilliput(task, path.stem)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"conditions": conditions, "outcome": asdict(outcome)})
        print_line(
            f"{task.title}: {outcome.bits_per_byte:.4f} bits per byte after {number(outcome.tokens)} tokens in "
            f"{outcome.steps:,} steps, {duration(outcome.seconds)}"
        )
        return outcome

    # ------------------------------------------------------------------ our trainer

    def _lilliput(self, task: Task, name: str) -> Outcome:
        """`lilliput train` as a command, in a process of its own."""
        settings = self._llama2c(task) if task.arm == "adamw_llama2c" else list(self.ours)
        budget = {"steps": None, "epochs": None, "seconds": task.seconds, "tokens": task.tokens}
        words = [f"train.{key}={json.dumps(value)}" for key, value in budget.items()]
        words += [f"seed={task.seed}", f"train.threads={self.threads}", f"train.precision={self.precision}"]
        command = [sys.executable, "-m", "lilliput", "train", self.recipe, *self.overrides, *settings, *words]
        command += [*ONLY_TRAINING, "--name", name, "--json"]
        command += [part for path in self.data for part in ("--data", path)]
        run = self.folder / "runs" / name
        shutil.rmtree(run, ignore_errors=True)  # the rest of a killed benchmark, whose clock would continue
        self.folder.mkdir(parents=True, exist_ok=True)
        summary = json.loads(_checked(command, self.folder))
        recipe = load_recipe(run / "recipe.yaml")
        if recipe.model.model_copy(update={"init": self.model.init, "style": self.model.style}) != self.model:
            raise LilliputError(
                f"{task.arm} trained another shape than the other arms",
                "give what all share without --ours: time_to_loss.py model.d_model=256",
            )
        return Outcome(
            task,
            tokens=summary["tokens"],
            steps=summary["steps"],
            warmup_steps=recipe.train.schedule.warmup_steps,
            seconds=summary["seconds"],
            compile_seconds=None,
            bits_per_byte=bits_per_byte(load(run, notify=lambda line: None).model, self.validation).bits_per_byte,
            facts={"command": command},
        )

    def _llama2c(self, task: Task) -> list[str]:
        """The settings of llama2.c's train.py, for our trainer. Its 1,000 warm-up steps are a tenth of the run where
        that is less; how many steps a clock allows is known from the speed of a run of two steps."""
        tokens = task.tokens
        if tokens is None:
            assert task.seconds is not None
            pilot = self.run(Task(task.arm, task.seed, tokens=2 * SHIPPED_BATCH))
            tokens = round(task.seconds * pilot.tokens / pilot.seconds)
        adamw = {"kind": "adamw", "learning_rate": SHIPPED_RATE, "decay_embeddings": True, **ADAMW}
        schedule = {"kind": "cosine", "warmup_steps": plan(tokens, SHIPPED_BATCH)[1]}
        return [
            f"train.optimizer={json.dumps(adamw)}",
            f"train.schedule={json.dumps(schedule)}",
            f"train.batch_tokens={SHIPPED_BATCH}",
            f"train.clip={CLIP}",
            "model.init=scaled",
        ]

    # ------------------------------------------------------------------ LitGPT's loop

    def _litgpt(self, task: Task) -> Outcome:
        """The worker trains, in LitGPT's environment; its weights are scored in our model."""
        if not self.litgpt_python.exists():
            raise Absent(f"{self.litgpt_python} does not exist; type: make bench")
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            probe = self._probe()
            np.save(folder / "probe.npy", probe.numpy())
            write_json(folder / "job.json", self._job(task, folder / "probe.npy"))
            command = [str(self.litgpt_python), str(WORKER), str(folder / "job.json"), place]
            _checked(command, folder, self.litgpt_environment)
            said = read_json(folder / "result.json")
            if "absent" in said:
                raise Absent(f"{said['absent']}; type: make bench")
            model = carried_over(self.model, load_file(folder / "model.safetensors"))
            difference = logit_difference(model, probe, torch.from_numpy(np.load(folder / "logits.npy")))
        said["logit_difference"] = difference
        shared = ("tokens", "steps", "warmup_steps", "seconds", "compile_seconds")
        return Outcome(
            task,
            **{key: said.pop(key) for key in shared},
            bits_per_byte=bits_per_byte(model, self.validation).bits_per_byte,
            facts=said,
        )

    def _job(self, task: Task, probe: Path) -> dict[str, Any]:
        return {
            "model": self.model.model_dump(mode="json"),
            "tokens": str(self._token_file()),
            "probe": str(probe),
            "context": self.model.context_length,
            "batch_tokens": task.batch_tokens,
            "micro_rows": self.micro_rows,
            "seconds": task.seconds,
            "max_tokens": task.tokens,
            "adamw": {"lr": task.learning_rate, **ADAMW},
            "clip": CLIP,
            "precision": self.precision,
            "threads": self.threads,
            "seed": task.seed,
        }

    def _token_file(self) -> Path:
        """The training split's ids, end to end, as one .npy file."""
        path = self.folder.absolute() / f"tokens-{self.dataset.folder.name}.npy"
        if not path.exists():
            split = self.dataset.split("train")
            partial = path.with_suffix(".tmp")
            shape = (split.tokens,)
            array = np.lib.format.open_memmap(partial, mode="w+", dtype=self.dataset.manifest["dtype"], shape=shape)
            at = 0
            for block in split.stream.blocks():
                array[at : at + len(block)] = block
                at += len(block)
            array.flush()
            partial.rename(path)
        return path

    def _probe(self) -> torch.Tensor:
        """(PROBE_WINDOWS, context) ids from the beginning of the validation split."""
        context = self.model.context_length
        ids = self.dataset.split("validation").stream[0 : PROBE_WINDOWS * context]
        return torch.from_numpy(ids[: len(ids) // context * context].reshape(-1, context))


def carried_over(config: ModelConfig, theirs: dict[str, torch.Tensor]) -> Model:
    """Our model with LitGPT's weights. Raises RuntimeError (of torch) where names or shapes do not fit."""
    model = Model(config, seed=None)
    weights = {}
    for name in model.state_dict():
        layer = name.split(".")[1] if name.startswith("blocks.") else "#"
        parts = LITGPT_NAMES[name.replace(f".{layer}.", ".#.", 1)]
        weights[name] = torch.cat([theirs[part.replace("#", layer)] for part in parts])
    model.load_state_dict(weights)
    return model.eval()


@torch.no_grad()
def logit_difference(model: Model, probe: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference between our logits of `probe` (R, T) and theirs (R, T, V). Raises LilliputError when it is
    beyond rounding: the weights would then mean something else in our model."""
    difference = float((model.logits(model(probe)) - theirs).abs().max())
    if not difference <= LOGIT_TOLERANCE:
        raise LilliputError(
            f"LitGPT's weights give other logits in our model: they differ by {difference:.2g}, more than "
            f"{LOGIT_TOLERANCE:g}, so that its loss cannot be scored here",
            "look for a part of the shape that the two build differently: rotary, QK-norm, the norms' eps",
        )
    return difference


def search(
    run: Callable[[Task], Outcome], seconds: float, batches: Sequence[int], rates: Sequence[float]
) -> list[Outcome]:
    """LitGPT's loop for `seconds` at every batch and learning rate; the best first, diverged runs last."""
    outcomes = [run(Task("litgpt_tuned", 1, seconds, None, batch, rate)) for batch in batches for rate in rates]
    return sorted(outcomes, key=lambda o: o.bits_per_byte if math.isfinite(o.bits_per_byte) else math.inf)


def on_edge(best: Task, batches: Sequence[int], rates: Sequence[float]) -> list[str]:
    """Return the directions in which a wider grid might hold better settings than the best of this grid."""
    found = []
    for name, value, tried in (
        ("tokens a step", best.batch_tokens, batches),
        ("the learning rate", best.learning_rate, rates),
    ):
        if len(set(tried)) > 1 and value in (min(tried), max(tried)):
            found.append(f"{name}: {value:g} is the {'smallest' if value == min(tried) else 'largest'} tried")
    return found


def _checked(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Standard output of a command. Raises LilliputError with its last words where it fails."""
    done = subprocess.run(
        command, cwd=folder, env={**alike(), **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LilliputError(
            f"a training command ended with exit code {done.returncode}; its last words:\n{done.stderr[-2000:]}",
            f"it was: {' '.join(command)}",
        )
    return done.stdout


def _short_hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]

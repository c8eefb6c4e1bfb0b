"""Flags of LitGPT's pretraining command, and the Lilliput option for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from lilliput.base.errors import ConfigError, nearest

ROWS = {"train.global_batch_size": "train.batch_tokens", "train.micro_batch_size": "train.micro_batch_tokens"}
"""Numbers that LitGPT counts in rows and Lilliput in tokens."""
SAME = {
    "train.max_tokens": "train.tokens",
    "train.max_steps": "train.steps",
    "train.epochs": "train.epochs",
    "train.lr_warmup_steps": "train.schedule.decay_from=warmup train.schedule.warmup_steps",
    "train.max_norm": "train.clip",
    "train.max_seq_length": "model.context_length",
    "train.tie_embeddings": "model.tied_embeddings",
    "train.save_interval": "train.checkpoint_steps",
    "train.log_interval": "train.log_steps",
    "train.learning_rate": "train.optimizer.learning_rate",
    "train.weight_decay": "train.optimizer.weight_decay",
    "optimizer.init_args.lr": "train.optimizer.learning_rate",
    "optimizer.init_args.weight_decay": "train.optimizer.weight_decay",
    "optimizer.init_args.betas": "train.optimizer.betas",
    "eval.interval": "evaluate.steps",
    "eval.max_new_tokens": "evaluate.sample_tokens",
    "seed": "seed",
}
"""Flags with the same number under another name."""
WORDS = {
    "train.lr_warmup_fraction": "train.schedule.warmup_steps=STEPS",
    "train.min_lr": "train.schedule.final_fraction=FRACTION, a part of the peak",
    "eval.max_iters": "evaluate.tokens=TOKENS",
    "optimizer": "train.optimizer.kind=adamw or muon",
    "devices": "nothing: a run trains on one device, which device=cpu, mps or cuda names",
    "num_nodes": "nothing: a run trains on one machine",
    "resume": "nothing: the same command resumes the run",
    "model_name": "model.style=NAME of lilliput model list",
    "tokenizer_dir": "tokenizer.path=FOLDER/tokenizer.json",
    "out_dir": "--name NAME; the run is runs/NAME",
    "logger_name": "train.trackers=[tensorboard] or [wandb]; metrics.jsonl is always there",
    "data.data_path": "--data PATHS",
    "data.train_data_path": "--data PATHS",
}
"""Flags whose setting has another form here."""
PRECISIONS = {"bf16-mixed": "bf16", "bf16-true": "bf16", "32-true": "fp32", "32": "fp32"}


def refuse(words: Sequence[str], known: Sequence[str], context: Callable[[], int | None] = lambda: None) -> None:
    """Raise ConfigError where `words`, which should be section.key=value, hold flags. The error names the option to
    type for a flag of LitGPT, else the nearest `known` flag. `context` returns the length of a row in tokens."""
    flags = dict(_flags(words))
    if not flags:
        return
    if unknown := [flag for flag in flags if flag not in {*ROWS, *SAME, *WORDS, "precision"}]:
        name = f"--{unknown[0]}" if len(unknown[0]) > 1 else f"-{unknown[0]}"
        raise ConfigError(f"there is no option {name}{nearest(name, known)}", "values of a recipe: section.key=value")
    length = flags.get("train.max_seq_length") or ""
    row = int(length) if length.isdecimal() else context() if flags.keys() & ROWS.keys() else None
    settings = {flag: found for flag, value in flags.items() if (found := _setting(flag, value or "VALUE", row))}
    others = [f"for --{flag} {WORDS[flag]}" for flag in flags if flag not in settings]
    hints = [f"type: {' '.join(settings.values())}"] if settings else []
    shown = ", ".join(f"--{flag}" for flag in flags)
    raise ConfigError(f"LitGPT's flags are spelled in another way here: {shown}", "; ".join([*hints, *others]))


def _flags(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each flag with its value, which follows '=' or is the next word."""
    for word, after in pairwise([*words, "-"]):
        if word.startswith("-"):
            flag, equals, value = word.lstrip("-").partition("=")
            yield flag, value if equals else None if after.startswith("-") or "=" in after else after


def _setting(flag: str, value: str, row: int | None) -> str | None:
    """Return the flag as section.key=value; None where no such value has the same meaning."""
    if flag in ROWS:
        rows = value.replace("_", "")
        tokens = str(int(rows) * row) if row and rows.isdecimal() else "TOKENS"
        return f"{ROWS[flag]}={tokens}"
    if flag == "precision":
        return f"train.precision={PRECISIONS.get(value, 'auto')}"
    return f"{SAME[flag]}={value}" if flag in SAME else None

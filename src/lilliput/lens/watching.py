"""Watch: a callback that measures the attention heads while a model trains, into heads.jsonl of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from lilliput.decoding.inference import inference
from lilliput.lens.attention import rounded
from lilliput.lens.capture import capture
from lilliput.lens.head_targets import attention_to, duplicate_token, first_token, induction, previous_token
from lilliput.lens.probes import Repeated, plain_ids, repeated
from lilliput.model.transformer import Model
from lilliput.training.callbacks import Callback, Record

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.training.trainer import Trainer

ROWS, LENGTH = 4, 12
"""Rows of random tokens, and the tokens of a block that comes twice."""
TIMES = 30
"""Looks at a run whose `evaluate.watch` is null, beside the early ones."""
EARLY = 512
"""Up to this step, steps at powers of two are looked at too, because heads form early."""
SCORES = ("previous", "first", "duplicate", "induction")


def watched_tokens(tokenizer: Tokenizer, context: int, seed: int = 0) -> Repeated:
    """Return the random tokens that a run is watched on, always the same for a tokenizer and seed."""
    return repeated(plain_ids(tokenizer), tokenizer.bos_id, ROWS, min(LENGTH, (context - 1) // 2), seed)


def look(model: Model, made: Repeated, drawn: bool = False) -> dict[str, Any]:
    """Return the scores of every head, each [layer: [head]] in the mean over the rows, from one forward pass.

    `induction_shuffled` is the control: the same places where the second block is in random order. With `drawn`,
    `patterns` are those of the first row, [layer: [head: [query: [key: 0 to 99]]]].
    """
    device, rows = next(model.parameters()).device, len(made.tokens)
    tokens = made.tokens.to(device)
    targets = {"previous": previous_token(tokens), "first": first_token(tokens), "duplicate": duplicate_token(tokens)}
    targets["induction"] = induction(tokens)
    second = torch.arange(tokens.shape[1], device=device).expand_as(tokens) > made.length
    with inference(model), capture(model, "blocks.*.attn.hook_pattern") as seen:
        model(torch.cat([tokens, made.shuffled.to(device)]))
        patterns = [pattern.float() for pattern in seen.values()]
        found: dict[str, Any] = {
            name: _means([attention_to(one[:rows], target, second) for one in patterns])
            for name, target in targets.items()
        }
        found["induction_shuffled"] = _means(
            [attention_to(one[rows:], targets["induction"], second) for one in patterns]
        )
        if drawn:
            found["patterns"] = [[rounded(head) for head in one[0].cpu()] for one in patterns]
    return found


class Watch(Callback):
    """Writes a line to heads.jsonl at the start, at steps 1, 2, 4 ... 512, every `every` steps (None: 30 times a run)
    and at the end. Small patterns stand in the lines at powers of two and in the last line. Nothing is drawn from the
    run's random numbers, so the trained weights are the same without it."""

    phase = "record"

    def __init__(self, every: int | None, tokenizer: Tokenizer, context: int):
        self.every, self.made = every, watched_tokens(tokenizer, context)

    def on_start(self, trainer: Trainer) -> None:
        if trainer.step == 0:
            self._write(trainer, True)

    def on_step(self, trainer: Trainer, record: Record) -> None:
        early = trainer.step <= EARLY and trainer.step & (trainer.step - 1) == 0
        if early or trainer.due(self.every, TIMES) or trainer.finished:
            self._write(trainer, early or trainer.finished)

    def _write(self, trainer: Trainer, drawn: bool) -> None:
        with trainer.autocast():
            found = look(trainer.model, self.made, drawn)
        trainer.run.append_heads({"step": trainer.step, "tokens": trainer.counters.tokens, **found})


def _means(values: list[torch.Tensor]) -> list[list[float]]:
    return [[round(value, 4) for value in layer] for layer in torch.stack(values).mean(1).tolist()]

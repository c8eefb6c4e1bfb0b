"""Beam search: the likeliest texts instead of a drawn text."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lilliput.base.errors import ConfigError
from lilliput.decoding.cache import KVCache
from lilliput.decoding.inference import damaged, inference
from lilliput.decoding.reading import check_source, read, source_of

if TYPE_CHECKING:
    from lilliput.model.transformer import Model


@dataclass(frozen=True, slots=True)
class Beam:
    """One text of the search: its new ids (a stop id included), and their summed log-probability in nats."""

    ids: tuple[int, ...]
    log_probability: float

    @property
    def score(self) -> float:
        """The log-probability divided by the number of tokens, which compares texts of different lengths (Hugging
        Face's length_penalty 1). The sum alone would prefer the shortest text."""
        return self.log_probability / max(1, len(self.ids))


def beam_search(
    model: Model,
    prompt: Sequence[int],
    beams: int,
    max_tokens: int,
    stop_ids: Collection[int] = (),
    forbidden_first: Collection[int] = (),
    source: Sequence[int] = (),
) -> list[Beam]:
    """Return the `beams` best texts after `prompt`, best first, with at most `max_tokens` new ids within the model's
    context. `source` is what the encoder reads, in a model that has one.

    Each step considers the 2 `beams` likeliest continuations of the running texts. Continuations that stop are
    finished, and the best others run on. The search ends when no running text scores better than the worst of `beams`
    finished texts. Raises ConfigError where the prompt does not fit, or for no beams.
    """
    context, vocabulary = model.config.context_length, model.config.vocab_size
    if not 1 <= len(prompt) <= context or not 1 <= beams <= vocabulary:
        raise ConfigError(
            f"beam search got {beams} beams and a prompt of {len(prompt)} tokens",
            f"give 1 to {vocabulary} beams and 1 to {context} tokens",
        )
    check_source(source, model.config)
    length = min(max_tokens, context - len(prompt) + 1)
    device = next(model.parameters()).device
    running, finished = [Beam((), 0.0)], list[Beam]()
    with inference(model):
        cache = KVCache(model.config, 1, len(prompt) + length, device, next(model.parameters()).dtype, room=beams)
        newest = torch.tensor([list(prompt)], device=device)
        for step in range(length):
            hidden = read(model, newest, cache, source_of([source], device) if step == 0 else None)
            cache.advance(newest.shape[1])
            scores = model.logits(hidden[:, -1]).float().log_softmax(-1)
            if not scores.isfinite().all():
                raise damaged()
            if step == 0 and forbidden_first:
                scores[:, list(forbidden_first)] = -torch.inf
            rows, going_on = _extend(running, scores, beams, stop_ids, finished)
            finished = sorted(finished, key=lambda beam: -beam.score)[:beams]
            running = going_on
            if not running or (len(finished) == beams and running[0].score <= finished[-1].score):
                break
            cache.select(rows)
            newest = torch.tensor([[beam.ids[-1]] for beam in running], device=device)
    return sorted(finished + running, key=lambda beam: -beam.score)[:beams]


def _extend(
    running: list[Beam], scores: torch.Tensor, beams: int, stop_ids: Collection[int], finished: list[Beam]
) -> tuple[list[int], list[Beam]]:
    """Return the best running texts after one more token, best first, and the row that each text continues. `scores`
    (rows, V) are log-probabilities. Texts that stop among the first `beams` are added to `finished`."""
    before = torch.tensor([beam.log_probability for beam in running], device=scores.device)
    best, places = (scores + before[:, None]).flatten().topk(min(2 * beams, scores.numel()))
    rows, going_on = list[int](), list[Beam]()
    for rank, (total, place) in enumerate(zip(best.tolist(), places.tolist(), strict=True)):
        row, number = divmod(place, scores.shape[-1])
        beam = Beam((*running[row].ids, number), total)
        if number in stop_ids:
            if rank < beams:
                finished.append(beam)
        elif len(going_on) < beams and total > -torch.inf:
            rows.append(row)
            going_on.append(beam)
    return rows, going_on

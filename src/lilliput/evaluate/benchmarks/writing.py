"""How a model writes its answers: greedily, in batches, until a stop string, the end mark or the longest answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lilliput.generate.decode import stream
from lilliput.generate.sampling import SamplingConfig

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.transformer import Model

ROWS = 16
LOOK = 8
"""Every how many tokens the answers so far are looked through for stop strings."""


class Teller:
    """Writes the likeliest answer to each prompt (see Tell in task.py). A prompt too long for the context and the
    answer loses its beginning, as it does in lm-evaluation-harness; the beginning mark stays."""

    def __init__(self, model: Model, tokenizer: Tokenizer):
        self.model, self.tokenizer = model, tokenizer
        self.cut = 0

    def __call__(self, prompts: Sequence[str], stops: Sequence[str], max_tokens: int) -> list[str]:
        context = self.model.config.context_length
        room = max(1, context - min(max_tokens, context // 2) - 1)
        encoded = self.tokenizer.encode_batch(prompts)
        self.cut += sum(len(ids) > room for ids in encoded)
        ids = [[*self.tokenizer.beginning, *found[-room:]] or [self.tokenizer.bos_id] for found in encoded]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        told = [""] * len(ids)
        for start in range(0, len(order), ROWS):
            places = order[start : start + ROWS]
            texts = _batch(self.model, self.tokenizer, [ids[i] for i in places], stops, max_tokens)
            for place, text in zip(places, texts, strict=True):
                told[place] = text
        return told


def _batch(
    model: Model, tokenizer: Tokenizer, prompts: list[list[int]], stops: Sequence[str], max_tokens: int
) -> list[str]:
    rows: list[list[int]] = [[] for _ in prompts]
    ended = [False] * len(prompts)
    greedy = SamplingConfig(temperature=0, max_tokens=max_tokens)
    for count, step in enumerate(stream(model, prompts, greedy, set(tokenizer.ends)), start=1):
        for row, ids in enumerate(rows):
            ids += step.said(row)
            ended[row] |= step.finished[row] is not None
        if count % LOOK == 0:
            ended = [end or _stopped(tokenizer, ids, stops) for end, ids in zip(ended, rows, strict=True)]
        if all(ended):
            break
    return [cut(tokenizer.decode(ids, continuing=True), stops) for ids in rows]


def _stopped(tokenizer: Tokenizer, ids: list[int], stops: Sequence[str]) -> bool:
    text = tokenizer.decode(ids, continuing=True)
    return any(stop in text for stop in stops)


def cut(text: str, stops: Sequence[str]) -> str:
    """`text` up to the first stop string."""
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text

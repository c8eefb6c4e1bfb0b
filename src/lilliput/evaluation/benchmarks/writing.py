"""How a model writes its answers: greedily, in batches, until a stop string, an end token or the longest answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lilliput.decoding.decode import stream
from lilliput.decoding.ends import special_ids
from lilliput.decoding.sampling import SamplingConfig

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.model.transformer import Model

ROWS = 16
LOOK = 8
"""Every how many tokens the answers so far are looked through for stop strings."""


class Teller:
    """Writes the likeliest answer to each prompt (see Tell in task.py). A prompt too long for the context and the
    answer loses its beginning, as it does in lm-evaluation-harness; the beginning mark stays. The ids `ends` end an
    answer (None: the tokenizer's), and so does a stop string that spells a special token."""

    def __init__(self, model: Model, tokenizer: Tokenizer, ends: frozenset[int] | None = None):
        self.model, self.tokenizer = model, tokenizer
        self.ends = tokenizer.ends if ends is None else ends
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
            texts = self._batch([ids[i] for i in places], stops, max_tokens)
            for place, text in zip(places, texts, strict=True):
                told[place] = text
        return told

    def _batch(self, prompts: list[list[int]], stops: Sequence[str], max_tokens: int) -> list[str]:
        rows: list[list[int]] = [[] for _ in prompts]
        ended = [False] * len(prompts)
        greedy = SamplingConfig(temperature=0, max_tokens=max_tokens)
        ends = set(self.ends | special_ids(stops, self.tokenizer))
        for count, step in enumerate(stream(self.model, prompts, greedy, ends), start=1):
            for row, ids in enumerate(rows):
                ids += step.said(row)
                ended[row] |= step.finished[row] is not None
            if count % LOOK == 0:
                ended = [end or _stopped(self.tokenizer, ids, stops) for end, ids in zip(ended, rows, strict=True)]
            if all(ended):
                break
        return [cut(self.tokenizer.decode(ids, continuing=True), stops) for ids in rows]


def _stopped(tokenizer: Tokenizer, ids: list[int], stops: Sequence[str]) -> bool:
    text = tokenizer.decode(ids, continuing=True)
    return any(stop in text for stop in stops)


def cut(text: str, stops: Sequence[str]) -> str:
    """`text` up to the first stop string."""
    ends = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text

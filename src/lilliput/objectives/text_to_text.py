"""Text to text: an encoder reads a source, and a decoder generates its target (T5, arXiv:1910.10683)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from lilliput.base.errors import DataError
from lilliput.data.document import Document
from lilliput.data.examples import Turns
from lilliput.data.rows import Encoded, Rows
from lilliput.decoding.engine import Engine, Request
from lilliput.decoding.sampling import SamplingConfig
from lilliput.objectives.accepted import examples_of
from lilliput.objectives.batch import Batch
from lilliput.objectives.figure import Figure
from lilliput.objectives.from_source import FromSource, FromSourceConfig
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.preference import sizes_of
from lilliput.objectives.workshop import HeldOut, Workshop

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer


class TextToTextPairs(FromSource):
    """The targets of pairs, given their sources."""

    config: TextToText

    def __init__(self, config: TextToText, workshop: Workshop):
        super().__init__(config, workshop)
        self.sizes = torch.from_numpy(workshop.tokenizer.token_bytes()).float()

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """A row holds two sequences, the source and the target. Both are as wide as the longest of the batch."""
        lengths = sizes_of(rows)
        source, target = (max(2, int(most)) for most in lengths.max(0))
        sources, tokens, targets, weights = (
            torch.from_numpy(np.ascontiguousarray(part))
            for part in (
                rows.tokens[:, 0, :source],
                rows.tokens[:, 1, : target - 1],
                rows.tokens[:, 1, 1:target],
                rows.learn[:, 1, 1:target],
            )
        )
        sizes = self.sizes[targets] * weights
        return Batch(
            tokens, targets, weights, sources=sources, source_lengths=torch.from_numpy(lengths[:, 0]), sizes=sizes
        )

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """Return the figures of FromSource, and `val_exact`: the share of the first `objective.exact` pairs whose
        target is generated to the letter, by the likeliest token at each step."""
        found = super().evaluate(held)
        right = count = 0
        for batch in held.batches(self):
            take = min(len(batch), self.config.exact - count)
            if take <= 0:
                break
            right += self._exact(batch, take)
            count += take
        return found | ({"val_exact": right / count} if count else {})

    def _exact(self, batch: Batch, count: int) -> int:
        """Return how many of the first `count` targets are generated to the letter."""
        ends, most = self.workshop.tokenizer.ends, batch.tokens.shape[1] + 1  # a longer text is another one
        sampling = SamplingConfig(temperature=0, max_tokens=most)
        engine = Engine(self.model, count, most)
        jobs = {}
        for row in range(count):
            source = batch.sources[row, : int(batch.source_lengths[row])].tolist()
            request = Request((int(batch.tokens[row, 0]),), sampling, source=tuple(source), stop_ids=frozenset(ends))
            jobs[engine.submit(request)] = row
        made: list[list[int]] = [[] for _ in range(count)]
        while not engine.idle:
            for job, token in engine.step():
                if token.id is not None:
                    made[jobs[job]].append(token.id)
        right = [batch.targets[row][batch.weights[row] > 0].tolist() for row in range(count)]
        return sum(one == other for one, other in zip(made, right, strict=True))


@OBJECTIVES.add("text_to_text")
class TextToText(FromSourceConfig):
    """An encoder-decoder that learns pairs: rows of `source` and `target`, of `prompt` and `completion`, or a
    conversation, whose last message of the assistant is the target of all before it."""

    kind: Literal["text_to_text"] = "text_to_text"
    exact: int = Field(default=64, ge=0, description="pairs whose target is generated at each evaluation; 0: none")
    example: ClassVar[str | None] = "reverse: Once there was a busy bear whose name was Barney."
    rows: ClassVar[Literal["packed", "documents"]] = "documents"
    examples: ClassVar[tuple[str, ...]] = ("completion", "messages")
    figure: ClassVar[Figure] = Figure("target_bits_per_byte", "val_target_bits_per_byte", "bits a target byte")

    def encode(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, documents: Sequence[Document], tokenizer: Tokenizer
    ) -> list[list[Encoded]]:
        pairs = [pair_of(example.row) for example in examples_of(documents, self)]
        targets = tokenizer.encode_batch([target for _, target in pairs])
        return [
            [Encoded(self.source(tokenizer, source), []), _target(ids, tokenizer)]
            for (source, _), ids in zip(pairs, targets, strict=True)
        ]

    def build(self, workshop: Workshop) -> Objective:
        return TextToTextPairs(self, workshop)

    def opening(self, tokenizer: Tokenizer, ids: Sequence[int]) -> str:
        """The whole source of a held-out pair; "" for the ids of its target."""
        if ids[0] == tokenizer.pad_id:
            return ""
        special = set(tokenizer.specials.values())
        return tokenizer.decode([number for number in ids if number not in special])


def _target(ids: Sequence[int], tokenizer: Tokenizer) -> Encoded:
    whole = [tokenizer.pad_id, *ids, tokenizer.eos_id]
    return Encoded(whole, [(1, len(whole))])


def pair_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the source and the target of an example's row. Raises DataError for a conversation that does not end with
    a text of the assistant."""
    if "messages" in row:
        *before, last = row["messages"]
        if last["role"] != "assistant" or not before:
            raise DataError("a conversation has to end with a message of the assistant, and to begin with another one")
        return _plain(before), _plain([last])
    return _plain(row["prompt"]), _plain(row["completion"])


def _plain(turns: Turns) -> str:
    """Return the texts of messages, a line each; a text as it is."""
    return turns if isinstance(turns, str) else "\n".join(message.get("content") or "" for message in turns)

"""Span corruption (T5, arXiv:1910.10683): an encoder reads a text with gaps, and a decoder generates the spans."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from lilliput.base.errors import ConfigError
from lilliput.data.rows import Rows
from lilliput.data.special_tokens import SPANS
from lilliput.objectives.batch import Batch
from lilliput.objectives.figure import Figure
from lilliput.objectives.from_source import FromSource, FromSourceConfig
from lilliput.objectives.objective import OBJECTIVES, Objective
from lilliput.objectives.reader import Reader
from lilliput.objectives.workshop import Workshop

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer

GAP = "___"
"""What a person types for a missing part of a text."""
SHOWN_WORDS, SHOWN_GAP = 24, 3
"""Words of a validation document that a sample shows, and the words of its gap."""


class MissingSpans(FromSource):
    """Some spans of each row are left out. The source has a mark in place of each span, and the target is each mark
    with the tokens of its span behind it. The choice depends on (seed, place of the rows) alone."""

    config: Span

    def __init__(self, config: Span, workshop: Workshop):
        super().__init__(config, workshop)
        tokenizer, length = workshop.tokenizer, workshop.model.config.context_length
        self.marks = np.array(marks_of(tokenizer))
        needed = counts(length, config.fraction, config.mean_span)[1]
        if needed > len(self.marks):
            raise ConfigError(
                f"{needed} spans are left out of {length} tokens, and the tokenizer has marks for {len(self.marks)}",
                f"give longer spans: objective.mean_span={length * config.fraction / len(self.marks):.1f}",
            )
        self.pad, self.eos = tokenizer.pad_id, tokenizer.eos_id
        self.sizes = tokenizer.token_bytes().astype(np.float32)
        self.sizes[self.marks] = 0

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        ids = rows.tokens[:, :-1]
        kept = np.ones_like(ids, dtype=bool) if rows.segments is None else rows.segments[:, :-1] >= 0
        given = zip(ids, rows.learn[:, :-1], kept, strict=True)
        pairs = [self._pair(row[there], learn[there], rng) for row, learn, there in given]
        sources, tokens, targets, weights = zip(*pairs, strict=True)
        right, learned = _padded(targets, self.pad), _padded(weights, 0.0)
        return Batch(
            torch.from_numpy(_padded(tokens, self.pad)),
            torch.from_numpy(right),
            torch.from_numpy(learned),
            sources=torch.from_numpy(_padded(sources, self.pad)),
            source_lengths=torch.tensor([len(source) for source in sources]),
            sizes=torch.from_numpy(self.sizes[right] * learned),
        )

    def _pair(self, ids: np.ndarray, learn: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """The source, and the decoder's tokens, targets and weights, of one row without its padding."""
        if len(ids) < 2:  # nothing can be left out
            source, start = np.append(ids, self.eos), np.array([self.pad])
            return source, start, np.array([self.eos]), np.zeros(1, np.float32)
        kept, missing = spans(len(ids), self.config.fraction, self.config.mean_span, rng)
        source, target, weights = [], [], []
        for mark, (start, middle, stop) in zip(self.marks, _bounds(kept, missing), strict=False):
            source += [ids[start:middle], [mark]]
            target += [[mark], ids[middle:stop]]
            weights += [[1.0], learn[middle:stop]]
        right = np.concatenate([*target, [self.eos]])
        each = np.concatenate([*weights, [1.0]]).astype(np.float32)
        return np.concatenate([*source, [self.eos]]), np.concatenate([[self.pad], right[:-1]]), right, each


@OBJECTIVES.add("span")
class Span(FromSourceConfig):
    """An encoder-decoder that generates the missing spans of a text. `lilliput generate RUN "Tim had a ___ dog."` fills
    the gaps.

    fraction   share of the tokens that are left out
    mean_span  mean length of a span, in tokens
    """

    kind: Literal["span"] = "span"
    fraction: float = Field(default=0.15, gt=0, lt=1, description="share of the tokens that are left out")
    mean_span: float = Field(default=3.0, ge=1, description="mean length of a missing span, in tokens")
    example: ClassVar[str | None] = "Tom had a <extra_id_0> dog."
    specials: ClassVar[tuple[str, ...]] = tuple(SPANS)
    figure: ClassVar[Figure] = Figure("span_bits_per_byte", "val_span_bits_per_byte", "bits a missing byte")

    def equip(self, tokenizer: Tokenizer) -> Tokenizer:
        return tokenizer if len(marks_of(tokenizer)) >= 2 else tokenizer.with_specials(tuple(SPANS))

    def build(self, workshop: Workshop) -> Objective:
        return MissingSpans(self, workshop)

    def source(self, tokenizer: Tokenizer, text: str) -> list[int]:
        pieces = text.split(GAP)
        marks = marks_of(tokenizer)
        if not 2 <= len(pieces) <= len(marks) + 1:
            raise ConfigError(
                f"the text has {len(pieces) - 1} gaps, and this model fills 1 to {len(marks)}",
                f'write {GAP} where something is missing: "Tim had a {GAP} dog."',
            )
        ids = [*tokenizer.beginning, *tokenizer.encode(pieces[0])]
        for mark, piece in zip(marks, pieces[1:], strict=False):
            ids += [mark, *tokenizer.encode(piece, continuing=True)]
        return [*ids, tokenizer.eos_id]

    def opening(self, tokenizer: Tokenizer, ids: Sequence[int]) -> str:
        special = set(tokenizer.specials.values())
        text = tokenizer.decode([number for number in ids[: 4 * SHOWN_WORDS] if number not in special])
        words = text.split(" ")[:SHOWN_WORDS]
        middle = len(words) // 2
        return " ".join([*words[:middle], GAP, *words[middle + SHOWN_GAP :]])

    def text_of(self, tokenizer: Tokenizer, opening: str | None, ending: str | None, ids: Sequence[int]) -> str:
        """The text with its gaps filled. A gap of which the model generated nothing stays."""
        found = filled(tokenizer, ids)
        pieces = (opening or "").split(GAP)
        text = pieces[0]
        for place, piece in enumerate(pieces[1:]):
            text = _joined(_joined(text, found.get(place, GAP)), piece)
        return text

    def reader(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Reader:
        return SpanReader(tokenizer)


class SpanReader(Reader):
    """The missing spans of a text, a line each."""

    def __init__(self, tokenizer: Tokenizer):
        super().__init__(tokenizer, continuing=True)
        self._marks, self._begun = set(marks_of(tokenizer)), False

    def push(self, number: int) -> str:
        if number not in self._marks:
            return super().push(number)
        line = f"{self.flush()}\n" if self._begun else ""
        self._begun = True
        return line


def marks_of(tokenizer: Tokenizer) -> list[int]:
    """Return the ids of the marks of missing spans, in order."""
    return [tokenizer.specials[role] for role in SPANS if role in tokenizer.specials]


def counts(length: int, fraction: float, mean_span: float) -> tuple[int, int]:
    """Return the number of tokens that are left out of `length` tokens, and the number of spans."""
    missing = min(max(round(length * fraction), 1), length - 1)
    return missing, min(max(round(missing / mean_span), 1), length - missing)


def spans(length: int, fraction: float, mean_span: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the lengths of kept and of missing spans, which take turns and begin with a kept one. All divisions into
    spans of at least one token are equally likely (T5's random_spans_noise_mask)."""
    missing, count = counts(length, fraction, mean_span)
    return _divided(length - missing, count, rng), _divided(missing, count, rng)


def filled(tokenizer: Tokenizer, ids: Sequence[int]) -> dict[int, str]:
    """Return the generated text of each gap by its place."""
    places = {mark: place for place, mark in enumerate(marks_of(tokenizer))}
    found: dict[int, list[int]] = {}
    here: list[int] = []
    for number in ids:
        if number in places:
            here = found.setdefault(places[number], [])
        else:
            here.append(number)
    return {place: tokenizer.decode(each, continuing=True) for place, each in found.items()}


def _divided(total: int, parts: int, rng: np.random.Generator) -> np.ndarray:
    """Return `parts` whole numbers from 1 on whose sum is `total`."""
    cuts = np.sort(rng.choice(total - 1, parts - 1, replace=False)) + 1
    return np.diff(np.concatenate([[0], cuts, [total]]))


def _bounds(kept: np.ndarray, missing: np.ndarray) -> list[tuple[int, int, int]]:
    """Return where each kept span begins, where the missing span behind it begins, and where that ends."""
    ends = np.cumsum(np.stack([kept, missing], 1).ravel()).tolist()
    return list(zip([0, *ends[1:-1:2]], ends[::2], ends[1::2], strict=True))


def _padded(rows: Sequence[np.ndarray], value: float) -> np.ndarray:
    longest = max(map(len, rows))
    out = np.full((len(rows), longest), value, dtype=np.float32 if isinstance(value, float) else np.int64)
    for row, values in zip(out, rows, strict=True):
        row[: len(values)] = values
    return out


def _joined(text: str, more: str) -> str:
    """Return both texts with one space between them where both would give two."""
    return text + (more.lstrip(" ") if re.search(r"\s$", text) else more)

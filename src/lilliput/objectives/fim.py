"""Fill in the middle: a causal model that also learns to write the text between a prefix and a suffix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from lilliput.base.seeds import generator
from lilliput.data.document import Document
from lilliput.data.rows import Encoded
from lilliput.objectives.causal import NextToken, NextTokenConfig
from lilliput.objectives.figure import (
    VAL_MIDDLE_AFTER,
    VAL_MIDDLE_BITS,
    VAL_MIDDLE_SENTENCES,
    VAL_MIDDLE_WORDS,
    VAL_MIDDLES,
)
from lilliput.objectives.infilling import (
    ROLES,
    Kind,
    Order,
    Parts,
    Pieces,
    arranged,
    fitting,
    held_out_texts,
    marks_of,
    middles_of,
    parts_of,
    score_after,
    score_between,
)
from lilliput.objectives.objective import OBJECTIVES, Objective, Prompt
from lilliput.objectives.reader import Reader
from lilliput.objectives.workshop import HeldOut, Workshop

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer

DOCUMENTS, TOKENS = 256, 0.5
"""Bounds of an evaluation's middles: this many held-out documents, and this share of the tokens that are scored as
text. A middle of each kind is a row of its own, so all of them take about as long as the text does."""
MEETING = 16
"""Characters of a suffix before which a middle stops."""
NOT_LEARNED = 2
"""Ids at the beginning of a rearranged document that are not targets: the beginning mark and the prefix token."""


class FillInTheMiddle(NextToken):
    """Next-token prediction on documents of which a part is rearranged (see Fim)."""

    config: Fim

    def __init__(self, config: Fim, workshop: Workshop):
        super().__init__(config, workshop)
        marks_of(workshop.tokenizer)  # raises where the tokenizer lacks them
        self._kept: dict[int | None, dict[Kind, list[Parts]]] = {}

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """Return the figures of a causal model on the left-to-right form of the held-out text, and figures of middles
        of at most DOCUMENTS of its documents. A figure is left out where no document has such a middle."""
        model, tokenizer, middles = self.model, self.workshop.tokenizer, self._middles(held)
        order = self.config.asked
        spans = score_between(model, tokenizer, middles["span"], order)
        after = score_after(model, tokenizer, middles["span"])
        words = score_between(model, tokenizer, middles["word"], order)
        sentences = score_between(model, tokenizer, middles["sentence"], order)
        found = super().evaluate(held)
        if spans is not None and after is not None:
            found |= {VAL_MIDDLE_BITS: spans.bits_per_byte, VAL_MIDDLE_AFTER: after.bits_per_byte}
            found[VAL_MIDDLES] = spans.count
        found |= {} if words is None else {VAL_MIDDLE_WORDS: words.exact}
        return found | ({} if sentences is None else {VAL_MIDDLE_SENTENCES: sentences.exact})

    def _middles(self, held: HeldOut) -> dict[Kind, list[Parts]]:
        """Return the same middles at every evaluation of as many tokens."""
        if held.max_tokens not in self._kept:
            split, tokenizer = held.loader().split, self.workshop.tokenizer
            length = self.model.config.context_length
            tokens = split.tokens if held.max_tokens is None else held.max_tokens
            texts = held_out_texts(split, tokenizer, length, DOCUMENTS, max(1, int(TOKENS * tokens)))
            kinds: tuple[Kind, ...] = ("span", "word", "sentence")
            self._kept[held.max_tokens] = {kind: fitting(middles_of(texts, kind), tokenizer, length) for kind in kinds}
        return self._kept[held.max_tokens]


@OBJECTIVES.add("fim")
class Fim(NextTokenConfig):
    """A causal model that also fills in the middle of a text (Bavarian et al. 2022, arXiv:2207.14255).

    A share `rate` of the training documents is cut at two places into prefix, middle and suffix, and rearranged with
    three special tokens, so that the middle comes last. Each place between two characters is equally likely for each
    cut. Of these documents a share `spm` has the suffix first (see infilling.arranged for both orders). All other
    documents, and all held-out documents, are read from left to right.

    The choice for a document depends on `seed` and its text alone. So it is the same on any number of threads, in any
    order of the documents and at every epoch. The seed of the run changes nothing of it, so that runs with other seeds
    share the prepared data.

    As in the paper, all three pieces, the suffix and middle tokens and the end mark are learned. In contrast to the
    paper, the prefix token is not: the model need not guess which documents are rearranged. This guess would cost one
    bit a document at a rate of 0.5, and a text that is generated from its beginning could begin with the prefix token.
    """

    kind: Literal["fim"] = "fim"
    rate: float = Field(default=0.5, gt=0, le=1, description="share of the training documents that are rearranged")
    spm: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of the rearranged documents that are in the order suffix, prefix, middle; the rest are in "
        "the order prefix, suffix, middle; a model is asked for a middle in the more frequent order",
    )
    seed: int = Field(default=0, ge=0, description="decides with a document's text whether and where it is cut")

    @property
    def asked(self) -> Order:
        """The order in which the model is asked for a middle: the one of which it reads more. In SPM a middle follows
        its prefix directly, so that a small model needs no more than to continue a text."""
        return "spm" if self.spm >= 0.5 else "psm"

    def equip(self, tokenizer: Tokenizer) -> Tokenizer:
        return tokenizer.with_specials(ROLES)

    def cut(self, text: str) -> tuple[Pieces, Order] | None:
        """Return the pieces of a document and their order; None for a document that stays as it is."""
        rearranged, suffix_first, *places = generator(self.seed, "fim", text).random(4).tolist()
        if rearranged >= self.rate:
            return None
        start, stop = sorted(int(place * (len(text) + 1)) for place in places)
        return Pieces.of(text, start, stop), "spm" if suffix_first < self.spm else "psm"

    def encode(self, documents: Sequence[Document], tokenizer: Tokenizer) -> list[Encoded]:
        cuts = [self.cut(document.text) for document in documents]
        pairs = zip(documents, cuts, strict=True)
        whole = iter(self.encode_texts([document for document, cut in pairs if cut is None], tokenizer))
        parts = iter(parts_of([cut[0] for cut in cuts if cut is not None], tokenizer))
        return [next(whole) if cut is None else _encoded(next(parts), cut[1], tokenizer) for cut in cuts]

    def encode_held_out(self, documents: Sequence[Document], tokenizer: Tokenizer) -> list[Encoded]:
        return self.encode_texts(documents, tokenizer)

    def build(self, workshop: Workshop) -> Objective:
        return FillInTheMiddle(self, workshop)

    def prompt(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Prompt:
        if ending is None:
            return super().prompt(tokenizer, opening, None)
        [parts] = parts_of([Pieces(opening or "", "", ending)], tokenizer)
        return Prompt(arranged(parts, self.asked, tokenizer)[:-1].tolist())

    def stops(self, ending: str) -> tuple[str, ...]:
        # A small model seldom puts the end mark where the middle meets the suffix. It then goes on with the suffix. A
        # shorter text may well stand in the middle itself.
        return (ending[:MEETING],) if len(ending) >= MEETING else ()

    def text_of(self, tokenizer: Tokenizer, opening: str | None, ending: str | None, ids: Sequence[int]) -> str:
        continuing = bool(opening) or ending is not None
        return (opening or "") + tokenizer.decode(ids, continuing=continuing) + (ending or "")

    def reader(self, tokenizer: Tokenizer, opening: str | None, ending: str | None) -> Reader:
        return Reader(tokenizer, continuing=bool(opening) or ending is not None)


def _encoded(parts: Parts, order: Order, tokenizer: Tokenizer) -> Encoded:
    ids = arranged(parts, order, tokenizer)
    return Encoded(ids, [(NOT_LEARNED, len(ids))])

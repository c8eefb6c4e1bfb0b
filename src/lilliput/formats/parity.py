"""Parity: a written model, read back, compared with its source on texts that the source generates."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lilliput.base.differences import differing
from lilliput.base.errors import ExportError
from lilliput.data.tokenizer import Tokenizer
from lilliput.formats.format import Logits, logits_of
from lilliput.formats.source import Source

TOLERANCE = {"f32": 1e-4, "f16": 0.02, "int8": 0.2, "q8_0": 0.2}
"""The largest mean difference (nats) of the log-probabilities of generated tokens. With a larger difference the file
holds another model."""

AWKWARD = ("", " ", "  two  spaces ", "Tom's 1,234 cats.\n\n“Où?” she said—twice.", "naïve 東京 🦊\tend ")
"""Further texts for the comparison of tokenizers. Tokenizers often differ on such texts."""


@dataclass(frozen=True, slots=True)
class Parity:
    """The distance of the file from its source.

    tokens           positions compared, in texts that the source generates
    logit            largest difference of any logit
    log_probability  mean difference (nats) of the log-probabilities of the generated tokens
    same_greedy      positions at which both would continue with the same token
    texts            texts that both tokenizers encode alike; None where the file's reader has no tokenizer
    """

    tokens: int
    logit: float
    log_probability: float
    same_greedy: int
    texts: int | None

    def __str__(self) -> str:
        same = "the same" if self.same_greedy == self.tokens else f"{self.same_greedy} of {self.tokens}"
        words = (
            f"logits within {self.logit:.2g} of the source, log-probabilities within {self.log_probability:.2g} on "
            f"average; greedy tokens {same} at {self.tokens} positions"
        )
        return words + (f"; {self.texts} texts encoded alike" if self.texts else "")


def compare(source: Source, logits: Logits, tokenizer: Tokenizer | None, order: torch.Tensor, kind: str) -> Parity:
    """Compare the model of a file with the source. `order` (vocab_size,) holds our id for each id of the file. Raises
    ExportError when the log-probabilities differ by more than the type `kind` explains, or the ids of a text differ."""
    tokens = source.sample_ids()
    ours = logits_of(source.model)(tokens)
    theirs = logits(torch.argsort(order)[tokens])[..., torch.argsort(order)]
    targets = tokens[:, 1:, None]
    gap = (_log_probabilities(ours, targets) - _log_probabilities(theirs, targets)).abs().mean()
    parity = Parity(
        tokens=tokens.numel(),
        logit=float((ours - theirs).abs().max()),
        log_probability=float(gap),
        same_greedy=int((ours.argmax(-1) == theirs.argmax(-1)).sum()),
        texts=_same_ids(source, tokenizer, tokens),
    )
    if not parity.log_probability <= TOLERANCE[kind]:
        raise ExportError(
            f"the file, read back, is another model: {parity} ({kind} explains at most {TOLERANCE[kind]})",
            "the file was not kept; check that the source's weights are finite: lilliput generate RUN",
        )
    return parity


def _log_probabilities(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return logits[:, :-1].log_softmax(-1).gather(-1, targets)


def _same_ids(source: Source, tokenizer: Tokenizer | None, tokens: torch.Tensor) -> int | None:
    """Return the number of texts that both tokenizers encoded. Raises ExportError for the first text with different
    ids."""
    if tokenizer is None:
        return None
    known = source.tokenizer.vocab_size
    texts = [source.tokenizer.decode([number for number in row if number < known]) for row in tokens.tolist()]
    texts += AWKWARD
    theirs = tokenizer.encode_batch(texts)
    for text, ours, again in zip(texts, source.tokenizer.encode_batch(texts), theirs, strict=True):
        if ours != again:
            where = differing(again, ours, "ids", most=1)
            raise ExportError(f"the file's tokenizer, read back, gives {text[:40]!r} other ids: {where}")
    return len(texts)

"""Tags of words: the entities of a text, by a head of each token that is read at the first token of each word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from lilliput.base.errors import ConfigError, DataError, ModelError
from lilliput.data.document import Document
from lilliput.data.loader import Loader
from lilliput.data.rows import Encoded, Rows
from lilliput.data.split_words import WORDS
from lilliput.model.heads import Head
from lilliput.objectives.accepted import examples_of
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.entities import OUTSIDE, compare, dictionary, odd_tags, spans_of, tags_of
from lilliput.objectives.figure import VAL_LOSS, Figure
from lilliput.objectives.objective import OBJECTIVES, Family, Objective
from lilliput.objectives.scored import ScoredConfig, outputs_of, whole
from lilliput.objectives.workshop import HeldOut, Workshop

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer

FIGURE = Figure("error", "val_error", "entity error (1 - F1)")
TAGS, STARTS, STOPS = "tags", "starts", "stops"
"""Columns: the number of each word's tag; and, of a text to score, where its words stand in it."""


class Tagger(Objective):
    """The model with a head of one output a tag at each token."""

    config: Tag

    def __init__(self, config: Tag, workshop: Workshop):
        super().__init__(config, workshop)
        self.tags = tags_of(config.labels)
        self.head = Head(workshop.model.config, len(self.tags), workshop.seed, self.tags, each=True)
        self.head.to(workshop.device)

    def stock_head(self) -> Head:
        return self.head

    def modules(self) -> dict[str, nn.Module]:
        return {"tagger": self.head}

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """tokens, targets, weights (R, 1, T), lengths (R, 1): the weight is 1 at the first token of each word, where
        the target is the number of the word's tag."""
        made = whole(rows, self.model.config.context_length)
        learn = rows.learn[..., : made.tokens.shape[-1]] > 0
        targets = np.zeros(learn.shape, np.int64)
        for row, columns in enumerate(rows.columns):
            places = np.flatnonzero(learn[row, 0])  # a text that is cut has tags for more words than it has here
            targets[row, 0, places] = columns[0][TAGS][: len(places)]
        weights = torch.from_numpy(learn.astype(np.float32))
        return made.including({"targets": torch.from_numpy(targets), "weights": weights})

    def loss(self, batch: Batch) -> Loss:
        outputs = outputs_of(self.view, self.head, batch)
        at = batch.weights > 0
        total = F.cross_entropy(outputs[at], batch.targets[at], reduction="sum") + self.added(batch)
        found = compare(*self._named(outputs.detach(), batch))
        words = batch.weights.sum()
        right = (outputs.detach()[at].argmax(-1) == batch.targets[at]).sum()
        return Loss(total, {FIGURE.training: (1 - found.f1) * words, "tag_accuracy": right})

    def _named(self, outputs: torch.Tensor, batch: Batch) -> tuple[list[list[str]], list[list[str]]]:
        """outputs (R, 1, T, N) -> the likeliest tags of the words of each row, and the right ones."""
        found, right = outputs.argmax(-1).cpu(), batch.targets.cpu()
        learned = batch.weights.cpu() > 0
        return self._rows(found, learned), self._rows(right, learned)

    def _rows(self, numbers: torch.Tensor, learned: torch.Tensor) -> list[list[str]]:
        return [[self.tags[number] for number in row[at].tolist()] for row, at in zip(numbers, learned, strict=True)]

    def evaluate(self, held: HeldOut) -> dict[str, float]:
        """The mean loss of a word, F1 of the entities with precision and recall (exact words and type), the share of
        right tags, and the share of O among the tags, which is that of a model that finds nothing."""
        nats, found, right = 0.0, list[list[str]](), list[list[str]]()
        with self.measuring():
            for batch in held.batches(self):
                outputs, at = outputs_of(self.model, self.head, batch), batch.weights > 0
                nats += float(F.cross_entropy(outputs[at], batch.targets[at], reduction="sum"))
                ours, theirs = self._named(outputs, batch)
                found, right = [*found, *ours], [*right, *theirs]
        score = compare(found, right)
        pairs = [pair for ours, theirs in zip(found, right, strict=True) for pair in zip(ours, theirs, strict=True)]
        words = max(len(pairs), 1)
        return {
            VAL_LOSS: nats / words,
            FIGURE.validation: 1 - score.f1,
            "val_f1": score.f1,
            "val_precision": score.precision,
            "val_recall": score.recall,
            "val_tag_accuracy": sum(ours == theirs for ours, theirs in pairs) / words,
            "val_outside": sum(theirs == OUTSIDE for _, theirs in pairs) / words,
            "val_entities": score.wanted,
            "val_words": len(pairs),
        }

    def baselines(self, train: Loader, held: HeldOut) -> dict[str, float]:
        """1 - F1 of two answers on the same words: no entity at all, and the tag that each word has most often in the
        training rows (O for a word that they lack)."""
        known = dictionary(*self._words(train, train.rows_per_epoch))
        loader = held.loader()
        words, right = self._words(loader, held.rows(loader))
        by_word = [[known.get(word, OUTSIDE) for word in text] for text in words]
        return {
            "all O": 1 - compare([[OUTSIDE] * len(text) for text in words], right).f1,
            "word dictionary": 1 - compare(by_word, right).f1,
        }

    def _words(self, loader: Loader, count: int) -> tuple[list[list[str]], list[list[str]]]:
        """The words of the first `count` rows, and their tags."""
        tokenizer = self.workshop.tokenizer
        special = set(tokenizer.specials.values())
        words, tags = list[list[str]](), list[list[str]]()
        for place in range(0, count, 256):
            rows = loader.take(place, min(256, count - place))
            length = self.model.config.context_length  # a row holds one id more, which the model does not read
            columns_of = (columns[0] for columns in rows.columns)
            sides = rows.tokens[:, 0, :length], rows.learn[:, 0, :length]
            for ids, learn, columns in zip(*sides, columns_of, strict=True):
                starts = np.flatnonzero(learn).tolist()
                # With words that begin at 1 and 3 of 5 ids, the words are the ids 1 to 3 and 3 to 5.
                parts = (ids[start:stop].tolist() for start, stop in zip(starts, [*starts[1:], len(ids)], strict=True))
                kept = ([number for number in part if number not in special] for part in parts)
                words.append([tokenizer.decode(part, continuing=True).strip() for part in kept])
                tags.append([self.tags[number] for number in columns[TAGS][: len(starts)]])
        return words, tags


@OBJECTIVES.add("tag")
class Tag(ScoredConfig):
    """The entities of a text: a tag for each word, learned at the word's first token. Rows hold words and tags in BIO:
    B-TYPE begins an entity, I-TYPE continues it, and O is outside. The figure is 1 - F1 of exact entities."""

    kind: Literal["tag"] = "tag"
    labels: tuple[str, ...] = Field(
        default=(),
        description="the types of entities, such as [person, place]; or all tags in the order of their numbers, O "
        "among them",
    )
    examples: ClassVar[tuple[str, ...]] = ("tagged",)
    trains: ClassVar[tuple[Family, ...]] = ("decoder", "encoder")
    figure: ClassVar[Figure] = FIGURE
    tries: ClassVar[tuple[str, ...]] = ('score {run} "It was a good day."', "evaluate {run}")

    def encode(self, documents: Sequence[Document], tokenizer: Tokenizer) -> list[list[Encoded]]:
        examples = examples_of(documents, self)
        seen = sorted({str(tag) for example in examples for tag in example.row["tags"]})
        numbers = {tag: number for number, tag in enumerate(tags_of(self.labels))}
        made = []
        for document, example in zip(documents, examples, strict=True):
            tags = [_number(tag, numbers, document.id, seen) for tag in example.row["tags"]]
            ids, starts = encode_words(example.row["words"], tokenizer)
            kept = [tag for tag, start in zip(tags, starts, strict=True) if start is not None]
            learn = [(start, start + 1) for start in starts if start is not None]
            made.append([Encoded(ids, learn, {TAGS: kept})])
        return made

    def encode_scored(
        self, texts: Sequence[str], prompt: str | None, tokenizer: Tokenizer, pair: str | None = None
    ) -> list[Encoded]:
        if prompt is not None or pair is not None:
            raise ConfigError("a tagger reads texts alone", "leave --prompt and --pair out")
        made = []
        for text in texts:
            words = list(WORDS.finditer(text))
            ids, starts = encode_words([word[0] for word in words], tokenizer)
            placed = [(word, start) for word, start in zip(words, starts, strict=True) if start is not None]
            learn = [(start, start + 1) for _, start in placed]
            places = {STARTS: [word.start() for word, _ in placed], STOPS: [word.end() for word, _ in placed]}
            made.append(Encoded(ids, learn, places))
        return made

    def answer(self, outputs: torch.Tensor, text: str, sequence: Encoded) -> dict[str, Any]:
        """`entities`: each with `type`, `text`, and the characters `start` to `stop` of the text that it covers."""
        names, columns = tags_of(self.labels), sequence.columns or {}
        likeliest = outputs.argmax(-1).tolist()
        firsts = [start for start, _ in sequence.learn or () if start < len(likeliest)]
        found = []
        for first, stop, kind in spans_of(names[likeliest[place]] for place in firsts):
            begin, end = columns[STARTS][first], columns[STOPS][stop - 1]
            found.append({"type": kind, "text": text[begin:end], "start": begin, "stop": end})
        return {"entities": found}

    def check_head(self, head: Head) -> None:
        odd = odd_tags(head.labels)
        if odd or OUTSIDE not in head.labels or tags_of(self.labels) != head.labels:
            odd = odd or list(head.labels)
            raise ModelError(
                f"the head has the tags {', '.join(odd[:10])}, and entities are read from O, B-TYPE and I-TYPE",
                "name the tags so in id2label of config.json, where they mean the same",
            )

    def build(self, workshop: Workshop) -> Objective:
        tags = tags_of(self.labels)
        if not self.labels or len({*tags}) < len(tags):
            raise ConfigError(
                f"objective.labels is '{', '.join(self.labels)}', and a tagger needs types of entities, each once",
                "name the types in the data: 'objective.labels=[person,place]'",
            )
        if odd := odd_tags(tags):
            raise ConfigError(
                f"objective.labels has the tags {', '.join(odd)}, and a tag of BIO is O, B-TYPE or I-TYPE",
                "name the types alone: 'objective.labels=[person,place]'",
            )
        return Tagger(self, workshop)


def encode_words(words: Sequence[str], tokenizer: Tokenizer) -> tuple[list[int], list[int | None]]:
    """Return the ids of words with a space between them and the marks around them, and the place of each word's first
    token that holds more than the space; None for a word without such a token."""
    ids, starts = list(tokenizer.beginning), list[int | None]()
    for pieces in _pieces(words, tokenizer):
        texts = (tokenizer.decode([piece], continuing=True) for piece in pieces)
        first = next((place for place, text in enumerate(texts) if text.strip()), None)
        starts.append(None if first is None else len(ids) + first)
        ids += pieces
    return [*ids, *sorted(tokenizer.ends)], starts


def _pieces(words: Sequence[str], tokenizer: Tokenizer) -> Iterator[list[int]]:
    yield from tokenizer.encode_batch(words[:1])
    yield from tokenizer.encode_batch([f" {word}" for word in words[1:]], continuing=True)


def _number(tag: str | int, numbers: dict[str, int], where: str, seen: Sequence[str]) -> int:
    """The number of a tag from its name or number. Raises DataError with the tags of other documents."""
    if str(tag) in numbers:
        return numbers[str(tag)]
    number = int(tag) if isinstance(tag, int) else -1
    if 0 <= number < len(numbers):
        return number
    types = sorted({name.partition("-")[2] for name in seen if "-" in name})
    raise DataError(
        f"{where} has the tag {tag!r}, which is none of {', '.join(numbers)}",
        f"name the types of entities: 'objective.labels=[{','.join(types)}]'",
    )

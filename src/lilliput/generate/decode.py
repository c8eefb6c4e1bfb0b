"""The generation loop: prompts in, one Step a token out; cached, batched over rows of different lengths."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from lilliput.base.errors import ConfigError, ModelError
from lilliput.generate.cache import KVCache
from lilliput.generate.inference import inference
from lilliput.generate.sampling import SamplingConfig, sample

if TYPE_CHECKING:
    from lilliput.model.transformer import Model

Finish = Literal["stop", "length", "context"]


@dataclass(frozen=True, slots=True)
class Step:
    """What each of R rows said in one step. Row `p * n + k` is sample k of prompt p.

    tokens             R ids; None for a row that was finished before
    log_probabilities  R floats: the log-probability (nats) of the token under the model itself, before
                       temperature, penalties and filters; 0.0 where there is no token
    finished           R reasons, or None for a row that goes on: "stop" (the token is a stop id), "length"
                       (`max_tokens` reached) or "context" (the context is full and `window` is off)
    """

    tokens: list[int | None]
    log_probabilities: list[float]
    finished: list[Finish | None]

    def said(self, row: int) -> list[int]:
        """The ids that this step adds to the row's text: one, or none where it was finished or now stops."""
        token = self.tokens[row]
        return [] if token is None or self.finished[row] == "stop" else [token]


def generate(
    model: Model,
    prompts: Sequence[Sequence[int]],
    sampling: SamplingConfig,
    stop_ids: Collection[int] = (),
    forbidden_first: Collection[int] = (),
    window: bool = False,
    generators: Sequence[np.random.Generator] | None = None,
) -> list[list[int]]:
    """The new ids of every row, prompt and stop id left out; arguments, rows and errors as in `stream`."""
    told: list[list[int]] = [[] for _ in range(len(prompts) * sampling.n)]
    for step in stream(model, prompts, sampling, stop_ids, forbidden_first, window, generators):
        for row, ids in enumerate(told):
            ids += step.said(row)
    return told


def stream(
    model: Model,
    prompts: Sequence[Sequence[int]],
    sampling: SamplingConfig,
    stop_ids: Collection[int] = (),
    forbidden_first: Collection[int] = (),
    window: bool = False,
    generators: Sequence[np.random.Generator] | None = None,
) -> Iterator[Step]:
    """Continue `prompts` (lists of token ids) token by token until every row has finished.

    `sampling.n` rows continue each prompt. `forbidden_first` are ids that may not come first. `generators`
    replaces the rows' own random streams, which depend on (seed, sample number) only. The model's training
    mode and torch's random state are untouched, also between steps and when the stream is left half-way.

    With `window`, a row that outgrows the context starts again from its last half context: those ids are read
    anew from position 0, so that a token always sees between half a context and a whole one, at positions that
    the model was trained on (the sliding window with re-computation of Xiao et al. 2024, arXiv:2309.17453, moved
    by half a context at a time). A prompt longer than the context begins with its last half context likewise.

    Raises ConfigError at the call for an empty prompt, ids outside the vocabulary, and a prompt longer than
    the context without `window`; ModelError in the step where the model's logits are not finite.
    """
    _check(model, prompts, forbidden_first, window)
    if generators is None:
        generators = [generator for _ in prompts for generator in sampling.generators()]
    elif len(generators) != len(prompts) * sampling.n:
        raise ConfigError(f"{len(generators)} random generators for {len(prompts) * sampling.n} rows; give one a row")
    owners = [prompt for prompt in prompts for _ in range(sampling.n)]
    rows = [_Row(i, list(map(int, ids)), g) for i, (ids, g) in enumerate(zip(owners, generators, strict=True))]
    return _steps(_Decoder(model, rows, sampling, window), frozenset(stop_ids), sorted(set(forbidden_first)))


def _check(model: Model, prompts: Sequence[Sequence[int]], forbidden: Collection[int], window: bool) -> None:
    vocabulary, context = model.config.vocab_size, model.config.context_length
    for ids in prompts:
        if not len(ids):
            raise ConfigError("a prompt holds no token", "begin it with the tokenizer's beginning-of-story id")
        if min(ids) < 0 or max(ids) >= vocabulary:
            raise ConfigError(
                f"a prompt holds ids from {min(ids)} to {max(ids)}; the model knows 0 to {vocabulary - 1}",
                "encode the prompt with the tokenizer that the model was trained with",
            )
        if len(ids) > context and not window:
            raise ConfigError(
                f"the prompt has {len(ids)} tokens and the model's context holds {context}",
                "shorten the prompt, or use --window to go on from its end",
            )
    if forbidden and (min(forbidden) < 0 or max(forbidden) >= vocabulary or len(set(forbidden)) >= vocabulary):
        raise ConfigError(f"the forbidden first ids must be some, not all, of 0 to {vocabulary - 1}")


@dataclass(slots=True)
class _Row:
    """One text that is being told: its place in the caller's list, the prompt and the ids said since, the
    random stream it draws from, how many ids it has said, and where the part that the model sees begins."""

    place: int
    ids: list[int]
    generator: np.random.Generator
    said: int = 0
    begin: int = 0

    @property
    def visible(self) -> list[int]:
        return self.ids[self.begin :]


def _steps(decoder: _Decoder, stop_ids: frozenset[int], forbidden: list[int]) -> Iterator[Step]:
    total = len(decoder.rows)
    while decoder.rows:
        tokens, log_probabilities = decoder.next(forbidden)
        forbidden = []
        step = Step([None] * total, [0.0] * total, [None] * total)
        reasons: list[Finish | None] = [decoder.finish(row, stop_ids) for row in decoder.rows]
        for row, token, log_probability, reason in zip(decoder.rows, tokens, log_probabilities, reasons, strict=True):
            step.tokens[row.place] = token
            step.log_probabilities[row.place] = log_probability
            step.finished[row.place] = reason
        decoder.select([i for i, reason in enumerate(reasons) if reason is None])
        yield step


class _Decoder:
    """The rows that are still being told, with their cache and the ids that each has seen."""

    def __init__(self, model: Model, rows: list[_Row], sampling: SamplingConfig, window: bool):
        self.model, self.rows, self.sampling, self.window = model, rows, sampling, window
        self.context = model.config.context_length
        self.device = next(model.parameters()).device
        self.cache: KVCache | None = None
        self.seen: torch.Tensor | None = None
        if sampling.repetition_penalty != 1 and rows:
            self.seen = torch.zeros(len(rows), model.config.vocab_size, dtype=torch.bool)
            for i, row in enumerate(rows):
                self.seen[i, row.ids] = True
            self.seen = self.seen.to(self.device)

    def next(self, forbidden: list[int]) -> tuple[list[int], list[float]]:
        """Say one more token on every row; the tokens and their log-probabilities under the model."""
        with inference(self.model):
            logits = self._logits()
            allowed = logits
            if forbidden:
                allowed = logits.clone()
                allowed[:, forbidden] = -torch.inf
            chosen = sample(allowed, self.sampling, [row.generator for row in self.rows], self.seen)
            column = chosen.unsqueeze(-1)
            log_probabilities = (logits.gather(-1, column) - logits.logsumexp(-1, keepdim=True)).squeeze(-1).tolist()
            if not np.isfinite(log_probabilities).all():
                raise ModelError(
                    "the model's logits are not finite: its weights are damaged or its training diverged",
                    "generate from an earlier checkpoint of the run",
                )
            if self.seen is not None:
                self.seen.scatter_(-1, column, True)
            tokens = chosen.tolist()
        for row, token in zip(self.rows, tokens, strict=True):
            row.ids.append(token)
            row.said += 1
        return tokens, log_probabilities

    def finish(self, row: _Row, stop_ids: frozenset[int]) -> Finish | None:
        """Why the row ends with its newest token, or None."""
        if row.ids[-1] in stop_ids:
            return "stop"
        if row.said >= self.sampling.max_tokens:
            return "length"
        if len(row.ids) > self.context and not self.window:
            return "context"
        return None

    def select(self, kept: list[int]) -> None:
        """Go on with these rows only."""
        if len(kept) == len(self.rows):
            return
        self.rows = [self.rows[i] for i in kept]
        if kept and self.cache is not None:
            self.cache.select(kept)
        if kept and self.seen is not None:
            self.seen = self.seen[kept]

    def _logits(self) -> torch.Tensor:
        """(B, V) float32 logits of each row's next token."""
        outgrown = [row for row in self.rows if len(row.ids) - row.begin > self.context]
        for row in outgrown:
            row.begin = len(row.ids) - max(1, self.context // 2)
        if self.cache is None or outgrown:
            return self._prefill()
        newest = torch.tensor([[row.ids[-1]] for row in self.rows], device=self.device)
        hidden = self.model(newest, cache=self.cache)
        self.cache.advance(1)
        return self.model.logits(hidden)[:, -1].float()

    def _dtype(self) -> torch.dtype:
        """What keys and values are computed in."""
        kind = self.device.type
        if torch.is_autocast_enabled(kind):
            return torch.get_autocast_dtype(kind)
        return next(self.model.parameters()).dtype

    def _prefill(self) -> torch.Tensor:
        """Read all that the rows see into a new cache; rows that see the same ids are read once."""
        texts = [tuple(row.visible) for row in self.rows]
        unique = list(dict.fromkeys(texts))
        longest, shortest = max(map(len, unique)), min(map(len, unique))
        ahead = min(self.sampling.max_tokens, self.context - shortest)
        padded = [[0] * (longest - len(text)) + list(text) for text in unique]
        start = None
        if shortest < longest:
            start = torch.tensor([longest - len(text) for text in unique], device=self.device)
        config, capacity = self.model.config, longest + ahead
        cache = self.cache = KVCache(config, len(unique), capacity, self.device, self._dtype(), start)
        hidden = self.model(torch.tensor(padded, device=self.device), cache=cache)
        cache.advance(longest)
        logits = self.model.logits(hidden[:, -1:])[:, -1].float()
        if len(unique) == len(texts):
            return logits
        places = [unique.index(text) for text in texts]
        cache.select(places)
        return logits[places]

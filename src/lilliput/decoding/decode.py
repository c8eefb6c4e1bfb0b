"""stream: continues a fixed set of prompts side by side with an Engine, and yields one Step for each token."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lilliput.base.errors import ConfigError
from lilliput.decoding.engine import Engine, Finish, Job, Request
from lilliput.decoding.sampling import SamplingConfig

if TYPE_CHECKING:
    from lilliput.model.transformer import Model


@dataclass(frozen=True, slots=True)
class Step:
    """The tokens of R rows in one step. Row `p * n + k` is sample k of prompt p.

    tokens             R ids; None for a row that was finished before
    log_probabilities  R floats: the log-probability (nats) of the token under the model itself, before
                       temperature, penalties and filters; 0.0 where there is no token
    finished           R reasons, or None for a row that goes on: "stop" (the token is a stop id), "length"
                       (`max_tokens` reached) or "context" (the context is full and `window` is off)
    """

    tokens: list[int | None]
    log_probabilities: list[float]
    finished: list[Finish | None]

    def added(self, row: int) -> list[int]:
        """Return the ids that this step adds to the row's text: one id, or none where the row was finished or stops
        now."""
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
    sources: Sequence[Sequence[int]] | None = None,
) -> list[list[int]]:
    """The new ids of every row, prompt and stop id left out; arguments, rows and errors as in `stream`."""
    texts: list[list[int]] = [[] for _ in range(len(prompts) * sampling.n)]
    for step in stream(model, prompts, sampling, stop_ids, forbidden_first, window, generators, sources):
        for row, ids in enumerate(texts):
            ids += step.added(row)
    return texts


def stream(
    model: Model,
    prompts: Sequence[Sequence[int]],
    sampling: SamplingConfig,
    stop_ids: Collection[int] = (),
    forbidden_first: Collection[int] = (),
    window: bool = False,
    generators: Sequence[np.random.Generator] | None = None,
    sources: Sequence[Sequence[int]] | None = None,
) -> Iterator[Step]:
    """Continue `prompts` (lists of token ids) token by token until every row has finished.

    `sampling.n` rows continue each prompt. `forbidden_first` are ids that may not come first; `window` continues a row
    when the context is full (see engine.Request). `generators` replaces the rows' own random streams, which depend on
    (seed, sample number) only. `sources` are what
    the encoder reads for each prompt, in a model that has one. The model's training mode and torch's random state are
    untouched, also between steps and when the stream is left half-way.

    Raises ConfigError at the call for an empty prompt, ids outside the vocabulary, and a prompt longer than
    the context without `window`; ModelError in the step where the model's logits are not finite.
    """
    rows = len(prompts) * sampling.n
    if generators is not None and len(generators) != rows:
        raise ConfigError(f"{len(generators)} random generators for {rows} rows; give one for each row")
    longest = max((len(ids) for ids in prompts), default=0)
    context = model.config.context_length
    engine = Engine(model, max(1, rows), context if window else min(context, longest + sampling.max_tokens))
    places: dict[Job, int] = {}
    for row in range(rows):
        prompt, sample = divmod(row, sampling.n)
        ids, stops, forbidden = tuple(map(int, prompts[prompt])), frozenset(stop_ids), tuple(set(forbidden_first))
        source = () if sources is None else tuple(map(int, sources[prompt]))
        request = Request(ids, sampling, sample, stops, forbidden, window=window, source=source)
        places[engine.submit(request, None if generators is None else generators[row])] = row
    return _steps(engine, places)


def _steps(engine: Engine, places: dict[Job, int]) -> Iterator[Step]:
    rows = len(places)
    while not engine.idle:
        step = Step([None] * rows, [0.0] * rows, [None] * rows)
        for job, token in engine.step():
            step.tokens[places[job]] = token.id
            step.log_probabilities[places[job]] = token.log_probability
            step.finished[places[job]] = token.finish
        yield step

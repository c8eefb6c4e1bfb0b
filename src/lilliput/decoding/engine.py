"""Engine: generates many texts at once. Requests join and leave at every step. One forward pass serves all running
texts."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from lilliput.base import seeds
from lilliput.base.errors import ConfigError
from lilliput.decoding.cache import KVCache
from lilliput.decoding.choosing import allowed, choose
from lilliput.decoding.inference import damaged, inference
from lilliput.decoding.reading import Text, check_source, padded, passes, read, source_of
from lilliput.decoding.sampling import SamplingConfig
from lilliput.decoding.turns import take_turns

if TYPE_CHECKING:
    from lilliput.decoding.constrained import Constraint
    from lilliput.model.transformer import Model

Finish = Literal["stop", "length", "context", "error"]


@dataclass(frozen=True)
class Request:
    """One text to generate.

    prompt                    token ids, one at least
    source                    token ids that the encoder reads, in a model that has one; else none
    sampling                  how its tokens are drawn; `n` is left aside: n texts are n requests
    sample                    which of the random streams of `sampling.seed` this text draws from
    stop_ids                  ids that end the text
    forbidden_first           ids that may not come first
    alternatives              how many of the likeliest tokens are reported with each token
    prompt_log_probabilities  whether the prompt's own tokens are scored as well
    constraint                the form of the text, or None
    window                    go on when the context is full, from the last half context: those ids are read anew
                              from position 0, so that a token always sees between half a context and a whole one, at
                              positions that the model was trained on (the sliding window with re-computation of Xiao
                              et al. 2024, arXiv:2309.17453, moved by half a context at a time). A prompt longer than
                              the context begins with its last half context likewise
    """

    prompt: tuple[int, ...]
    source: tuple[int, ...] = field(default=(), kw_only=True)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    sample: int = 0
    stop_ids: frozenset[int] = frozenset()
    forbidden_first: tuple[int, ...] = ()
    alternatives: int = 0
    prompt_log_probabilities: bool = False
    constraint: Constraint | None = None
    window: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """The outcome of one step for one text.

    id               the token; None where a constraint lets nothing follow or has failed: there is only a finish
    log_probability  nats, under the model itself: before temperature, penalties, filters and constraint
    alternatives     the likeliest tokens at this place with their log-probabilities, likeliest first
    finish           None while the text goes on; "stop" (the token is a stop id, or the constraint is complete),
                     "length" (`max_tokens` reached), "context" (the context is full and `window` is off) or "error"
                     (`Job.error` is the reason)
    """

    id: int | None
    log_probability: float
    alternatives: tuple[tuple[int, float], ...] = ()
    finish: Finish | None = None


class Job:
    """A request under way, as `submit` returns it.

    finish         why the text ended; None while it runs
    error          why the text could not continue: its constraint cannot be followed (too large, or nothing may come
                   next); the other texts continue
    prompt_scores  the prompt's tokens with their scores; None for the first, which no token precedes. The whole list
                   is None until the prompt is read, and where `prompt_log_probabilities` is off
    client, call   who asked for the text, and the request that it was part of (see turns.py)
    number         its place among all jobs of the engine, in the order in which they came
    generated_before    tokens generated when the job got its slot last
    waits_since    the step in which it began to wait
    """

    def __init__(
        self, request: Request, generator: np.random.Generator, client: Hashable = None, call: Hashable = None
    ):
        self.request = request
        self.client, self.call = client, call
        self.number = self.generated_before = self.waits_since = 0
        self.finish: Finish | None = None
        self.error: ConfigError | None = None
        self.prompt_scores: tuple[Token | None, ...] | None = None
        self._generator = generator
        self._ids = list(request.prompt)
        self._begin = 0
        self._matcher = None if request.constraint is None else request.constraint.start()
        self._seen: torch.Tensor | None = None
        draws = request.sampling
        self._way = (draws.temperature, draws.top_k, draws.top_p, draws.min_p, draws.repetition_penalty)

    @property
    def generated(self) -> int:
        """Number of tokens generated so far, a stop id included."""
        return len(self._ids) - len(self.request.prompt)

    def _reach(self) -> int:
        """Positions that the model sees."""
        return len(self._ids) - self._begin

    def _complete(self) -> bool:
        """Whether the constraint lets nothing follow."""
        return self._matcher is not None and self._matcher.complete

    def _take(self, number: int, capacity: int) -> Finish | None:
        """Add a token. Return the reason why the text ends with it, or None."""
        self._ids.append(number)
        if self._seen is not None:
            self._seen[number] = True
        if number in self.request.stop_ids:
            return "stop"
        if self._matcher is not None:
            try:
                self._matcher.push(number)
            except ConfigError as error:
                self.error = error
                return "error"
            if self._matcher.complete:
                return None  # this token is part of the text: the next step reports the end
        if self.generated >= self.request.sampling.max_tokens:
            return "length"
        return "context" if self._reach() > capacity and not self.request.window else None


class Engine:
    """Generates the texts of any number of requests with `model`, up to `slots` of them side by side.

    The text of a request depends on the request alone, not on the requests beside it. Only the rounding of sums may
    differ with the number of rows. The model's training mode and torch's random state are untouched. Not thread-safe:
    one thread owns an engine.

    slots     texts that run at once; the others wait in the order in which they came
    capacity  positions kept of each text; the model's context where it is None
    fair      waiting texts take turns with running ones instead: see turns.py
    """

    def __init__(self, model: Model, slots: int = 32, capacity: int | None = None, fair: bool = False):
        context = model.config.context_length
        self.model, self.slots, self.fair = model, slots, fair
        self.capacity = context if capacity is None else min(capacity, context)
        if slots < 1 or self.capacity < 1:
            raise ConfigError(f"an engine needs at least one slot and one position, and got {slots} and {capacity}")
        self.device = next(model.parameters()).device
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._steps = self._submitted = 0

    @property
    def waiting(self) -> int:
        """Jobs without a slot."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Jobs in a slot."""
        return len(self._running)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._waiting and not self._running

    def submit(
        self,
        request: Request,
        generator: np.random.Generator | None = None,
        client: Hashable = None,
        call: Hashable = None,
    ) -> Job:
        """Queue a request, which starts in the next step with a free slot. `generator` replaces the random stream of
        the request. `client` and `call` matter only where slots are shared fairly.

        Raises ConfigError for an empty prompt, ids outside the vocabulary, a prompt longer than the context without
        `window`, a source where the model reads none, a missing or a too long source, and a constraint made for another
        vocabulary.
        """
        _check(request, self.model.config.vocab_size, self.capacity)
        check_source(request.source, self.model.config)
        if generator is None:
            generator = seeds.generator(request.sampling.seed, "sample", request.sample)
        job = Job(request, generator, client, call)
        job.number, job.waits_since = self._submitted, self._steps
        self._submitted += 1
        if request.sampling.repetition_penalty != 1:
            job._seen = torch.zeros(self.model.config.vocab_size, dtype=torch.bool, device=self.device)
            job._seen[list(request.prompt)] = True
        self._waiting.append(job)
        return job

    def cancel(self, job: Job) -> None:
        """End a job early. Its slot is free at once. A job that has ended stays unchanged."""
        if job in self._waiting:
            self._waiting.remove(job)
        elif job in self._running:
            self._leave(job)

    def step(self) -> list[tuple[Job, Token]]:
        """Give free slots to waiting jobs and generate one more token in every running job. Return the events, one for
        each job, in any order. Raises ModelError where the model's logits are not finite."""
        events = [(job, Token(None, 0.0, finish="stop")) for job in self._running if job._complete()]
        for job, _ in events:
            self._leave(job)
        with inference(self.model):
            logits = self._logits()
            if logits is not None:
                events += self._say(logits)
        for job, token in events:
            job.finish = token.finish
            if token.finish is not None and job in self._running:
                self._leave(job)
        return events

    def _leave(self, job: Job) -> None:
        """Free a job's slot; the last row takes its place."""
        row = self._running.index(job)
        self._cache.drop(row)
        last = self._running.pop()
        if last is not job:
            self._running[row] = last

    # ------------------------------------------------------------------ the model's input

    def _logits(self) -> torch.Tensor | None:
        """The (B, V) float32 logits of the next token of every job that runs from now on."""
        joining = self._next(self.slots - len(self._running))
        again = [job for job in self._running if job._reach() > self.capacity]
        for job in again:
            self._leave(job)
        parts = [self._go_on()] if self._running else []
        parts += self._join(again + joining)
        return torch.cat(parts) if len(parts) > 1 else next(iter(parts), None)

    def _next(self, free: int) -> list[Job]:
        """Return the jobs that get a slot in this step. Jobs that give up their slots for them wait from now on."""
        self._steps += 1
        if not self._waiting:
            return []
        joining, leaving = self._waiting[:free], []
        if self.fair:
            joining, leaving = take_turns(self._running, self._waiting, free, self._steps)
        chosen = set(joining)
        self._waiting = [job for job in self._waiting if job not in chosen]
        for job in leaving:
            self._leave(job)
            job.waits_since = self._steps
            self._waiting.append(job)
        for job in joining:
            job.generated_before = job.generated
        return joining

    def _go_on(self) -> torch.Tensor:
        """Read the newest token of the running jobs, and return their logits."""
        newest = torch.tensor([[job._ids[-1]] for job in self._running], device=self.device)
        hidden = self.model(newest, cache=self._cache)
        self._cache.advance(1)
        return self.model.logits(hidden)[:, -1].float()

    def _join(self, jobs: list[Job]) -> Iterator[torch.Tensor]:
        """Read the texts of `jobs` into new rows, equal texts only once. Yield the logits of each pass."""
        texts: dict[Text, list[Job]] = {}
        for job in jobs:
            if job._reach() > self.capacity:
                job._begin = len(job._ids) - max(1, self.capacity // 2)
            texts.setdefault((tuple(job._ids[job._begin :]), job.request.source), []).append(job)
        for together in passes(list(texts)):
            lengths = [len(ids) for ids, _ in together]
            cache = self._new_cache(len(together), max(lengths))
            sources = source_of([source for _, source in together], self.device)
            tokens = padded([ids for ids, _ in together], self.device)
            hidden = read(self.model, tokens, cache, sources)
            cache.advance(lengths)
            rows = [row for row, text in enumerate(together) for _ in texts[text]]
            for row, job in zip(rows, (job for text in together for job in texts[text]), strict=True):
                self._cache.put(len(self._running), cache, row)
                self._running.append(job)
                if job.request.prompt_log_probabilities and not job.generated:
                    job.prompt_scores = self._score(job, hidden[row])
            last = hidden[torch.arange(len(together)), [length - 1 for length in lengths]]
            yield self.model.logits(last).float()[rows]

    def _score(self, job: Job, hidden: torch.Tensor) -> tuple[Token | None, ...]:
        """The tokens of a prompt whose hidden states are (T, d_model), padding after them."""
        ids = job._ids[job._begin :]
        scores: list[Token | None] = [None] * (job._begin + 1)
        for start in range(0, len(ids) - 1, 256):  # the logits of a long prompt are never in memory as a whole
            following = ids[start + 1 : start + 257]
            logits = self.model.logits(hidden[start : start + len(following)]).float()
            scores += _tokens(logits, following, job.request.alternatives)
        return tuple(scores)

    @cached_property
    def _cache(self) -> KVCache:
        """The cache of the running jobs, in their order."""
        return self._new_cache(0, self.capacity, self.slots)

    def _new_cache(self, batch: int, capacity: int, room: int | None = None) -> KVCache:
        kind = self.device.type
        autocast = torch.is_autocast_enabled(kind)
        dtype = torch.get_autocast_dtype(kind) if autocast else self.model.cache_dtype
        return KVCache(self.model.config, batch, capacity, self.device, dtype, room)

    # ------------------------------------------------------------------ the model's output

    def _say(self, logits: torch.Tensor) -> list[tuple[Job, Token]]:
        """Choose the next token of each running job from its logits (B, V)."""
        jobs = list(self._running)
        chosen = choose(jobs, allowed(jobs, logits))
        tokens = _tokens(logits, chosen, max(job.request.alternatives for job in jobs))
        events = []
        for job, token, number in zip(jobs, tokens, chosen, strict=True):
            if job.error is not None:
                events.append((job, Token(None, 0.0, finish="error")))
                continue
            finish = job._take(number, self.capacity)
            alternatives = token.alternatives[: job.request.alternatives]
            events.append((job, Token(number, token.log_probability, alternatives, finish)))
        return events


def _check(request: Request, vocabulary: int, capacity: int) -> None:
    ids, forbidden = request.prompt, request.forbidden_first
    if not ids:
        raise ConfigError("a prompt holds no token", "begin it with the tokenizer's beginning-of-story id")
    if min(ids) < 0 or max(ids) >= vocabulary:
        raise ConfigError(
            f"a prompt holds ids from {min(ids)} to {max(ids)}; the model knows 0 to {vocabulary - 1}",
            "encode the prompt with the tokenizer that the model was trained with",
        )
    if len(ids) > capacity and not request.window:
        raise ConfigError(
            f"the prompt has {len(ids)} tokens and the model's context holds {capacity}",
            "shorten the prompt, or let a window slide over it: lilliput generate --window",
        )
    if forbidden and (min(forbidden) < 0 or max(forbidden) >= vocabulary or len(set(forbidden)) >= vocabulary):
        raise ConfigError(f"the forbidden first ids have to leave at least one of the ids 0 to {vocabulary - 1}")
    if not 0 <= request.alternatives <= vocabulary:
        raise ConfigError(f"{request.alternatives} alternatives are requested, and the model knows {vocabulary} tokens")
    if request.constraint is not None and request.constraint.vocab_size > vocabulary:
        raise ConfigError(
            f"the constraint is for {request.constraint.vocab_size} tokens, and the model knows {vocabulary}",
            "make the constraint with the tokenizer that the model was trained with",
        )


def _tokens(logits: torch.Tensor, ids: Sequence[int], alternatives: int) -> list[Token]:
    """Return each id with its log-probability under logits (B, V), and the likeliest ids. Raises ModelError for logits
    that are not finite."""
    log_total = logits.logsumexp(-1)
    numbers = torch.tensor(ids, device=logits.device)[:, None]
    own = (logits.gather(-1, numbers)[:, 0] - log_total).tolist()
    if not all(map(math.isfinite, own)):
        raise damaged()
    if not alternatives:
        return [Token(number, score) for number, score in zip(ids, own, strict=True)]
    best, places = logits.topk(alternatives, dim=-1)
    scores = (best - log_total[:, None]).tolist()
    likeliest = [tuple(zip(*row, strict=True)) for row in zip(places.tolist(), scores, strict=True)]
    return [Token(*values) for values in zip(ids, own, likeliest, strict=True)]

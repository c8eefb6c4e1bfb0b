"""Speculative decoding: a small model drafts a few tokens, and the large model judges all of them in one forward pass.

The tokens have the large model's own distribution, whatever the draft proposes (Leviathan et al. 2023,
arXiv:2211.17192, algorithm 1 and appendix A.1). A drafted token x is accepted with probability min(1, p(x) / q(x)), p
being the model's distribution and q the draft's. The first refused token is replaced by a draw from max(0, p - q),
normalised.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from lilliput.base.console import warn
from lilliput.base.errors import ConfigError
from lilliput.decoding.cache import KVCache
from lilliput.decoding.engine import Finish
from lilliput.decoding.inference import damaged, inference
from lilliput.decoding.sampling import SamplingConfig, distribution, draw
from lilliput.model.fields import known, unknown_fields
from lilliput.model.plain import Once

if TYPE_CHECKING:
    from lilliput.model.transformer import Model

FIELDS = known(
    "style d_model n_layers n_heads n_kv_heads d_head d_mlp vocab_size context_length norm norm_eps position "
    "rope_theta rotary_fraction mlp qk_norm window residual bias dropout tied_embeddings init",
    attention=("full",),
)
"""The config fields under which a cache may forget the last tokens that it has read."""
_say_once = Once(warn)


def refuses(model: Model, draft: Model) -> list[str]:
    """The reasons why `draft` is not used with `model`: config fields under which a cache that forgets drafted tokens
    may differ from the cache before them. Modules and hooks are no reason, because both models run their own code.
    Empty when the draft is used."""
    pairs = (("the model", model), ("the draft", draft))
    return [f"{which}: {reason}" for which, one in pairs for reason in unknown_fields(one.config, FIELDS)]


@dataclass
class Speculation:
    """One text that was generated with a draft.

    ids       new ids, a stop id left out
    passes    forward passes of the large model, the pass over the prompt included
    drafted   tokens of the draft that were judged; tokens after a refused token are not judged
    accepted  judged tokens that were accepted
    """

    ids: list[int]
    finish: Finish | None = None
    passes: int = 0
    drafted: int = 0
    accepted: int = 0

    @property
    def acceptance(self) -> float:
        """The share of drafted tokens that were accepted; 0 where no token was drafted."""
        return self.accepted / max(1, self.drafted)


def speculate(
    model: Model,
    draft: Model,
    prompt: Sequence[int],
    sampling: SamplingConfig,
    stop_ids: Collection[int] = (),
    forbidden_first: Collection[int] = (),
    sample: int = 0,
    ahead: int = 4,
) -> Speculation:
    """Continue `prompt` with `model`, drafting `ahead` tokens at a time with `draft`; random stream `sample` of
    `sampling.seed`. Greedy decoding (temperature 0) generates the text of the model alone.

    Where `refuses` has reasons, the model continues alone, one token a pass; the first time, a line on standard error
    gives the reasons. Raises ConfigError for models of different vocabularies, a prompt that does not fit both
    contexts, and a repetition penalty, because it would change between the tokens of one pass.
    """
    context = min(model.config.context_length, draft.config.context_length)
    _check(model, draft, prompt, sampling, context)
    if reasons := refuses(model, draft):
        _say_once(f"the draft steps aside, and the model continues alone: {'; '.join(reasons)}")
        ahead = 0
    generator = sampling.model_copy(update={"n": sample + 1}).generators()[sample]
    result = Speculation([])
    large, small = _Reader(model, prompt, context), _Reader(draft, prompt, context)
    forbidden = list(forbidden_first)
    while result.finish is None:
        room = min(ahead, context - large.total, sampling.max_tokens - len(result.ids) - 1)
        drafted, beliefs = list[int](), list[torch.Tensor]()
        for _ in range(room):
            q = small.next(drafted, 1, sampling, [] if result.ids or drafted else forbidden)
            drafted.append(int(draw(q, [generator])))
            beliefs.append(q[0])
        judged = large.next(drafted, len(drafted) + 1, sampling, [] if result.ids else forbidden)
        result.passes += 1
        for place, (number, accepted) in enumerate(_judge(drafted, beliefs, judged, generator)):
            result.drafted += place < len(drafted)
            result.accepted += accepted
            if number in stop_ids:
                result.finish = "stop"
                break
            result.ids.append(number)
            large.append(number)
            small.append(number)
        if result.finish is None and len(result.ids) >= sampling.max_tokens:
            result.finish = "length"
        elif result.finish is None and large.total > context:
            result.finish = "context"
    return result


def _check(model: Model, draft: Model, prompt: Sequence[int], sampling: SamplingConfig, context: int) -> None:
    if model.config.vocab_size != draft.config.vocab_size:
        raise ConfigError(
            f"the draft knows {draft.config.vocab_size} tokens and the model {model.config.vocab_size}",
            "give a draft that was trained with the model's own tokenizer",
        )
    if not 1 <= len(prompt) <= context:
        raise ConfigError(f"the prompt has {len(prompt)} tokens; with this draft it has to have 1 to {context}")
    if sampling.repetition_penalty != 1:
        raise ConfigError("a repetition penalty cannot be used with a draft", "leave out one of the two")


def _judge(
    drafted: list[int], beliefs: list[torch.Tensor], judged: torch.Tensor, generator: np.random.Generator
) -> Iterator[tuple[int, bool]]:
    """Yield the tokens of the text, each with whether it was drafted. `beliefs` are the draft's distributions (V,),
    `judged` (drafted + 1, V) the model's."""
    for number, q, p in zip(drafted, beliefs, judged, strict=False):
        if generator.random() * float(q[number]) < float(p[number]):
            yield number, True
            continue
        rest = (p - q).clamp(min=0)
        # The difference of two equal distributions may round to zero everywhere.
        yield int(draw((rest if float(rest.sum()) > 0 else p)[None], [generator])), False
        return
    yield int(draw(judged[-1:], [generator])), False


class _Reader:
    """One of the two models, with the text so far and a cache of the part that it has read."""

    def __init__(self, model: Model, prompt: Sequence[int], context: int):
        self.model, self.ids = model, list(prompt)
        self._read = list[int]()
        parameter = next(model.parameters())
        self.cache = KVCache(model.config, 1, context, parameter.device, parameter.dtype)

    @property
    def total(self) -> int:
        """Tokens of the text so far."""
        return len(self.ids)

    def append(self, number: int) -> None:
        """Add `number` to the text. The cache keeps tokens that were read ahead as far as the text has them."""
        held = self.cache.lengths[0]
        self.ids.append(number)
        if held >= len(self.ids) and self._read[len(self.ids) - 1] != number:
            self.cache.lengths = [len(self.ids) - 1]

    def next(self, drafted: list[int], count: int, sampling: SamplingConfig, forbidden: list[int]) -> torch.Tensor:
        """(count, V) float32: the distributions of the last `count` next tokens after the text and the drafted tokens;
        the first of them gives `forbidden` ids no probability."""
        text = self.ids + drafted
        self.cache.lengths = [min(self.cache.lengths[0], len(text) - count)]
        new = text[self.cache.lengths[0] :]
        with inference(self.model):
            hidden = self.model(torch.tensor([new], device=self.cache.device), cache=self.cache)
            self.cache.advance(len(new))
            self._read = text
            logits = self.model.logits(hidden[0, -count:]).float()
            if not logits.isfinite().all():
                raise damaged()
            if forbidden:
                logits[0, forbidden] = -torch.inf
            return distribution(logits, sampling)

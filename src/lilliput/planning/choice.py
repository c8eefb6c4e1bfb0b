"""choose: a recipe's values from a purpose, a text, a machine and a time, each value with the reason for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lilliput.base.console import duration, number, size
from lilliput.base.console import flops as flops_text
from lilliput.base.errors import ConfigError, nearest
from lilliput.model.config import resolve
from lilliput.model.counts import flops_per_token, parameters
from lilliput.planning.chinchilla import FLOPS_PER_PARAMETER, TOKENS_PER_PARAMETER
from lilliput.planning.forecast import MANY_EPOCHS

PURPOSES = {
    "stories": "to generate stories from an opening",
    "endings": "to generate the story that leads to a given ending: the model learns every text reversed, by token",
    "text": "to generate text in the manner of a text of your own",
}
MACHINES = {"t4": 65e12, "rtx4090": 165e12, "a100": 312e12, "h100": 989e12}
"""Peak FLOP/s of half-precision matrix products, dense, by NVIDIA's data sheets."""
STORY_TOKENS_PER_PARAMETER = 3.4
"""Tokens a parameter on built-in stories, at the best size for 1e13 FLOPs (docs/studies/isoflop.md). Other text gets
Chinchilla's 20, because a ratio measured on a made world does not hold for real text."""
SIZES = ("story_1m", "story_2m", "story_3m", "story_5m", "story_7m", "story_10m", "story_15m", "story_20m", "story_30m",
         "llama2c_42m", "llama2c_110m", "micro_llama_300m", "tinyllama_1b")  # fmt: skip
BYTES_PER_TOKEN = {1024: 3.0, 2048: 3.7, 4096: 4.0, 8192: 4.2}
"""UTF-8 bytes of English prose in one token, roughly, by vocabulary size."""
VOCABULARIES = ((1e6, 1024), (20e6, 2048), (500e6, 4096))
"""Pairs of (most bytes of a text, its vocabulary). A larger text gets a vocabulary of 8,192."""
BATCHES = ((0.4e6, 512), (40e6, 2048), (400e6, 8192), (4e9, 32_768))
"""Pairs of (most tokens of a run, its tokens a step). A longer run gets 131,072 tokens a step. In equal time, batches
of 2,048 tokens beat 512 and 1,024 even in a run of 237 steps (docs/studies/dial.md), because larger matrix products run
nearer to the machine's peak."""
LEAST_STEPS = 200
"""Least steps of a run. A text too small for this many steps at MANY_EPOCHS is read for more epochs, as in the story
recipes."""
MANY_STORIES = 200_000
"""Most stories of the built-in world. More stories hardly teach more, because its words and plots are few."""
SPARE = 1.5
"""A run that the clock ends may train on this many times the forecast tokens, so as many stories are prepared."""
STORY_BYTES = 805.0
"""Average UTF-8 bytes of a story of the built-in world."""


@dataclass(frozen=True, slots=True)
class Needs:
    """A person's wishes in numbers. `text_bytes` is None for the built-in world, which makes any amount of text.
    `speed` is the FLOP/s that training reaches, and `machine` a phrase that names the machine (speed.py). `seconds` or
    `parameters` may be None, and then follows from the other number."""

    purpose: str
    sources: tuple[Mapping[str, Any], ...]
    text_bytes: int | None
    speed: float
    machine: str
    seconds: float | None
    parameters: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A recipe's values, and the reason for each chosen value by its dotted key."""

    values: dict[str, Any]
    reasons: dict[str, str]
    flops: float
    parameters: int
    tokens: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "recipe": self.values, "reasons": self.reasons, "flops": self.flops, "parameters": self.parameters,
            "tokens": self.tokens,
        }  # fmt: skip


def choose(needs: Needs) -> Choice:
    """Choose a recipe's values. Raises ConfigError for an unknown purpose, for a size far from every named size, and
    for time or text that is too little for any model."""
    if needs.purpose not in PURPOSES:
        raise ConfigError(
            f"unknown purpose '{needs.purpose}'{nearest(needs.purpose, PURPOSES)}", f"known: {', '.join(PURPOSES)}"
        )
    if needs.seconds is needs.parameters is None:
        raise ConfigError("neither a time nor a size is given")
    if not (needs.seconds is None or needs.seconds > 0) or not needs.speed > 0:
        raise ConfigError(f"time and speed have to be above 0 (given {needs.seconds} s and {needs.speed:g} FLOP/s)")
    vocabulary, why_vocabulary = _vocabulary(needs.text_bytes)
    limit = None if needs.text_bytes is None else MANY_EPOCHS * _epoch(needs.text_bytes)
    ratio = STORY_TOKENS_PER_PARAMETER if needs.text_bytes is None else TOKENS_PER_PARAMETER
    if needs.parameters is None:
        budget = needs.speed * (needs.seconds or 0)
        style, why_style = _affordable(budget, vocabulary, limit, ratio)
    else:
        style, why_style = _nearest(needs.parameters, vocabulary)
        best = FLOPS_PER_PARAMETER * ratio * _size(style, vocabulary) ** 2
        budget = needs.speed * needs.seconds if needs.seconds else best
    model = resolve(style, vocab_size=vocabulary)
    afforded = budget / flops_per_token(model).training
    tokens = int(afforded if limit is None else min(afforded, limit))
    batch = next((batch for most, batch in BATCHES if tokens <= most), 131_072)
    batch = max(batch, model.context_length)
    if limit is not None and tokens < LEAST_STEPS * batch:
        tokens = int(min(afforded, LEAST_STEPS * batch))
    steps = tokens // batch
    if steps < 100:
        raise ConfigError(
            f"{_why_budget(needs, budget)}: {tokens:,} tokens for {style}, only {steps} steps",
            "give more time (--time), or a faster machine",
        )
    times = 0.0 if limit is None else MANY_EPOCHS * tokens / limit
    values = _values(needs, style, vocabulary, steps, batch)
    reasons = _reasons(needs, budget, why_style, why_vocabulary, tokens, afforded, batch, parameters(model).total)
    if times > MANY_EPOCHS * 1.01:
        values["train"] |= {"epochs": MANY_EPOCHS, "least_steps": steps}
        reasons["train.least_steps"] = _too_little(times)
    return Choice(values, reasons, budget, parameters(model).total, steps * batch)


def _too_little(times: float) -> str:
    return (
        f"too little text: {MANY_EPOCHS:g} epochs would be fewer steps, so that it is read about {times:.0f} times "
        "and learnt by heart; give more text (--data)"
    )


def _vocabulary(text_bytes: int | None) -> tuple[int, str]:
    if text_bytes is None:
        return 4096, "the built-in world's words, with names in one token at a paragraph's beginning too"
    chosen = next((entries for most, entries in VOCABULARIES if text_bytes <= most), 8192)
    return chosen, f"{size(text_bytes)} of text: rows of the embedding that are seldom read are seldom learnt"


def _affordable(budget: float, vocabulary: int, limit: float | None, ratio: float) -> tuple[str, str]:
    """Return the largest named size that gets `ratio` tokens a parameter from the budget or, where fewer, from the
    text.

    With little text the size is larger than that, because FLOPs are left after MANY_EPOCHS of the text. The second
    value is the reason, as a sentence."""
    ideal = (budget / FLOPS_PER_PARAMETER / ratio) ** 0.5
    rule = f"{ratio:g} tokens a parameter would be {number(ideal)} parameters"
    if limit is not None and limit < ratio * ideal:
        # The rule's size would leave FLOPs unspent after MANY_EPOCHS of the text, so a larger size spends them. A model
        # with more parameters than training tokens would learn the text by heart, so the tokens are the upper bound.
        ideal = min(budget / FLOPS_PER_PARAMETER / limit, limit)
        rule = f"{MANY_EPOCHS:g} epochs of the text are {number(limit)} tokens, too few for that rule: the size " \
            f"that spends the time on them, and no more parameters than tokens, is {number(ideal)}"  # fmt: skip
    fits = [name for name in SIZES if _size(name, vocabulary) <= ideal]
    chosen = fits[-1] if fits else SIZES[0]
    where = "the largest named size under that" if fits else "the smallest named size is above that"
    return chosen, f"{rule}; {where}"


def _size(style: str, vocabulary: int) -> float:
    """Return the parameters as the study of sizes counts them: training FLOPs a token / 6."""
    return flops_per_token(resolve(style, vocab_size=vocabulary)).training / FLOPS_PER_PARAMETER


def _nearest(wanted: float, vocabulary: int) -> tuple[str, str]:
    """Return the named size nearest to `wanted` parameters, by ratio, and the reason. Raises ConfigError where no named
    size is near."""
    sizes = {name: parameters(resolve(name, vocab_size=vocabulary)).total for name in SIZES}
    chosen = min(sizes, key=lambda name: abs(math.log(sizes[name] / wanted)))
    if not 0.5 <= sizes[chosen] / wanted <= 2:
        raise ConfigError(
            f"no named size is near {number(wanted)} parameters: the nearest, {chosen}, has {number(sizes[chosen])}",
            f"give a size from {number(min(sizes.values()))} to {number(max(sizes.values()))}",
        )
    return chosen, f"the named size nearest to {number(wanted)} parameters"


def _values(needs: Needs, style: str, vocabulary: int, steps: int, batch: int) -> dict[str, Any]:
    sources = [dict(source) for source in needs.sources]
    # Where a time is given, the clock ends the run, because the machine's speed is only an estimate.
    bound: dict[str, Any] = {"steps": steps} if needs.seconds is None else {"seconds": needs.seconds}
    if needs.text_bytes is None:
        stories = _stories(steps * batch, vocabulary) * (1 if needs.seconds is None else SPARE)
        sources = [{"kind": "story", "stories": int(stories)}]
    else:
        bound["epochs"] = MANY_EPOCHS
    objective = {"objective": {"kind": "reversed", "by": "token"}} if needs.purpose == "endings" else {}
    return {
        "data": {"sources": sources, **({"packing": "aligned"} if needs.text_bytes is None else {})},
        "tokenizer": {"vocab_size": vocabulary},
        "model": {"style": style},
        **objective,
        "train": {
            **bound,
            "batch_tokens": batch,
            "optimizer": {
                "kind": "muon",
                "learning_rate": 0.008,
                "embedding_learning_rate": 0.05,
                "muon_learning_rate": 0.014,
                "betas": [0.9, 0.99],
            },
            "schedule": {"kind": "linear", "warmup_steps": 20},
        },
    }


def _stories(tokens: int, vocabulary: int) -> int:
    """Return the number of built-in stories that hold `tokens` training tokens, with the stories held out for
    validation added."""
    return max(2000, int(1.06 * tokens * BYTES_PER_TOKEN[vocabulary] / STORY_BYTES))


def _reasons(
    needs: Needs,
    budget: float,
    style: str,
    vocabulary: str,
    tokens: int,
    afforded: float,
    batch: int,
    count: int,
) -> dict[str, str]:
    text = "enough stories that none is read twice" if needs.text_bytes is None else f"{size(needs.text_bytes)} of text"
    if needs.text_bytes is None and _stories(tokens, 4096) > MANY_STORIES:
        text += "; but this world has few words and plots: so long a run repays text of your own (--data)"
    return {
        "data.sources": text,
        "data.packing": "rows begin with a story, so that its hero is in sight (docs/studies/heroes.md)",
        "tokenizer.vocab_size": vocabulary,
        "model.style": f"{style}. Llama's parts with QK-norm: it saves as Hugging Face's Qwen3",
        **({"objective": "reversed by token: stories that lead to an ending"} if needs.purpose == "endings" else {}),
        **_why_it_ends(needs, budget, tokens, afforded, count),
        "train.batch_tokens": f"{batch:,}: the largest that leaves about a thousand steps, or larger in long runs "
        "(docs/studies/speed.md)",
        "train.optimizer": "Muon for the matrices, AdamW for the rest, at the rates of the story recipe, found at 1M "
        "parameters: lilliput plan learning-rate tries others",
        "train.schedule": "linear to zero: the whole length of the run is known",
    }


def _why_it_ends(needs: Needs, budget: float, tokens: int, afforded: float, count: int) -> dict[str, str]:
    """Return the reason for each bound of the run's length. The bound that is likely to end the run is marked so."""
    by_text = tokens < afforded * 0.99
    ends = {False: ", and this ends the run", True: ""}
    asked = "train.steps" if needs.seconds is None else "train.seconds"
    reasons = {
        asked: f"{_why_budget(needs, budget)}: {number(afforded)} tokens, {afforded / count:.3g} a "
        f"parameter{ends[by_text]}"
    }
    if needs.text_bytes is not None:
        reasons["train.epochs"] = (
            f"text repeated more often teaches less each time: about {number(MANY_EPOCHS * _epoch(needs.text_bytes))} "
            f"tokens{ends[not by_text]}"
        )
    return reasons


def _epoch(text_bytes: int) -> float:
    """Return roughly the tokens of the text."""
    return text_bytes / BYTES_PER_TOKEN[_vocabulary(text_bytes)[0]]


def _why_budget(needs: Needs, budget: float) -> str:
    if needs.seconds is None:
        return f"{flops_text(budget)}, for which this size is the best"
    return f"{duration(needs.seconds)} at {flops_text(needs.speed)}/s ({needs.machine}) are {flops_text(budget)}"

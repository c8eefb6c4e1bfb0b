"""One page a feature: where it fires, how strongly, the tokens it promotes, and the effect of taking it away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from lilliput.base.seeds import derive
from lilliput.base.statistics import interval
from lilliput.decoding.inference import inference
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.intervene import intervene
from lilliput.lens.neurons import Example, top_examples
from lilliput.lens.sparse import SparseCoder
from lilliput.lens.stream import not_a_sum
from lilliput.model.transformer import Model

BARS = 12
"""Bars of the histogram of a feature's activations."""
PROMOTED = 8
"""Tokens that a page names at each end of the direction."""
EXAMPLES = 5
ABLATED = 3
"""By default a feature is taken away at this many of its examples."""


def feature_pages(
    generator: TextGenerator,
    coder: SparseCoder,
    values: torch.Tensor,
    rows: torch.Tensor,
    features: Sequence[int],
    ablated: int = ABLATED,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return a page for each of `features` as JSON values. `values` (N, T, width) are the activations of all features
    on token rows (N, T)."""
    examples = {number: top_examples(values[..., number], rows, generator, EXAMPLES) for number in features}
    fired = {number: [each for each in found if each.value > 0] for number, found in examples.items()}
    chosen = {number: found[:ablated] for number, found in fired.items()}
    effects = ablation_effects(generator.model, coder, rows, chosen, seed)
    return [
        {
            "feature": number,
            "fires": round(float((values[:, 1:, number] > 0).float().mean()), 5),
            "histogram": histogram(values[:, 1:, number]),
            "examples": [asdict(each) for each in fired[number]],
            **promoted(generator, coder.direction(number)),
            "ablation": effects[number],
        }
        for number in features
    ]


def histogram(values: torch.Tensor, bars: int = BARS) -> dict[str, Any]:
    """Return the counts of a feature's activations above 0, in `bars` equal steps from 0 to the largest."""
    found = values[values > 0].float()
    largest = float(found.max()) if len(found) else 0.0
    counts = found.histc(bars, 0, largest).int().tolist() if largest > 0 else [0] * bars
    return {"largest": round(largest, 4), "counts": counts}


def promoted(generator: TextGenerator, direction: torch.Tensor, count: int = PROMOTED) -> dict[str, Any]:
    """Return the tokens whose logits a direction of the residual stream raises and lowers most, through the final
    norm's weights and the unembedding, without the layers between. A score is the rise of the logit in standard
    deviations over the vocabulary. Directions of another width than the residual stream have no such tokens."""
    model = generator.model
    if direction.shape[0] != model.config.d_model or not_a_sum(model):
        return {"promotes": [], "lowers": []}
    with torch.no_grad():
        if model.config.norm == "layer":
            direction = direction - direction.mean()  # a layer norm removes the mean
        weight = getattr(model.ln_final, "weight", None)
        logits = model.logits(direction if weight is None else direction * weight)
    scores = (logits - logits.mean()) / logits.std().clamp(min=1e-12)
    return {
        "promotes": _tokens(generator, scores.topk(min(count, len(scores)))),
        "lowers": _tokens(generator, scores.topk(min(count, len(scores)), largest=False)),
    }


def _tokens(generator: TextGenerator, found: Any) -> list[list[Any]]:
    pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
    texts = ((generator.tokenizer.decode([number], continuing=True), number, score) for number, score in pairs)
    return [[text or generator.tokenizer.token(number), round(score, 2)] for text, number, score in texts]


def ablation_effects(
    model: Model,
    coder: SparseCoder,
    rows: torch.Tensor,
    examples: Mapping[int, Sequence[Example]],
    seed: int = 0,
) -> dict[int, dict[str, Any] | None]:
    """Return for each feature the change of the next token's distribution where the feature is taken away at its
    examples: activation minus value times direction. `kl` is the mean KL divergence in nats from the model's own
    distribution; `random` is the same for a random direction of equal length. None for a feature without examples."""
    flat = [(number, each) for number, found in examples.items() for each in found]
    if not flat:
        return dict.fromkeys(examples)
    pushes = torch.stack([-each.value * coder.direction(number) for number, each in flat])
    draw = torch.Generator().manual_seed(derive(seed, "random ablation") % 2**63)
    other = torch.randn(pushes.shape, generator=draw).to(pushes.device)
    other = other / other.norm(dim=1, keepdim=True) * pushes.norm(dim=1, keepdim=True)
    places = [(each.row, each.position) for _, each in flat]
    divergences = [_divergence(model, coder.writes, rows, places, each) for each in (pushes, other)]
    found: dict[int, dict[str, Any] | None] = {}
    for number in examples:
        mine = [at for at, (owner, _) in enumerate(flat) if owner == number]
        kl, control = (float(each[mine].mean()) if mine else 0.0 for each in divergences)
        found[number] = {"kl": round(kl, 5), "random": round(control, 5), "places": len(mine)} if mine else None
    return found


def _divergence(
    model: Model, hook: str, rows: torch.Tensor, places: Sequence[tuple[int, int]], pushes: torch.Tensor
) -> torch.Tensor:
    """Return (n,): KL(own, changed) of the next token at each place (row, position), where the push (n, d) of the place
    is added. A pass reads the rows of similar places up to the furthest of them."""
    order = sorted(range(len(places)), key=lambda at: places[at][1])
    found = torch.zeros(len(places))
    for start in range(0, len(order), 16):
        some = order[start : start + 16]
        positions = [places[at][1] for at in some]
        tokens = rows[[places[at][0] for at in some], : max(positions) + 1]
        here = torch.arange(len(some)), torch.tensor(positions)

        def push(value: torch.Tensor, point: Any, some: list[int] = some, here: Any = here) -> torch.Tensor:
            changed = value.clone()
            changed[here] += pushes[some].view_as(changed[here]).to(changed.dtype)
            return changed

        with inference(model):
            own = model.logits(model(tokens)[here]).log_softmax(-1)
            with intervene(model, {hook: push}):
                changed = model.logits(model(tokens)[here]).log_softmax(-1)
        found[some] = (own.exp() * (own - changed)).sum(-1).cpu()
    return found


def mean_effect(pages: Sequence[Mapping[str, Any]], seed: int = 0) -> dict[str, Any] | None:
    """Return the mean over features of the ablation's KL divergence and of its control, with intervals; None without
    features."""
    found = [page["ablation"] for page in pages if page["ablation"]]
    if not found:
        return None
    return {name: _summary([each[name] for each in found], seed) for name in ("kl", "random")}


def _summary(values: list[float], seed: int) -> dict[str, float]:
    low, high = interval(values, seed)
    return {"mean": round(sum(values) / len(values), 5), "low": round(low, 5), "high": round(high, 5)}

"""Gives native steps ids, caches, states and weights that they must not read: `python -m tests.decoding.wrong_steps`.

In a process of its own, since what is read all the same may end it. Prints a line before each case, and what was taken.
"""

import random
from collections.abc import Callable
from typing import Any

import torch

from lilliput.base.errors import LilliputError
from lilliput.decoding.cache import KVCache
from lilliput.decoding.int8 import Int8Linear, quantised
from lilliput.decoding.native import native
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model

REFUSED = (LilliputError, ValueError, TypeError, IndexError, RuntimeError, NotImplementedError)
SHAPE = ModelConfig(
    d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, d_mlp=24, vocab_size=40, context_length=8, bias=True, qk_norm=True
)
STEPS = 300
"""Random mixes of texts, lengths and room that are read."""


def made(**changes: Any) -> Model:
    return Model(SHAPE.model_copy(update=changes), seed=0).eval()


def read(tokens: Any = None, cache: KVCache | None = None, model: Model | None = None) -> None:
    model = made() if model is None else model
    cache = KVCache(model.config, 2, 8) if cache is None else cache
    tokens = torch.tensor([[1], [2]]) if tokens is None else tokens
    with torch.inference_mode():
        fast = native(model)
        fast.logits(fast(tokens, cache=cache))
        cache.advance(tokens.shape[1])


TOKENS: dict[str, Any] = {
    "one dimension": torch.tensor([1, 2]),
    "three dimensions": torch.tensor([[[1]], [[2]]]),
    "no text": torch.zeros(0, 1, dtype=torch.int64),
    "a scalar": torch.tensor(1),
    "float": torch.tensor([[1.0], [2.0]]),
    "too large": torch.tensor([[1], [40]]),
    "far too large": torch.tensor([[1], [2**62]]),
    "negative": torch.tensor([[1], [-1]]),
    "the least": torch.tensor([[1], [-(2**63)]]),
    "other texts": torch.tensor([[1], [2], [3]]),
    "more than the context": torch.ones(2, 9, dtype=torch.int64),
    "huge": torch.ones(1, 1, dtype=torch.int64).expand(2, 2**57),
    "sparse": torch.ones(2, 1, dtype=torch.int64).to_sparse(),
}


def caches() -> dict[str, Callable[[KVCache], object]]:
    def lengths(*values: int) -> Callable[[KVCache], object]:
        return lambda cache: setattr(cache, "lengths", list(values))

    def layers(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[KVCache], object]:
        return lambda cache: cache.keys.__setitem__(1, change(cache.keys[1]))

    short = layers(lambda x: x[:, :, :3].contiguous())
    return {
        "negative length": lengths(0, -1),
        "negative lengths": lengths(-5, -5),
        "full": lengths(0, 8),
        "beyond": lengths(2**40, 0),
        "more texts than room": lengths(0, 0, 0),
        "no text": lengths(),
        "more capacity than memory": lambda cache: setattr(cache, "capacity", 2**40) or lengths(20, 20)(cache),
        "a layer less": lambda cache: cache.keys.pop(),
        "a layer of another room": layers(lambda x: x[:1].contiguous()),
        "a layer of another capacity": lambda cache: short(cache) or lengths(5, 5)(cache),
        "a layer of other heads": layers(lambda x: x[:, :1].contiguous() * torch.ones(1, 3, 1, 1)),
        "a layer without memory": layers(lambda x: x.to("meta")),
    }


def damaged() -> dict[str, Callable[[Model], object]]:
    """Weights that are not the config's."""

    def put(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Model], object]:
        def act(model: Model) -> None:
            where, _, last = name.rpartition(".")
            part = model.get_submodule(where)
            value = change(getattr(part, last).detach())
            is_parameter = last in part._parameters
            setattr(part, last, torch.nn.Parameter(value, requires_grad=False) if is_parameter else value)

        return act

    cases: dict[str, Callable[[Model], object]] = {}
    names = ["embed.weight", "ln_final.weight", "blocks.1.ln1.weight", "blocks.0.attn.q_norm.weight"]
    names += [f"blocks.1.{part}.weight" for part in ("attn.qkv", "attn.out", "mlp.gate_up", "mlp.down")]
    names += ["blocks.1.attn.qkv.bias", "position.cos", "position.sin"]
    for name in names:
        cases[f"{name} shorter"] = put(name, lambda x: x[:-1].contiguous())
        cases[f"{name} double"] = put(name, lambda x: x.double())
        cases[f"{name} strided"] = put(name, lambda x: x.repeat_interleave(2, -1)[..., ::2])
    cases["blocks that are not alike"] = lambda model: setattr(model.blocks[1], "mlp", made(mlp="gelu").blocks[1].mlp)
    return cases


def damaged_int8() -> Model:
    small = quantised(made())
    part = next(module for module in small.modules() if isinstance(module, Int8Linear))
    part.scale = part.scale[:-1]
    return small


def attempt(name: str, case: Callable[[], object]) -> None:
    print("wrong", name, flush=True)
    try:
        case()
    except REFUSED:
        return
    print("NOT REFUSED", name, flush=True)


def with_cache(change: Callable[[KVCache], object]) -> None:
    cache = KVCache(SHAPE, 2, 8)
    change(cache)
    read(cache=cache)


def with_weights(change: Callable[[Model], object]) -> None:
    model = made()
    change(model)
    read(model=model)


def mixes() -> None:
    """Texts that come, go and forget their ends, in any company, beside the model itself."""
    rng = random.Random(0)
    models = [made(), quantised(made()), made(window=3), made(position="learned", norm="layer", mlp="relu2")]
    for number in range(STEPS):
        model, room = rng.choice(models), rng.randint(1, 5)
        batch, capacity = rng.randint(1, room), rng.randint(1, 8)
        cache = KVCache(model.config, batch, capacity, room=room)
        fast = native(model)
        while True:
            new = rng.randint(1, 3)
            if max(cache.lengths) + new > capacity:
                break
            print("mix", number, cache.lengths, new, flush=True)
            with torch.inference_mode():
                hidden = fast(torch.randint(40, (cache.batch, new)), cache=cache)
                assert fast.logits(hidden).isfinite().all()
            cache.advance(new)
            cache.lengths[rng.randrange(cache.batch)] -= rng.randint(0, new)
            if cache.batch > 1 and rng.random() < 0.3:
                cache.drop(rng.randrange(cache.batch))


def main() -> None:
    read()
    for name, tokens in TOKENS.items():
        attempt(f"tokens: {name}", lambda t=tokens: read(t))
    for name, change in caches().items():
        attempt(f"cache: {name}", lambda c=change: with_cache(c))
    for name, change in damaged().items():
        attempt(f"weights: {name}", lambda c=change: with_weights(c))
    attempt("weights: an int8 scale too few", lambda: read(model=damaged_int8()))
    fast, small = native(made()), native(quantised(made()))
    for name, hidden in {
        "narrower": torch.rand(2, 1, 15),
        "wider": torch.rand(2, 1, 17),
        "double": torch.rand(2, 1, 16, dtype=torch.float64),
        "a scalar": torch.tensor(1.0),
        "sparse": torch.rand(2, 1, 16).to_sparse(),
    }.items():
        attempt(f"states: {name}", lambda h=hidden: fast.logits(h))
        if name != "double":  # which PyTorch's int8 product converts
            attempt(f"states for int8: {name}", lambda h=hidden: small.logits(h))
    assert fast.logits(torch.rand(16, 3).T).shape == (3, 40)
    assert fast.logits(torch.rand(0, 16)).shape == (0, 40)
    mixes()
    print("all tried")


if __name__ == "__main__":
    main()

"""Gives the C++ kernels what they must refuse, and right arguments changed at random.

`python -m tests.model.wrong_kernels`: in a process of its own, since what is not refused may end it. Prints a line
before each case, and what was not refused.
"""

import random
import sys
from collections.abc import Callable
from typing import Any

import torch

from lilliput.model import kernels

REFUSED = (ValueError, TypeError, IndexError, RuntimeError, AttributeError)
CHANGES = 300
"""Random changes that are tried."""


def right(name: str) -> dict[str, torch.Tensor]:
    """Tensors that the kernel takes, by name; those that need a gradient ask for it."""
    tensors = {
        "attention": {
            "qkv": (2, 5, 8, 6),
            "q_norm": (6,),
            "k_norm": (6,),
            "cos": (5, 1, 2),
            "sin": (5, 1, 2),
            "bias": (4, 9),
            "first": (2, 5),
            "last": (2, 5),
        },
        "swiglu": {"gate_up": (3, 4, 10)},
        "rms_norm": {"x": (3, 4, 10), "weight": (10,)},
        "dropout": {"x": (3, 4, 10)},
        "head": {"logits": (7, 11), "targets": (7,), "weights": (7,)},
        "add": {"to": (4, 5), "product": (4, 5)},
    }[name]
    made = {key: torch.rand(shape) for key, shape in tensors.items()}
    if name == "head":
        made["targets"] = torch.randint(11, (7,))
    if name == "attention":
        made["first"] = torch.tensor([[0, 0, 1, 1, 2], [0, 1, 0, 3, 4]], dtype=torch.int32)
        made["last"] = torch.tensor([[0, 4, 2, 3, 4], [4, 3, 3, 3, 4]], dtype=torch.int32)
    if name == "add":
        made["product"] = made["product"].bfloat16()
    return made


def attend(x: dict[str, torch.Tensor], heads: int = 4, dropout: float = 0.2) -> torch.Tensor:
    tables, norms = (x["cos"], x["sin"]), (x["q_norm"], x["k_norm"])
    bounds = {"first": x["first"], "last": x["last"]}
    more = {"scale": 0.4, "bias": x["bias"]}
    return kernels.attend(x["qkv"], heads, norms=norms, eps=1e-5, tables=tables, dropout=dropout, **bounds, **more)


CALLS: dict[str, Callable[[dict[str, torch.Tensor]], torch.Tensor | None]] = {
    "attention": attend,
    "swiglu": lambda x: kernels.swiglu(x["gate_up"]),
    "rms_norm": lambda x: kernels.rms_norm(x["x"], x["weight"], 1e-5),
    "dropout": lambda x: kernels.dropout(x["x"], 0.3),
    "head": lambda x: kernels.softmax_gradient(x["logits"], x["targets"], x["weights"]),
    "add": lambda x: kernels.add(x["to"], x["product"]),
}


def called(name: str, x: dict[str, torch.Tensor]) -> None:
    """Forwards and, where there is a gradient, backwards."""
    first = next(iter(x.values()))
    if name not in ("head", "add") and isinstance(first, torch.Tensor) and first.is_floating_point() and first.is_leaf:
        first.requires_grad_()
    out = CALLS[name](x)
    if out is not None and out.requires_grad:
        out.backward(torch.rand(out.shape, dtype=out.dtype).transpose(0, -1).contiguous().transpose(0, -1))


def emptied(x: torch.Tensor) -> torch.Tensor:
    """The same shape, with its memory taken away."""
    x = x.clone()
    x.untyped_storage().resize_(4)
    return x


def without_last(x: torch.Tensor) -> torch.Tensor:
    return x[..., :-1].contiguous() if x.dim() else x


WRONG: dict[str, Callable[[torch.Tensor], Any]] = {
    "float64": lambda x: x.double(),
    "float16": lambda x: x.half(),
    "int32": lambda x: x.int(),
    "bool": lambda x: x.bool(),
    "shorter": without_last,
    "fewer": lambda x: x[:-1].contiguous(),
    "another dimension": lambda x: x[None],
    "none": lambda x: x.flatten()[0],
    "empty": lambda x: x[..., :0],
    "meta": lambda x: x.to("meta"),
    "sparse": lambda x: x.to_sparse(),
    "no memory": emptied,
    "huge": lambda x: x.flatten()[:1].expand(2**58),
    "strided": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "turned": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "list": lambda x: x.tolist(),
}
TAKEN = {
    # What PyTorch's own conversion or a copy makes right, another right input, and what gives a meta tensor.
    ("rms_norm", "weight"): {"float64", "float16", "int32", "bool", "strided", "turned"},
    ("attention", "q_norm"): {"meta", "float64", "float16", "int32", "bool", "strided", "turned"},
    ("attention", "k_norm"): {"meta", "float64", "float16", "int32", "bool", "strided", "turned"},
    ("attention", "cos"): {"meta", "float64", "float16", "int32", "bool", "strided", "turned"},
    ("attention", "sin"): {"meta", "float64", "float16", "int32", "bool", "strided", "turned"},
    ("attention", "bias"): {"meta", "float64", "float16", "int32", "bool", "strided", "turned"},
    ("swiglu", "gate_up"): {"fewer", "another dimension", "strided", "turned"},
    ("rms_norm", "x"): {"fewer", "another dimension", "strided", "turned"},
    ("dropout", "x"): {"shorter", "fewer", "another dimension", "strided", "turned"},
    ("attention", "first"): {"meta", "int32", "fewer", "strided", "turned"},
    ("attention", "last"): {"meta", "int32", "fewer", "strided", "turned"},
    ("attention", "qkv"): {"fewer", "strided", "turned"},
    ("head", "logits"): {"shorter"},  # where the targets are below
    ("head", "targets"): {"turned"},
    ("head", "weights"): {"turned"},
}


def plainly_wrong() -> dict[str, Callable[[], object]]:
    """Every tensor of every kernel, wrong in each way; and numbers."""
    cases: dict[str, Callable[[], object]] = {}
    for name in CALLS:
        for key in right(name):
            for way, change in WRONG.items():
                if way not in TAKEN.get((name, key), ()):
                    cases[f"{name}: {key} {way}"] = lambda n=name, k=key, c=change: called(
                        n, (x := right(n)) | {k: c(x[k])}
                    )
    for heads in (-1, 0, 1, 3, 5, 8, 2**62):
        cases[f"attention: {heads} heads"] = lambda h=heads: attend(right("attention"), h)
    for dropout in (-0.1, 1.0, 2.0, float("nan"), float("inf"), 1 - 1e-12):
        cases[f"attention: dropout {dropout}"] = lambda d=dropout: attend(right("attention"), dropout=d)
        cases[f"dropout {dropout}"] = lambda d=dropout: kernels.dropout(torch.rand(3, 4), d)
    for target in (-1, 11, 2**31, 2**62, -(2**63)):
        targets = torch.tensor([0, 1, 2, target, 4, 5, 6])
        cases[f"head: target {target}"] = lambda t=targets: CALLS["head"](right("head") | {"targets": t})
    operators = torch.ops.lilliput
    qkv, out, sums = torch.rand(2, 5, 8, 6), torch.rand(2, 5, 4, 6), torch.rand(2, 4, 5)
    given = (None, None, 0.0, None, None, 0.0, None, None, None, 0.4, None)
    for name, parts in {
        "out": (out[:1], sums, out),
        "sums": (out, sums[:, :2], out),
        "gradient": (out, sums, out[:, :4]),
        "gradient's dtype": (out, sums, out.double()),
    }.items():
        cases[f"attention backward: {name}"] = lambda p=parts: operators.attention_backward(qkv, 4, *given, *p)
    cases["attention: one norm"] = lambda: operators.attention(qkv, 4, out[0, 0, 0], *given[1:])
    cases["attention: one table"] = lambda: operators.attention(qkv, 4, *given[:3], sums[0, :, :2], *given[4:])
    cases["attention: no seed"] = lambda: operators.attention(qkv, 4, *given[:5], 0.5, None, None, None, 0.4, None)
    for scale in (0.0, -1.0, float("nan")):
        cases[f"attention: scale {scale}"] = lambda s=scale: operators.attention(qkv, 4, *given[:9], s, None)
    for name, wrongs in {
        "first": ([0, 2, 0, 0, 0], [0, 0, 0, 0, -1], [0, 0, 0, 0, 2**31 - 1]),
        "last": ([4, 0, 4, 4, 4], [4, 4, 4, 4, 5], [2**31 - 1, 4, 4, 4, 4], [-(2**31), 4, 4, 4, 4]),
    }.items():
        for wrong in wrongs:
            bound = {name: torch.tensor([wrong] * 2, dtype=torch.int32)}
            cases[f"attention: {name} {wrong}"] = lambda b=bound: attend(right("attention") | b)
    cases["dropout: two seeds"] = lambda: operators.dropout(qkv, 0.5, torch.tensor([1, 2]))
    return cases


def changed(number: int) -> tuple[str, dict[str, torch.Tensor]]:
    """Right arguments of which one to three were changed at random."""
    rng = random.Random(number)
    name = rng.choice(list(CALLS))
    x = right(name)
    for _ in range(rng.randint(1, 3)):
        key, way = rng.choice(list(x)), rng.choice([way for way in WRONG if way != "list"])
        try:
            x[key] = WRONG[way](x[key].detach())
        except REFUSED:  # no change of what an earlier one left
            continue
        print("changed", f"{name}: {key} {way}", flush=True)
        if way == "no memory":  # PyTorch's own conversions believe the shape: a later change would end the process
            break
    return name, x


def main() -> None:
    assert kernels.available()
    torch.manual_seed(0)
    for name in CALLS:
        print("right", name, flush=True)
        called(name, right(name))
    for name, case in plainly_wrong().items():
        print("wrong", name, flush=True)
        try:
            case()
        except REFUSED:
            continue
        print("NOT REFUSED", name, flush=True)
    for number in range(CHANGES):
        try:
            called(*changed(number))
        except REFUSED:
            continue
    print("all tried")


if __name__ == "__main__":
    sys.exit(main())

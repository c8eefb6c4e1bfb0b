"""Heads in model folders, as the classes ...ForSequenceClassification and ...ForTokenClassification of transformers
have them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import torch

from lilliput.base.errors import ModelError
from lilliput.base.reading import inner, read_object
from lilliput.model.config import ModelConfig
from lilliput.model.heads import Head, Pooling
from lilliput.model.stock import SCORE, Stock
from lilliput.model.stock_classes import STOCK
from lilliput.model.weights import read_tensors, tensor_shapes

CLASSIFIER, TAGGER = "ForSequenceClassification", "ForTokenClassification"
POOLING, EACH = "classifier_pooling", "head_of_each_token"
"""Keys: of ModernBERT's config.json, and of our own notes there for a folder of no stock class."""
_POOLING_NAMES: dict[Pooling, str] = {"first": "cls", "mean": "mean"}
OWN_NAMES = frozenset({SCORE, "score.bias", "pooler.weight", "pooler.bias"})
"""The tensors of heads in folders of no stock class."""


def head_settings(stock: Stock | None, head: Head) -> dict[str, Any]:
    """The keys of config.json for a model with this head: its class, and the names of the head's outputs. Raises
    ModelError for a class that transformers has without such a head."""
    names = {str(number): name for number, name in enumerate(head.labels)}
    labels: dict[str, Any] = {"id2label": names, "label2id": {name: int(n) for n, name in names.items()}}
    if not head.each:
        labels["problem_type"] = "regression" if head.outputs == 1 else "single_label_classification"
    if stock is None:
        return labels
    named = stock.tagger if head.each else stock.classifier
    if named is None:
        kind = "a head of each token" if head.each else "a classification head"
        raise ModelError(
            f"transformers has no {stock.model_type} class with {kind}",
            "train a model of another style: lilliput model list",
        )
    pooling = {POOLING: _POOLING_NAMES[head.pooling]} if stock.classifier_pooling and not head.each else {}
    return {"architectures": [named], **labels, **pooling}


def head_notes(head: Head) -> dict[str, Any]:
    """The notes on a head in a folder of no stock class, where no class's name says of what kind the head is."""
    return {EACH: head.each, POOLING: _POOLING_NAMES[head.pooling]}


def head_state(stock: Stock | None, head: Head) -> dict[str, torch.Tensor]:
    """The head's tensors, each of its own shape (...,), by their names in a folder of this class."""
    state = head.state_dict()
    names = {name: name for name in state} if stock is None else _names(stock, head.each)
    return {names[name]: tensor.detach() for name, tensor in state.items()}


def has_head(raw: Mapping[str, Any]) -> bool:
    """Whether this config.json describes a model with a head."""
    named = raw.get("architectures")
    return isinstance(named, list) and any(str(name).endswith((CLASSIFIER, TAGGER)) for name in named)


def has_head_tensors(stock: Stock, found: Container[str]) -> bool:
    """Whether these names of a folder's tensors hold the linear map of a head."""
    return stock.classifier_names[SCORE] in found or stock.tagger_names[SCORE] in found


def read_head(folder: Path, config: ModelConfig) -> Head | None:
    """The head in a model folder, in fp32; None where it has none. Raises ModelError for a head of another width, and
    for a head of which tensors are missing."""
    found, raw = tensor_shapes(folder), read_object(folder / "config.json")
    stock = next((each for each in STOCK if each.model_type == raw.get("model_type")), None)
    each = _is_of_each(raw)
    place = SCORE if stock is None else _names(stock, each)[SCORE]
    if place not in found:
        return None
    outputs = found[place][1][0] if found[place][1] else 0
    head = Head(
        config, outputs or 1, seed=None, labels=_labels(raw, outputs), each=each, pooling=_pooling(raw, str(folder))
    )
    wanted = head_state(stock, head)
    for name, tensor in wanted.items():
        if name not in found:
            raise ModelError(f"{folder} has a head without {name}", "take the folder from its source again")
        if found[name][1] != tuple(tensor.shape):
            raise ModelError(f"{folder}: {name} is {list(found[name][1])}, and the model is {config.d_model} wide")
    read = dict(read_tensors((name, found[name][0]) for name in wanted))
    ours = dict(zip(wanted, head.state_dict(), strict=True))
    head.load_state_dict({ours[name]: tensor.float() for name, tensor in read.items()})
    return head.eval()


def _names(stock: Stock, each: bool) -> Mapping[str, str]:
    return stock.tagger_names if each else stock.classifier_names


def _is_of_each(raw: dict[str, Any]) -> bool:
    named = raw.get("architectures")
    tagger = isinstance(named, list) and any(str(name).endswith(TAGGER) for name in named)
    return tagger or inner(raw, "lilliput").get(EACH) is True


def _pooling(raw: dict[str, Any], where: str) -> Pooling:
    """How the head of a folder makes one position of a document. Raises ModelError for a way that Lilliput lacks."""
    given = raw.get(POOLING, inner(raw, "lilliput").get(POOLING, "cls"))
    found: Pooling | None = next((ours for ours, theirs in _POOLING_NAMES.items() if theirs == given), None)
    if found is None:
        raise ModelError(f"{where} has {POOLING}={given}, which no part of Lilliput computes; supported: cls, mean")
    return found


def _labels(raw: Mapping[str, Any], outputs: int) -> tuple[str, ...] | None:
    named = raw.get("id2label")
    if not isinstance(named, Mapping) or sorted(named) != sorted(str(number) for number in range(outputs)):
        return None
    return tuple(str(named[str(number)]) for number in range(outputs))

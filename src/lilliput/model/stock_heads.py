"""Heads in model folders, as the classes ...ForSequenceClassification of transformers have them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lilliput.base.errors import ModelError
from lilliput.base.reading import read_object
from lilliput.model.config import ModelConfig
from lilliput.model.heads import Head
from lilliput.model.stock import SCORE, Stock
from lilliput.model.weights import read_tensors, tensor_shapes

CLASSIFIER = "ForSequenceClassification"


def head_settings(stock: Stock | None, head: Head) -> dict[str, Any]:
    """The keys of config.json for a model with this head: its class, and the names of the head's outputs. Raises
    ModelError for a class that transformers has without a head."""
    names = {str(number): name for number, name in enumerate(head.labels)}
    kind = "regression" if head.outputs == 1 else "single_label_classification"
    labels = {"id2label": names, "label2id": {name: int(n) for n, name in names.items()}, "problem_type": kind}
    if stock is None:
        return labels
    if stock.classifier is None:
        raise ModelError(
            f"transformers has no {stock.model_type} class with a classification head",
            "train a model of another style: lilliput model list",
        )
    return {"architectures": [stock.classifier], **labels}


def has_head(raw: Mapping[str, Any]) -> bool:
    """Whether this config.json describes a model with a head."""
    named = raw.get("architectures")
    return isinstance(named, list) and any(str(name).endswith(CLASSIFIER) for name in named)


def read_head(folder: Path, config: ModelConfig) -> Head | None:
    """The head in a model folder, in fp32; None where it has none. Raises ModelError for a head of another width."""
    found = tensor_shapes(folder)
    if SCORE not in found:
        return None
    file, shape = found[SCORE]
    if len(shape) != 2 or shape[1] != config.d_model:
        raise ModelError(f"{folder}: {SCORE} is {list(shape)}, and the model is {config.d_model} wide")
    head = Head(config, shape[0], seed=None, labels=_labels(read_object(folder / "config.json"), shape[0]))
    ((_, tensor),) = read_tensors([(SCORE, file)])
    with torch.no_grad():
        head.score.weight.copy_(tensor.float())
    return head.eval()


def _labels(raw: Mapping[str, Any], outputs: int) -> tuple[str, ...] | None:
    named = raw.get("id2label")
    if not isinstance(named, Mapping) or sorted(named) != sorted(str(number) for number in range(outputs)):
        return None
    return tuple(str(named[str(number)]) for number in range(outputs))

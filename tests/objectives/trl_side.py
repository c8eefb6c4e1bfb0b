"""The other side of a comparison with TRL: our weights in transformers' classes, and gradients under our names."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput.model.huggingface import stock_of, to_huggingface
from lilliput.model.places import to_ours
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch
from lilliput.objectives.objective import Objective
from tests.objectives.teaching import TOKENIZER

NEAR = 1e-5


def theirs(model: Model, folder: Path) -> Any:
    """The model in its stock class, in fp32."""
    transformers = pytest.importorskip("transformers")
    to_huggingface(model, folder, **TOKENIZER.marks)
    TOKENIZER.save(folder, model.config.context_length)
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def processing(folder: Path) -> Any:
    return pytest.importorskip("transformers").AutoTokenizer.from_pretrained(folder)


def options(folder: Path, **more: Any) -> dict[str, Any]:
    """Options of every TRL config: on the CPU in fp32, with no report."""
    return {
        "output_dir": str(folder / "out"),
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "per_device_train_batch_size": 8,
        "disable_tqdm": True,
        "gradient_checkpointing": False,
        **more,
    }


def our_loss(objective: Objective, batch: Batch) -> float:
    """The mean loss of a prepared batch; gradients are left in the model."""
    objective.model.zero_grad()
    loss = objective.loss(batch).total / objective.weight(batch)
    loss.backward()
    return loss.item()


def same_gradients(ours: Model, other: Any, prefix: str = "") -> None:
    """Assert that both models' gradients are equal within 1e-5 of the largest."""
    stock = stock_of(ours.config)
    assert stock is not None
    named = {name: parameter.grad for name, parameter in other.named_parameters()}
    expected = {name: parameter for name, parameter in ours.named_parameters() if parameter.grad is not None}
    found = to_ours(
        {name: grad for name, grad in named.items() if grad is not None}, expected, stock.names, ours.config
    )
    assert expected
    for name, parameter in expected.items():
        assert parameter.grad is not None
        largest = max(1.0, float(parameter.grad.abs().max()))
        torch.testing.assert_close(parameter.grad / largest, found[name] / largest, atol=NEAR, rtol=0, msg=name)


def prompt_and_replies(document: Any, parts: tuple[str, ...], encode: Any) -> dict[str, list[int]]:
    """prompt_ids, chosen_ids and so on of a document, from our own encoding."""
    (sequences,) = encode([document], TOKENIZER)
    made: dict[str, list[int]] = {}
    for part, sequence in zip(parts, sequences, strict=True):
        begin = sequence.learn[0][0]
        made["prompt_ids"] = list(sequence.ids[:begin])
        made[f"{part}_ids"] = list(sequence.ids[begin:])
    return made

"""Losses and gradients of DPO are those of TRL on the same batch."""

from pathlib import Path
from typing import Any

import pytest

from lilliput.objectives.dpo import DPO
from tests.objectives import teaching, trl_side
from tests.objectives.teaching import pairs, tiny, workshop

trl = pytest.importorskip("trl")
datasets = pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("ignore")  # TRL's own use of transformers warns

ROWS = [{"prompt": "the dog", "chosen": " a", "rejected": " b"}]


def trl_loss(folder: Path, count: int, **settings: Any) -> tuple[float, Any, dict[str, float]]:
    """The loss of the first `count` pairs, the model with its gradients, and TRL's metrics."""
    model, reference = trl_side.theirs(tiny(), folder / "model"), trl_side.theirs(tiny(1), folder / "reference")
    trainer = trl.DPOTrainer(
        model=model,
        ref_model=reference,
        args=trl.DPOConfig(**trl_side.options(folder, **settings)),
        train_dataset=datasets.Dataset.from_list(ROWS),
        processing_class=trl_side.processing(folder / "model"),
    )
    rows = [trl_side.prompt_and_replies(each, ("chosen", "rejected"), DPO().encode) for each in pairs(count)]
    trainer.model.train()
    loss = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    loss.backward()
    return loss.item(), model, {name: values[-1] for name, values in trainer._metrics["train"].items()}


@pytest.mark.parametrize(
    ("count", "ours", "settings"),
    [
        (5, {"loss_type": "sigmoid"}, {}),
        (5, {"loss_type": "sigmoid_norm", "beta": 2.0}, {}),
        (5, {"loss_type": "ipo"}, {}),
        (5, {"loss_type": "robust", "label_smoothing": 0.2}, {}),
        # of a single pair, TRL's `aot` is the sigmoid loss with label smoothing
        (1, {"loss_type": "sigmoid", "label_smoothing": 0.2}, {"loss_type": "aot"}),
    ],
)
def test_equal_to_trl(tmp_path: Path, count: int, ours: dict[str, Any], settings: dict[str, Any]) -> None:
    config = DPO.model_validate({"beta": 0.5, **ours})
    expected, model, metrics = trl_loss(tmp_path, count, **{"beta": 0.5, **ours, **settings})
    objective = config.build(workshop(tiny(), tiny(1)))
    batch = teaching.first_batch(tmp_path / "data", objective, pairs(count))
    assert trl_side.our_loss(objective, batch) == pytest.approx(expected, abs=trl_side.NEAR)
    trl_side.same_gradients(objective.model, model)
    found = objective.loss(batch).metrics
    assert {name: value.item() / count for name, value in found.items()} == pytest.approx(
        {name: metrics[name] for name in found}, abs=1e-4
    )

"""Losses and gradients of SimPO and ORPO are those of TRL on the same batch."""

from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput.objectives.orpo import ORPO
from lilliput.objectives.preference import PreferenceConfig
from lilliput.objectives.simpo import SimPO
from tests.objectives import teaching, trl_side
from tests.objectives.teaching import TOKENIZER, pairs, tiny, workshop

pytest.importorskip("trl")
datasets = pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("ignore")  # TRL's own use of transformers warns

ROWS = [{"prompt": "the dog", "chosen": " a", "rejected": " b"}]


def trl_trainer(folder: Path, ours: PreferenceConfig, model: Any) -> Any:
    common: Any = {
        "model": model,
        "train_dataset": datasets.Dataset.from_list(ROWS),
        "processing_class": trl_side.processing(folder / "model"),
    }
    settings: Any = trl_side.options(folder, remove_unused_columns=False, max_length=48)
    if isinstance(ours, SimPO):
        from trl.experimental.cpo import CPOConfig, CPOTrainer

        simpo: Any = {"simpo_gamma": ours.gamma, "label_smoothing": ours.label_smoothing, "cpo_alpha": 0.0}
        return CPOTrainer(args=CPOConfig(**settings, loss_type="simpo", beta=ours.beta, **simpo), **common)
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    assert isinstance(ours, ORPO)
    return ORPOTrainer(args=ORPOConfig(**settings, beta=ours.beta), **common)


def padded(rows: list[list[int]], value: int) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def inputs(config: PreferenceConfig, count: int) -> dict[str, torch.Tensor]:
    """A batch as TRL's collator makes it."""
    made = {}
    for nth, side in enumerate(("chosen", "rejected")):
        rows = [sequences[nth] for sequences in config.encode(pairs(count), TOKENIZER)]
        ids = [list(row.ids) for row in rows]
        begins = [row.learn[0][0] for row in rows if row.learn]
        made[f"{side}_input_ids"] = padded(ids, TOKENIZER.pad_id)
        made[f"{side}_attention_mask"] = padded([[1] * len(row) for row in ids], 0)
        labels = [[-100] * begin + row[begin:] for row, begin in zip(ids, begins, strict=True)]
        made[f"{side}_labels"] = padded(labels, -100)
    return made


@pytest.mark.parametrize(
    "config", [SimPO(), SimPO(beta=1.0, gamma=0.3, label_smoothing=0.1), ORPO(), ORPO(beta=1.0)], ids=str
)
def test_equal_to_trl(tmp_path: Path, config: PreferenceConfig) -> None:
    model = trl_side.theirs(tiny(), tmp_path / "model")
    theirs = trl_trainer(tmp_path, config, model)
    theirs.model.train()
    expected, metrics = theirs.get_batch_loss_metrics(theirs.model, inputs(config, 5))
    expected.backward()
    objective = config.build(workshop(tiny()))
    batch = teaching.first_batch(tmp_path / "data", objective, pairs(5))
    assert trl_side.our_loss(objective, batch) == pytest.approx(expected.item(), abs=trl_side.NEAR)
    trl_side.same_gradients(objective.model, model)
    found = objective.loss(batch).metrics
    assert {name: value.item() / 5 for name, value in found.items()} == pytest.approx(
        {name: metrics[name] for name in found}, abs=1e-4
    )


@pytest.mark.parametrize("config", [SimPO(), ORPO(beta=1.0)], ids=str)
def test_it_learns_one_batch_by_heart_and_goes_on_bit_for_bit(tmp_path: Path, config: PreferenceConfig) -> None:
    records = teaching.learns_by_heart(tmp_path / "heart", config, pairs(4))
    assert records[-1]["loss"] < 0.5 * records[0]["loss"]
    assert records[-1]["rewards/accuracies"] == 1
    assert teaching.resumes_bit_for_bit(tmp_path, config, pairs(10))

"""A toy preference objective: pairs of sequences with a column, a reference model, a head that is trained with the
model, and several updates from a batch. Everything that it needs is in this file: the trainer knows nothing of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from lilliput.base.errors import CheckpointError, ConfigError, DataError
from lilliput.data.document import Document
from lilliput.data.loader import Loader
from lilliput.data.rows import Encoded, Rows
from lilliput.data.shards import ShardWriter
from lilliput.data.split import Split
from lilliput.model.config import ModelConfig
from lilliput.model.heads import Head
from lilliput.model.sight import Sight
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch, Loss
from lilliput.objectives.causal import Causal
from lilliput.objectives.objective import Objective, ObjectiveConfig
from lilliput.objectives.workshop import HeldOut, Reference, Workshop
from lilliput.runs import checkpoint
from lilliput.runs.run_folder import RunFolder
from lilliput.training.callbacks import Callback, Metrics, Record
from lilliput.training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from lilliput.training.settings import Settings
from lilliput.training.trainer import Trainer

SHAPE = ModelConfig(d_model=16, n_layers=1, n_heads=2, d_mlp=16, vocab_size=16, context_length=8, dropout=0.1)
STRENGTH = 0.5


class Preference(ObjectiveConfig):
    """The chosen answer scores above the rejected one by a head, and the model stays near its reference."""

    kind: Literal["toy"] = "toy"
    reference: str = "base"
    rows: ClassVar[Literal["packed", "documents"]] = "documents"

    def encode(self, documents: Sequence[Document], tokenizer: Any) -> list[list[Encoded]]:
        made = []
        for document in documents:
            columns = {"margin": document.meta["margin"]}
            answers = (document.meta["chosen"], document.meta["rejected"])
            made.append([Encoded([0, *answer, 1], [(2, 2 + len(answer))], columns) for answer in answers])
        return made

    def build(self, workshop: Workshop) -> Objective:
        return Preferred(self, workshop)


class Preferred(Objective):
    def __init__(self, config: Preference, workshop: Workshop):
        super().__init__(config, workshop)
        self.reference = workshop.load(config.reference).model
        self.head = Head(workshop.model.config, 1, seed=workshop.seed)
        self.prepared_in: list[tuple[bool, bool]] = []

    def modules(self) -> dict[str, nn.Module]:
        return {"reward": self.head}

    def batch(self, rows: Rows, rng: np.random.Generator) -> Batch:
        """Rows of two sequences: tokens, targets, weights (R, 2, T), lengths (R, 2), margins (R,)."""
        margins = torch.tensor([columns[0]["margin"] for columns in rows.columns])
        assert rows.segments is not None
        lengths = torch.from_numpy((rows.segments[..., :-1] == 0).sum(-1))
        parts = (rows.tokens[..., :-1], rows.tokens[..., 1:], rows.learn[..., 1:])
        tokens, targets, weights = (torch.from_numpy(np.ascontiguousarray(part)) for part in parts)
        return Batch(tokens, targets, weights, lengths=lengths, margins=margins)

    def weight(self, batch: Batch) -> float:
        return float(len(batch))

    def _log_probability(self, model: Model, batch: Batch) -> torch.Tensor:
        """(R, 2) of each answer."""
        hidden = model(batch.tokens.flatten(0, 1))
        found = model.logits(hidden).log_softmax(-1).gather(-1, batch.targets.flatten(0, 1)[..., None])[..., 0]
        return (found.view(batch.targets.shape) * batch.weights).sum(-1)

    def prepare(self, batch: Batch) -> Batch:
        self.prepared_in.append((self.model.training or self.head.training, torch.is_grad_enabled()))
        return batch.including({"reference": self._log_probability(self.reference, batch)})

    def minibatches(self, batch: Batch) -> Iterable[Batch]:
        half = len(batch) // 2
        return batch.split(half)

    def loss(self, batch: Batch) -> Loss:
        sight = Sight(lengths=batch.lengths.flatten())
        scores = self.head(self.view(batch.tokens.flatten(0, 1), sight), sight).view(-1, 2)
        gaps = self._log_probability(self.view, batch) * batch.reference / batch.reference - batch.reference
        gap = STRENGTH * (gaps[:, 0] - gaps[:, 1]) + scores[:, 0] - scores[:, 1] - batch.margins
        return Loss(-F.logsigmoid(gap).sum(), {"accuracy": (gap > 0).float().sum()})


def pairs(count: int) -> list[Document]:
    """Chosen answers rise, rejected ones fall."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        start = int(rng.integers(5, 10))
        meta = {"chosen": [start + n for n in range(4)], "rejected": [start - n for n in range(3)], "margin": 0.25}
        found.append(Document("", f"pair {number}", meta))
    return found


def loader(folder: Path, documents: Sequence[Document], context_length: int = 8) -> Loader:
    folder.mkdir(parents=True, exist_ok=True)
    with ShardWriter(folder, "train", "uint16", 60, 0) as writer:  # several shards
        for document, sequences in zip(documents, Preference().encode(documents, None), strict=True):
            writer.add_document(sequences, document.id, 10)
        facts = writer.close()
    return Loader(Split(folder, "train", facts, "uint16"), context_length, 1, "documents", 0, 2)


class StopAt(Callback):
    def __init__(self, step: int):
        self.at = step

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if trainer.step == self.at:
            trainer.interrupt("enough")


def trainer(folder: Path, resume: bool = False, stop: int | None = None, config: Preference | None = None) -> Trainer:
    run = RunFolder(folder / "run")
    run.path.mkdir(parents=True, exist_ok=True)
    model = Model(SHAPE, seed=0)
    reference = Model(SHAPE, seed=7).eval().requires_grad_(False)
    asked: list[str] = []

    def load(path: str | Path) -> Reference:
        asked.append(str(path))
        return Reference(reference, cast(Any, None), Causal())

    workshop = Workshop(cast(Any, None), model, seed=3, load=load)
    objective = (config or Preference()).build(workshop)
    assert asked == ["base"]

    def write_model(place: Path) -> None:
        place.mkdir()
        save_file(model.state_dict(), place / "model.safetensors")

    return Trainer(
        objective,
        loader(folder / "data", pairs(40)),
        TrainConfig(
            steps=8,
            batch_tokens=64,
            checkpoint_steps=3,
            log_steps=1,
            optimizer=OptimizerConfig(kind="muon", learning_rate=0.02),
            schedule=ScheduleConfig(warmup_steps=1),
        ),
        run,
        Settings("fp32", False, 2, torch.get_num_threads()),
        seed=3,
        write_model=write_model,
        read_model=lambda place: model.load_state_dict(load_file(place / "model.safetensors")) and None,
        resume_from=checkpoint.newest_good(run, print, move_aside=True) if resume else None,
        callbacks=[Metrics(), *([] if stop is None else [StopAt(stop)])],
        notify=lambda text: None,
    )


def weights(t: Trainer) -> list[torch.Tensor]:
    head = t.objective.modules()["reward"]
    return [parameter.detach().clone() for module in (t.model, head) for parameter in module.parameters()]


def test_it_learns_with_its_head_and_its_reference_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    first = [parameter.clone() for parameter in weights(whole)]
    assert whole.train().text == "finished"
    records = whole.run.read_metrics()
    assert records[-1]["loss"] < 0.6 * records[0]["loss"]
    assert records[-1]["accuracy"] > 0.9
    assert "bits_per_byte" not in records[0]
    assert records[-1]["tokens"] == 8 * 4 * 16  # four pairs a step, of two sequences of eight
    assert not torch.equal(weights(whole)[-1], first[-1]), "the head is trained"
    assert all(step == 16 for step in _steps_of(whole)), "two updates a batch"
    objective = cast(Preferred, whole.objective)
    assert objective.prepared_in == [(False, False)] * 8
    stored = load_file(whole.run.checkpoint(8) / "trainer" / "objective.safetensors")
    assert torch.equal(stored["reward.score.weight"], objective.head.score.weight)

    assert trainer(tmp_path / "part", stop=5).train().text == "enough"
    rest = trainer(tmp_path / "part", resume=True)
    assert rest.train().text == "finished"
    assert all(torch.equal(one, other) for one, other in zip(weights(whole), weights(rest), strict=True))


def _steps_of(t: Trainer) -> list[int]:
    return [int(value) for name, value in t.optimizers.state().items() if name.endswith(".step")]


def test_its_evaluation_is_its_own(tmp_path: Path) -> None:
    t = trainer(tmp_path)
    held = HeldOut(lambda: t.loader, 10 * 16, lambda: pytest.fail("it models no text"))
    one, two = t.objective.evaluate(held), t.objective.evaluate(held)
    assert one == two
    assert one.keys() == {"val_loss", "val_accuracy"}
    assert 0.2 < one["val_loss"] < 3
    assert t.model.training


def test_a_checkpoint_without_the_head_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path, stop=3).train()
    t = trainer(tmp_path)
    folder = t.run.checkpoint(3)
    state = checkpoint.read_state(folder)
    with pytest.raises(CheckpointError, match="module 'reward'"):
        t.stepper.load_state(checkpoint.TrainerState(state.tensors, state.values), folder)


def test_a_document_is_a_row_of_its_sequences_with_its_columns(tmp_path: Path) -> None:
    documents = pairs(9)
    made = loader(tmp_path / "data", documents)
    assert (made.rows_per_epoch, made.row_tokens) == (9, 16)
    rows = made.take(0, 9)
    assert rows.tokens.shape == rows.learn.shape == (9, 2, 9)
    assert sorted(rows.documents) == [(2 * n, 2 * n + 1) for n in range(9)]
    assert rows.columns == [({"margin": 0.25}, {"margin": 0.25})] * 9
    for (number, _), tokens, learn in zip(rows.documents, rows.tokens, rows.learn, strict=True):
        meta = documents[number // 2].meta
        assert tokens.tolist() == [[0, *meta["chosen"], 1, 2, 2, 2], [0, *meta["rejected"], 1, 2, 2, 2, 2]]
        assert learn.tolist() == [[0, 0, 1, 1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 0, 0, 0, 0]]
    assert made.document_ids(made.take(0, 1)) == [f"pair {rows.documents[0][0] // 2}"]
    with pytest.raises(DataError, match=r"9 of 18 sequences .* longer than a row of 5 tokens"):
        loader(tmp_path / "short", documents, 4).take(0, 1)


def test_documents_of_unequal_numbers_of_sequences_are_no_rows(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, "train", "uint16", 60, 0) as writer:
        writer.add_document([Encoded([0, 5, 1])], "one", 1)
        writer.add_document([Encoded([0, 5, 1]), Encoded([0, 6, 1])], "two", 1)
        facts = writer.close()
    with pytest.raises(DataError, match="unequal numbers of sequences"):
        Loader(Split(tmp_path, "train", facts, "uint16"), 8, 1, "documents", 0, 2)


def test_without_a_run_there_is_nothing_to_load_with() -> None:
    with pytest.raises(ConfigError, match="only a run can load base"):
        Preference().build(Workshop(cast(Any, None), Model(SHAPE, seed=0)))

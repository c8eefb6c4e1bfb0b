"""A tiny tokenizer, model and documents for the tests of objectives on structured rows, and a trainer of few steps."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from lilliput.data.config import TokenizerConfig
from lilliput.data.document import Document
from lilliput.data.examples import Example, Kind
from lilliput.data.loader import Loader
from lilliput.data.rows import Encoded
from lilliput.data.shards import ShardWriter
from lilliput.data.split import Split
from lilliput.data.tokenizer import Tokenizer
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from lilliput.objectives.batch import Batch
from lilliput.objectives.causal import Causal
from lilliput.objectives.objective import Objective, ObjectiveConfig
from lilliput.objectives.workshop import HeldOut, Reference, Workshop
from lilliput.runs import checkpoint
from lilliput.runs.run_folder import RunFolder
from lilliput.training.callbacks import Callback, Metrics, Record
from lilliput.training.config import OptimizerConfig, ScheduleConfig, TrainConfig
from lilliput.training.settings import Settings
from lilliput.training.trainer import Trainer

CONTEXT = 48
TEXTS = ["the cat sat on a mat and saw one dog, who ran to the red ball; a bird sang of rain and sun"] * 20
GOOD, BAD = ["a red ball", "the cat and the dog", "sun", "one bird sang to the cat"], ["rain", "a mat", "who", "no dog"]
TOKENIZER = Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=300))
SHAPE: dict[str, Any] = {
    "d_model": 16,
    "n_layers": 2,
    "n_heads": 2,
    "d_mlp": 32,
    "vocab_size": 300,
    "context_length": CONTEXT,
}
_ENCODER = {"causal": False, "embed_norm": True, "head": "transform", "unembed_bias": True, "qk_norm": False}
SHAPES: dict[str, dict[str, Any]] = {
    "decoder": {},
    "gpt": {"norm": "layer", "mlp": "gelu", "qk_norm": False},
    "bert": {
        **{**_ENCODER, "norm": "layer", "norm_place": "post", "position": "learned", "mlp": "gelu", "bias": True},
        "token_types": 2,
    },
    "modernbert": {**_ENCODER, "norm": "layer_unbiased", "mlp": "geglu"},
}
"""Parts of small models: decoders and encoders of stock classes."""


def tiny(seed: int = 0, **shape: Any) -> Model:
    """A model whose every matrix holds random numbers (the first weights of an output projection may be zeros)."""
    model = Model(ModelConfig(**{**SHAPE, **shape}), seed=seed)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2, generator=random)
    return model


def document(kind: Kind, number: int = 0, **row: Any) -> Document:
    example = Example(kind, row)
    return Document(example.text, f"row {number}", example=example)


def pairs(count: int) -> list[Document]:
    prompts = ["the dog", "a bird", "the cat sat on", "one"]
    return [
        document(
            "preference",
            number,
            prompt=f"{prompts[number % 4]} {number}",
            chosen=" " + GOOD[number % 4],
            rejected=" " + BAD[(number // 4) % 4],
        )
        for number in range(count)
    ]


def texts(count: int) -> list[Document]:
    return [
        Document(f"{GOOD[number % 4]} sat on {BAD[number // 4 % 4]} {number}", f"text {number}")
        for number in range(count)
    ]


def loader(folder: Path, config: ObjectiveConfig, documents: Sequence[Document], context: int = CONTEXT) -> Loader:
    folder.mkdir(parents=True, exist_ok=True)
    with ShardWriter(folder, "train", "uint16", 10_000, TOKENIZER.bos_id) as writer:
        for each, sequences in zip(documents, config.encode(documents, TOKENIZER), strict=True):
            writer.add_document([sequences] if isinstance(sequences, Encoded) else sequences, each.id, each.size)
        facts = writer.close()
    packing = "documents" if config.rows == "documents" else "best_fit"
    split = Split(folder, "train", facts, "uint16")
    return Loader(split, context, 1, packing, TOKENIZER.bos_id, TOKENIZER.pad_id, "truncate")


def workshop(model: Model, reference: Model | None = None, teacher: Model | None = None) -> Workshop:
    """A workshop whose reference is `reference`, else a frozen copy of `model`, and which loads `teacher`."""
    if reference is None:
        reference = Model(model.config, seed=None)
        reference.load_state_dict(model.state_dict())

    def frozen(found: Model) -> Reference:
        return Reference(found.eval().requires_grad_(False), TOKENIZER, Causal())

    initial = frozen(reference)
    return Workshop(TOKENIZER, model, seed=3, initial=lambda: initial, load=lambda path: frozen(teacher or reference))


def first_batch(folder: Path, objective: Objective, documents: Sequence[Document]) -> Batch:
    """The documents as one prepared batch, in the loader's order."""
    made = loader(folder, objective.config, documents)
    return objective.prepared(objective.batch(made.take(0, made.rows_per_epoch), np.random.default_rng(0)))


def held_out(made: Loader) -> HeldOut:
    def no_text() -> Any:
        raise AssertionError("it models no text")

    return HeldOut(lambda: made, None, no_text)


class StopAt(Callback):
    def __init__(self, step: int):
        self.at = step

    def on_step(self, trainer: Trainer, record: Record) -> None:
        if trainer.step == self.at:
            trainer.interrupt("enough")


def trainer(
    folder: Path,
    config: ObjectiveConfig,
    documents: Sequence[Document],
    *,
    steps: int = 8,
    rows: int = 4,
    resume: bool = False,
    stop: int | None = None,
    rate: float = 0.02,
    make: Callable[[Model], Workshop] = workshop,
) -> Trainer:
    """A trainer of `rows` rows a step on a tiny model, the same for the same arguments."""
    run = RunFolder(folder / "run")
    run.path.mkdir(parents=True, exist_ok=True)
    model = tiny()
    objective = config.build(make(model))
    data = loader(folder / "data", config, documents)

    def write_model(place: Path) -> None:
        place.mkdir()
        save_file({name: tensor.clone() for name, tensor in model.state_dict().items()}, place / "model.safetensors")

    def read_model(place: Path) -> None:
        model.load_state_dict(load_file(place / "model.safetensors"))

    return Trainer(
        objective,
        data,
        TrainConfig(
            steps=steps,
            batch_tokens=rows * data.row_tokens,
            checkpoint_steps=3,
            log_steps=1,
            optimizer=OptimizerConfig(kind="adamw", learning_rate=rate),
            schedule=ScheduleConfig(warmup_steps=1),
        ),
        run,
        Settings("fp32", False, 3, torch.get_num_threads()),
        seed=3,
        write_model=write_model,
        read_model=read_model,
        resume_from=checkpoint.newest_good(run, print, move_aside=True) if resume else None,
        callbacks=[Metrics(), *([] if stop is None else [StopAt(stop)])],
        notify=lambda text: None,
    )


def weights(made: Trainer) -> list[torch.Tensor]:
    modules: list[nn.Module] = [made.model, *made.objective.modules().values()]
    return [parameter.detach().clone() for module in modules for parameter in module.parameters()]


def resumes_bit_for_bit(folder: Path, config: ObjectiveConfig, documents: Sequence[Document], **options: Any) -> bool:
    """Whether a run that was interrupted after step 5 ends with the same bits as a run that was not, over more than one
    epoch of the documents."""
    whole = trainer(folder / "whole", config, documents, **options)
    first = weights(whole)
    assert whole.train().text == "finished"
    assert any(not torch.equal(one, other) for one, other in zip(weights(whole), first, strict=True))
    assert trainer(folder / "part", config, documents, stop=5, **options).train().text == "enough"
    rest = trainer(folder / "part", config, documents, resume=True, **options)
    assert rest.train().text == "finished"
    return all(torch.equal(one, other) for one, other in zip(weights(whole), weights(rest), strict=True))


def learns_by_heart(
    folder: Path, config: ObjectiveConfig, documents: Sequence[Document], **options: Any
) -> list[Record]:
    """The records of steps on one batch of all documents."""
    made = trainer(folder, config, documents, steps=30, rows=len(documents), **options)
    made.train()
    return made.run.read_metrics()

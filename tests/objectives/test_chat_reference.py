"""Chat beside TRL: on a fixed batch of conversations the loss and its gradients are those of SFTTrainer. TRL reads our
folder: its tokens, and by our template's marks the tokens of the assistant."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lilliput.data.config import TokenizerConfig
from lilliput.data.document import Document
from lilliput.data.examples import Example
from lilliput.data.loader import Loader
from lilliput.data.rows import Encoded
from lilliput.data.shards import ShardWriter
from lilliput.data.split import Split
from lilliput.data.tokenizer import Tokenizer
from lilliput.model.config import resolve
from lilliput.model.huggingface import from_huggingface, stock_of, to_huggingface
from lilliput.model.places import to_theirs
from lilliput.model.transformer import Model
from lilliput.objectives.chat import ChatConfig
from lilliput.objectives.workshop import Workshop
from tests.conversations import SUM, TALKS

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")

CONTEXT = 128
CONVERSATIONS: list[list[dict[str, Any]]] = [*TALKS, [message for message in SUM if not message.get("tool_calls")]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    texts = ["Tom is at home, and Lily is in the park. user system assistant: Who are you?"] * 9
    tokenizer = ChatConfig().equip(Tokenizer.train(texts, TokenizerConfig(vocab_size=330)))
    shape = {"d_model": 32, "n_layers": 2, "n_heads": 4, "context_length": CONTEXT}
    model = Model(resolve("story_1m", **shape, vocab_size=tokenizer.vocab_size), seed=3)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.1, generator=random)
    to_huggingface(model, made, **tokenizer.marks, extra={})
    tokenizer.save(made)
    return made


def test_loss_and_gradients_are_those_of_trl(folder: Path, tmp_path: Path) -> None:
    expected, theirs = _trl(folder, tmp_path)
    found, ours, rows = _ours(folder, tmp_path)
    assert rows < len(CONVERSATIONS)  # several in a row of ours, each in a row of its own there
    assert found == pytest.approx(expected, abs=1e-5)
    assert set(ours) == set(theirs)
    for name, gradient in theirs.items():
        assert torch.allclose(ours[name], gradient, atol=1e-5), name
        assert gradient.abs().max() > 1e-5, name


def _ours(folder: Path, place: Path) -> tuple[float, dict[str, torch.Tensor], int]:
    config, tokenizer, model = ChatConfig(), Tokenizer.load(folder), from_huggingface(folder)
    examples = [Example("messages", {"messages": messages}) for messages in CONVERSATIONS]
    documents = [Document(example.text, str(number), example=example) for number, example in enumerate(examples)]
    with ShardWriter(place, "train", "uint16", 10_000, tokenizer.bos_id) as writer:
        for document, row in zip(documents, config.encode(documents, tokenizer), strict=True):
            assert isinstance(row, Encoded)
            writer.add_document([row], document.id, document.size)
        facts = writer.close()
    loader = Loader(Split(place, "train", facts, "uint16"), CONTEXT, 1, "best_fit", tokenizer.bos_id, tokenizer.pad_id)
    objective = config.build(Workshop(tokenizer, model))
    batch = objective.batch(loader.take(0, loader.rows_per_epoch), np.random.default_rng(0))
    loss = objective.loss(batch).total / objective.weight(batch)
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    stock = stock_of(model.config)
    assert stock is not None
    return loss.item(), to_theirs(gradients, stock.names, model.config), loader.rows_per_epoch


def _trl(folder: Path, place: Path) -> tuple[float, dict[str, torch.Tensor]]:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    model = AutoModelForCausalLM.from_pretrained(folder)
    options = SFTConfig(
        output_dir=str(place / "trl"),
        assistant_only_loss=True,
        max_length=CONTEXT,
        per_device_train_batch_size=len(CONVERSATIONS),
        gradient_checkpointing=False,
        report_to="none",
        use_cpu=True,
        bf16=False,
    )
    trainer = SFTTrainer(
        model=model,
        args=options,
        train_dataset=Dataset.from_list([{"messages": messages} for messages in CONVERSATIONS]),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )
    batch = next(iter(trainer.get_train_dataloader()))
    loss = trainer.compute_loss(model.train(), batch)
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    return loss.item(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

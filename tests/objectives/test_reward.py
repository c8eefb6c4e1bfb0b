"""Reward models: losses and gradients as in TRL, figures, the stock folder with its head, resume."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lilliput.base.errors import DataError
from lilliput.data.document import Document
from lilliput.data.examples import Example
from lilliput.model.huggingface import from_huggingface, read_back, to_huggingface
from lilliput.model.stock_heads import read_head
from lilliput.objectives.reward import RewardConfig, RewardModel
from tests.objectives import teaching, trl_side
from tests.objectives.teaching import TOKENIZER, pairs, tiny, workshop


def objective(**settings: Any) -> RewardModel:
    made = RewardConfig.model_validate(settings).build(workshop(tiny()))
    assert isinstance(made, RewardModel)
    with torch.no_grad():
        made.head.score.weight.normal_(generator=torch.Generator().manual_seed(1))
    return made


def with_margins(count: int) -> list[Document]:
    return [
        Document(each.text, each.id, example=Example("preference", each.example.row, {"margin": number / 4}))
        for number, each in enumerate(pairs(count))
        if each.example
    ]


@pytest.mark.filterwarnings("ignore")  # TRL's own use of transformers warns
@pytest.mark.parametrize(
    ("settings", "margins"), [({}, False), ({"center_rewards_coefficient": 0.1}, False), ({}, True)], ids=str
)
def test_equal_to_trl(tmp_path: Path, settings: dict[str, Any], margins: bool) -> None:
    trl, datasets = pytest.importorskip("trl"), pytest.importorskip("datasets")
    transformers = pytest.importorskip("transformers")
    ours = objective(**settings)
    to_huggingface(ours.model, tmp_path / "model", **TOKENIZER.marks, head=ours.head)
    TOKENIZER.save(tmp_path / "model")
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", dtype=torch.float32)
    theirs = trl.RewardTrainer(
        model=stock,
        args=trl.RewardConfig(**trl_side.options(tmp_path, disable_dropout=True, **settings)),
        train_dataset=datasets.Dataset.from_list([{"chosen": "a", "rejected": "b"}]),
        processing_class=trl_side.processing(tmp_path / "model"),
    )
    documents = with_margins(5) if margins else pairs(5)
    made = teaching.loader(tmp_path / "data", ours.config, documents)
    batch = ours.batch(made.take(0, 5), None)  # pyright: ignore[reportArgumentType]
    order = [first // 2 for first, _ in made.take(0, 5).documents]
    given = []
    for number in order:
        ((chosen, rejected),) = ours.config.encode([documents[number]], TOKENIZER)
        given.append({"chosen_ids": list(chosen.ids), "rejected_ids": list(rejected.ids)})
        given[-1].update({"margin": number / 4} if margins else {})
    theirs.model.train()
    expected = theirs.compute_loss(theirs.model, theirs.data_collator(given))
    expected.backward()
    assert trl_side.our_loss(ours, batch) == pytest.approx(expected.item(), abs=trl_side.NEAR)
    trl_side.same_gradients(ours.model, stock)
    torch.testing.assert_close(ours.head.score.weight.grad, stock.score.weight.grad, atol=trl_side.NEAR, rtol=0)
    found = {name: value.item() / 5 for name, value in ours.loss(batch).metrics.items()}
    assert found == pytest.approx({name: theirs._metrics["train"][name][-1] for name in found}, abs=1e-4)


STYLES: list[dict[str, Any]] = [
    {},
    {"qk_norm": False},
    {"qk_norm": False, "window": 16},
    {"norm": "layer", "mlp": "gelu", "bias": True, "qk_norm": False},
    {"norm": "layer", "mlp": "gelu_tanh", "position": "learned", "bias": True, "qk_norm": False},
    {"tied_embeddings": True},
]


@pytest.mark.parametrize("style", STYLES, ids=str)
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_stock_class_gives_equal_scores(tmp_path: Path, style: dict[str, Any], outputs: int) -> None:
    transformers = pytest.importorskip("transformers")
    from lilliput.model.heads import Head
    from lilliput.model.sight import Sight

    model = tiny(**style).eval()
    head = Head(model.config, outputs, 5, ["good", "bad", "ugly"][:outputs])
    to_huggingface(model, tmp_path, **TOKENIZER.marks, head=head)
    read_back(model, tmp_path, head)
    stock = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert type(stock).__name__.endswith("ForSequenceClassification")
    assert stock.config.num_labels == outputs
    assert stock.config.id2label == dict(enumerate(head.labels))
    ids = torch.randint(9, 290, (3, 20), generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([20, 7, 13])
    ids = torch.where(torch.arange(20) < lengths[:, None], ids, TOKENIZER.pad_id)
    with torch.no_grad():
        expected = stock(input_ids=ids, attention_mask=(torch.arange(20) < lengths[:, None]).long()).logits
        sight = Sight(lengths=lengths)
        again, stored = from_huggingface(tmp_path), read_head(tmp_path, model.config)
        assert stored is not None
        assert stored.labels == head.labels
        for trunk, score in ((model, head), (again, stored)):
            torch.testing.assert_close(score(trunk(ids, sight), sight), expected, atol=1e-4, rtol=1e-4)


def test_a_reward_model_of_transformers_is_read(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.LlamaConfig(**sizes, vocab_size=300, num_labels=1, pad_token_id=2, num_key_value_heads=2)
    stock = transformers.LlamaForSequenceClassification(config).eval()
    stock.save_pretrained(tmp_path)
    notes: list[str] = []
    model = from_huggingface(tmp_path, notes.append)
    head = read_head(tmp_path, model.config)
    assert any("no unembedding" in note for note in notes)
    assert head is not None
    ids = torch.arange(9, 20)[None]
    with torch.no_grad():
        torch.testing.assert_close(head(model(ids)), stock(input_ids=ids).logits, atol=1e-5, rtol=1e-5)


def test_it_learns_one_batch_by_heart(tmp_path: Path) -> None:
    records = teaching.learns_by_heart(tmp_path, RewardConfig(), pairs(4))
    assert records[0]["loss"] == pytest.approx(0.69, abs=0.3)
    assert records[-1]["loss"] < 0.1
    assert records[-1]["accuracy"] == 1


def test_a_run_goes_on_bit_for_bit_with_its_head(tmp_path: Path) -> None:
    assert teaching.resumes_bit_for_bit(tmp_path, RewardConfig(), pairs(10))


def test_held_out_figures(tmp_path: Path) -> None:
    ours = objective()
    made = teaching.loader(tmp_path, ours.config, pairs(20))
    found = ours.evaluate(teaching.held_out(made))
    assert found["val_accuracy_low"] < found["val_accuracy"] < found["val_accuracy_high"]
    assert 0 < found["val_calibration_error"] < 1
    assert found["val_min_reward"] < found["val_mean_reward"] < found["val_max_reward"]
    batch = ours.batch(made.take(0, 20), None)  # pyright: ignore[reportArgumentType]
    expected = ours.loss(batch)
    assert found["val_loss"] == pytest.approx(expected.total.item() / 20, abs=1e-5)
    assert found["val_accuracy"] == pytest.approx(expected.metrics["accuracy"].item() / 20)


def test_the_score_is_read_at_the_end_of_the_reply(tmp_path: Path) -> None:
    """The gap that the loss sees is that of each text read alone, whatever it is padded to."""
    ours = objective()
    made = teaching.loader(tmp_path, ours.config, pairs(3))
    rows = made.take(0, 3)
    ours.model.eval()
    loss = ours.loss(ours.batch(rows, None)).total  # pyright: ignore[reportArgumentType]
    losses = []
    for first, _ in rows.documents:
        ((chosen, rejected),) = ours.config.encode([pairs(3)[first // 2]], TOKENIZER)
        high, low = (ours.head(ours.model(torch.tensor([list(each.ids)]))) for each in (chosen, rejected))
        losses.append(-F.logsigmoid(high - low))
    torch.testing.assert_close(loss, torch.cat(losses).sum())


def test_wrong_rows_are_refused() -> None:
    with pytest.raises(DataError, match="learns from preferences"):
        RewardConfig().encode([Document("once", "book")], TOKENIZER)
    (good,) = pairs(1)
    assert good.example
    wrong = Document("x", "row 7", example=Example("preference", good.example.row, {"margin": "much"}))
    with pytest.raises(DataError, match=r"row 7 has the margin 'much'"):
        RewardConfig().encode([wrong], TOKENIZER)


def test_the_head_is_one_of_the_modules() -> None:
    ours = objective()
    modules: dict[str, nn.Module] = ours.modules()
    assert modules == {"reward": ours.head}

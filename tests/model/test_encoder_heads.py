"""Heads of encoders, and heads of each token: logits equal to transformers' classes, both ways; what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.model.heads import Head, mean_of_real
from lilliput.model.huggingface import from_huggingface, read_back, to_huggingface
from lilliput.model.sight import Sight
from lilliput.model.stock_heads import read_head
from lilliput.model.transformer import Model
from tests.model.families import FAMILIES, config, stir, stirred, tokens

transformers = pytest.importorskip("transformers")
LABELS = ["no", "maybe", "yes"]
LENGTHS = torch.tensor([20, 7])
TAGGERS = [family for family in FAMILIES if FAMILIES[family][0] and family not in ("olmo2", "gemma3")]


def auto(each: bool) -> Any:
    kind = "TokenClassification" if each else "SequenceClassification"
    return getattr(transformers, f"AutoModelFor{kind}")


def ours(model: Model, head: Head, ids: torch.Tensor, types: torch.Tensor | None = None) -> torch.Tensor:
    sight = Sight(causal=model.config.causal, lengths=LENGTHS)
    with torch.no_grad():
        return head(model(ids, sight, types=types), sight, model.head)


def theirs(folder: Path, each: bool, ids: torch.Tensor, types: torch.Tensor | None = None) -> torch.Tensor:
    found = auto(each).from_pretrained(folder, dtype=torch.float32).eval()
    given = {} if types is None else {"token_type_ids": types}
    with torch.no_grad():
        return found(input_ids=ids, attention_mask=(torch.arange(20) < LENGTHS[:, None]).long(), **given).logits


def same(one: torch.Tensor, other: torch.Tensor, each: bool) -> None:
    if each:
        real = torch.arange(20) < LENGTHS[:, None]
        one, other = one[real], other[real]
    assert (one - other).abs().max() < 1e-4
    assert one.abs().max() > 1e-2


@pytest.mark.parametrize("family", ["bert", "modernbert", "modernbert_biased"])
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_transformers_class_gives_our_logits(family: str, each: bool, tied: bool, tmp_path: Path) -> None:
    model, ids = stirred(family, tied_embeddings=tied), tokens(2, 20)
    types = (torch.arange(20) > 4).long().expand(2, 20) if family == "bert" else None
    for pooling in ("mean", "first"):
        head = stir(Head(model.config, 3, labels=LABELS, each=each, pooling=pooling))
        to_huggingface(model, tmp_path, pad_token_id=0, head=head)
        read_back(model, tmp_path, head)
        raw = json.loads((tmp_path / "config.json").read_text())
        kind = "Token" if each else "Sequence"
        assert raw["architectures"] == [str(FAMILIES[family][0]).replace("MaskedLM", f"{kind}Classification")]
        assert raw["id2label"] == dict(zip("012", LABELS, strict=True))
        same(ours(model, head, ids, types), theirs(tmp_path, each, ids, types), each)


@pytest.mark.parametrize("family", TAGGERS)
def test_a_head_of_each_token_is_that_of_the_stock_class(family: str, tmp_path: Path) -> None:
    model, ids = stirred(family), tokens(2, 20)
    head = stir(Head(model.config, 3, labels=LABELS, each=True))
    to_huggingface(model, tmp_path, head=head)
    same(ours(model, head, ids), theirs(tmp_path, True, ids), True)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
@pytest.mark.parametrize("each", [False, True])
def test_a_folder_that_transformers_saved_is_read_and_written_again(family: str, each: bool, tmp_path: Path) -> None:
    """It has no layers for predictions of tokens (BERT), or no unembedding (ModernBERT)."""
    model, ids, notes = stirred(family, tied_embeddings=True), tokens(2, 20), list[str]()
    to_huggingface(model, tmp_path / "a", pad_token_id=0, head=stir(Head(model.config, 3, labels=LABELS, each=each)))
    auto(each).from_pretrained(tmp_path / "a", dtype=torch.float32).save_pretrained(tmp_path / "b")
    path = tmp_path / "b" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "lilliput": None}))
    again = from_huggingface(tmp_path / "b", notes.append)
    head = read_head(tmp_path / "b", again.config)
    assert head is not None
    assert head.labels == tuple(LABELS)
    assert any("no layers for predictions of tokens" in note for note in notes)
    same(ours(again, head, ids), theirs(tmp_path / "b", each, ids), each)
    to_huggingface(again, tmp_path / "c", pad_token_id=0, head=head)
    read_back(again, tmp_path / "c", head)
    same(ours(again, head, ids), theirs(tmp_path / "c", each, ids), each)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_a_folder_of_the_model_alone_is_read(family: str, tmp_path: Path) -> None:
    model, ids = stirred(family, tied_embeddings=False), tokens(2, 20)
    to_huggingface(model, tmp_path / "a")
    transformers.AutoModel.from_pretrained(tmp_path / "a").save_pretrained(tmp_path / "b")
    with torch.no_grad():
        gap = from_huggingface(tmp_path / "b")(ids) - model(ids)
    assert gap.abs().max() < 1e-5
    assert read_head(tmp_path / "b", model.config) is None


def test_a_masked_folder_without_its_layers_is_damaged(tmp_path: Path) -> None:
    to_huggingface(stirred("bert"), tmp_path)
    path = tmp_path / "config.json"
    raw = json.loads(path.read_text())
    transformers.AutoModel.from_pretrained(tmp_path).save_pretrained(tmp_path / "b")
    (tmp_path / "b" / "config.json").write_text(json.dumps({**raw, "architectures": ["BertForMaskedLM"]}))
    with pytest.raises(ModelError, match=r"tensors that config.json asks for"):
        from_huggingface(tmp_path / "b")


@pytest.mark.parametrize("each", [False, True])
def test_an_encoder_of_no_stock_class_keeps_its_head(each: bool, tmp_path: Path) -> None:
    model = stirred("own_encoder")
    head = stir(Head(model.config, 2, each=each))
    assert (head.pooler is None) == each
    to_huggingface(model, tmp_path, head=head)
    read_back(model, tmp_path, head)
    again = read_head(tmp_path, model.config)
    assert again is not None
    torch.testing.assert_close(ours(model, again, tokens(2, 20)), ours(model, head, tokens(2, 20)))


@pytest.mark.parametrize("family", ["bert", "modernbert", "own_encoder", "story"])
@pytest.mark.parametrize("each", [False, True])
def test_counts_and_padding(family: str, each: bool) -> None:
    """The outputs of a short row do not depend on the padding beside it."""
    model, head, ids = stirred(family), stir(Head(config(family), 3, each=each)), tokens(2, 20)
    assert sum(part.numel() for part in head.parameters()) == Head.parameters_of(config(family), 3, each)
    alone = Sight(causal=model.config.causal, lengths=torch.tensor([7]))
    with torch.no_grad():
        short = head(model(ids[1:, :7], alone), alone, model.head)
    whole = ours(model, head, ids)[1:]
    torch.testing.assert_close(whole[:, :7] if each else whole, short, atol=1e-5, rtol=0)


def test_a_mean_of_real_positions() -> None:
    hidden = torch.tensor([[[1.0], [3.0], [float("nan")]], [[1.0], [2.0], [6.0]]])
    assert mean_of_real(hidden, torch.tensor([2, 3])).tolist() == [[2.0], [3.0]]
    assert mean_of_real(hidden[1:], None).tolist() == [[3.0]]


def test_what_cannot_be_computed_is_named(tmp_path: Path) -> None:
    model = stirred("modernbert")
    head = Head(model.config, 2)
    with pytest.raises(ModelError, match="reads the model's prediction head"):
        head(model(tokens(2, 20)))
    to_huggingface(model, tmp_path, head=head)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "classifier_pooling": "max"}))
    with pytest.raises(ModelError, match="classifier_pooling=max"):
        read_head(tmp_path, model.config)
    with pytest.raises(ModelError, match="no olmo2 class with a head of each token"):
        to_huggingface(stirred("olmo2"), tmp_path / "b", head=Head(config("olmo2"), 2, each=True))

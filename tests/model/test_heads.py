"""Heads read the last real position, or every position."""

import dataclasses

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.model import huggingface
from lilliput.model.heads import Head
from lilliput.model.huggingface import to_huggingface
from lilliput.model.sight import Sight
from lilliput.model.stock_heads import read_head
from tests.model.families import config, stirred, tokens


def test_a_head_reads_the_last_real_position():
    model, head, ids = stirred("story"), Head(config("story"), 3), tokens(2, 20)
    sight = Sight(lengths=torch.tensor([7, 20]))
    found = head(model(ids, sight), sight)
    assert found.shape == (2, 3)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[:1], head(model(ids[:1, :7])))
    torch.testing.assert_close(found[1:], head(model(ids[1:])))


def test_values_are_given_at_every_position():
    model, head, ids = stirred("story"), Head(config("story"), 1), tokens(2, 20)
    values = head.values(model(ids))
    assert values.shape == (2, 20, 1)
    torch.testing.assert_close(values[:, -1], head(model(ids)))


def test_first_weights_and_count():
    chosen = config("story")
    assert torch.equal(Head(chosen, 2, 1).score.weight, Head(chosen, 2, 1).score.weight)
    assert not torch.equal(Head(chosen, 2, 1).score.weight, Head(chosen, 2, 2).score.weight)
    assert sum(p.numel() for p in Head(chosen, 2).parameters()) == Head.parameters_of(chosen, 2) == 96


def test_what_a_head_does_not_read():
    head = Head(config("story"), 2)
    with pytest.raises(ModelError, match="several documents"):
        head(torch.zeros(1, 4, 48), Sight(segments=torch.zeros(1, 4, dtype=torch.int64)))
    with pytest.raises(ModelError, match="0 outputs"):
        Head(config("story"), 0)


def test_outputs_have_names():
    chosen = config("story")
    assert Head(chosen, 2).labels == ("LABEL_0", "LABEL_1")
    assert Head(chosen, 2, labels=["no", "yes"]).labels == ("no", "yes")
    with pytest.raises(ModelError, match="2 outputs has 1 names"):
        Head(chosen, 2, labels=["no"])


def test_a_class_without_a_head_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    stock = [dataclasses.replace(each, classifier=None) for each in huggingface.STOCK]
    monkeypatch.setattr(huggingface, "STOCK", stock)
    model = stirred("story")
    with pytest.raises(ModelError, match=r"no .* class with a classification head"):
        huggingface.to_huggingface(model, tmp_path / "model", head=Head(model.config, 1))
    assert not (tmp_path / "model").exists()


def test_a_head_of_another_width_is_refused(tmp_path):
    model = stirred("story")
    huggingface_folder = tmp_path / "model"
    to_huggingface(model, huggingface_folder, head=Head(model.config, 1))
    with pytest.raises(ModelError, match="the model is 64 wide"):
        read_head(huggingface_folder, model.config.model_copy(update={"d_model": 64}))
    to_huggingface(model, tmp_path / "plain")
    assert read_head(tmp_path / "plain", model.config) is None

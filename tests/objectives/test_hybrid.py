"""Hybrid: rows of next tokens and rows of hidden tokens in one batch, evaluated both ways."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from lilliput import api
from lilliput.base.errors import ConfigError
from lilliput.data.rows import Rows
from lilliput.data.tokenizer import Tokenizer, TokenizerConfig
from lilliput.evaluation.masked_scorer import score_masked
from lilliput.model.sight import Sight
from lilliput.model.transformer import Model
from lilliput.objectives.hybrid import BothWays, Hybrid
from lilliput.objectives.workshop import Workshop
from tests.model.families import config, stir

TEXT = "Once upon a time there was a little dog. He had a red ball, and he liked to run. "


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([TEXT] * 9, TokenizerConfig(vocab_size=300), ("mask",))


def objective_of(tokenizer: Tokenizer, **settings: Any) -> BothWays:
    model = stir(Model(config("story", vocab_size=tokenizer.vocab_size)))
    return BothWays(Hybrid(**settings), Workshop(tokenizer, model))


def rows_of(tokenizer: Tokenizer, count: int = 8, segments: bool = False) -> Rows:
    ids = np.array(tokenizer.encode(TEXT * 4), np.int64)
    tokens = np.stack([ids[place : place + 21] for place in range(count)])
    parts = np.tile(np.repeat([0, 1], [9, 12]), (count, 1)) if segments else None
    return Rows(tokens, np.ones(tokens.shape, np.float32), parts)


def test_a_share_of_the_rows_is_masked_and_predicts_one_place_ahead(tokenizer):
    objective, rows = objective_of(tokenizer, share=0.25, fraction=0.3), rows_of(tokenizer)
    batch = objective.batch(rows, np.random.default_rng(0))
    assert int(batch.masked.sum()) == 2
    tokens, targets = torch.from_numpy(rows.tokens[:, :-1]), torch.from_numpy(rows.tokens[:, 1:])
    assert torch.equal(batch.targets, targets)
    assert torch.equal(batch.tokens[~batch.masked], tokens[~batch.masked])
    assert (batch.weights[~batch.masked] == 1).all()
    mask, hidden = tokenizer.specials["mask"], 0
    for row in batch.masked.nonzero().flatten().tolist():
        at = batch.weights[row].nonzero().flatten()
        assert float(batch.weights[row].sum()) == pytest.approx(20, rel=1e-5)  # as much as a causal row
        assert int(at.max()) < 19  # the last target is no token of the input
        hidden += int((batch.tokens[row, at + 1] == mask).sum())
        changed = (batch.tokens[row] != tokens[row]).nonzero().flatten()
        assert {*changed.tolist()} - {0} <= {*(at + 1).tolist()}
    assert hidden > 0
    again = objective.batch(rows, np.random.default_rng(0))
    assert all(torch.equal(batch[name], again[name]) for name in batch)


@pytest.mark.parametrize("segments", [False, True])
def test_the_loss_is_that_of_both_kinds_of_rows(tokenizer, segments):
    objective = objective_of(tokenizer, fraction=0.3)
    batch = objective.batch(rows_of(tokenizer, segments=segments), np.random.default_rng(1))
    model, expected = objective.model, 0.0
    for row in range(len(batch)):
        parts = batch.segments[row : row + 1] if segments else None
        sight = Sight(causal=not bool(batch.masked[row]), segments=parts)
        with torch.no_grad():
            logits = model.logits(model(batch.tokens[row : row + 1], sight))[0]
        each = torch.nn.functional.cross_entropy(logits, batch.targets[row], reduction="none")
        expected += float((each * batch.weights[row]).sum())
    assert objective.loss(batch).total.item() == pytest.approx(expected, rel=1e-5)


def test_rows_see_what_they_should(tokenizer):
    objective = objective_of(tokenizer, fraction=0.5)
    batch = objective.batch(rows_of(tokenizer), np.random.default_rng(2))
    model, seen = objective.model, []
    model.hook_embed.register_forward_hook(lambda module, given, out: seen.append(out) or out.retain_grad())
    for rows, sight in ((batch.masked, Sight(causal=False)), (~batch.masked, Sight())):
        weights = batch.weights.clone()
        weights[:, 6:] = 0  # targets of the first six positions alone
        objective._loss(batch.including({"weights": weights}), rows, sight).backward()
    masked, causal = (each.grad.abs().sum(-1) > 0 for each in seen)
    assert masked[batch.weights[batch.masked][:, :6].sum(1) > 0].all()
    assert not causal[:, 6:].any()


def test_a_hidden_token_is_scored_one_place_before_it(tokenizer):
    model = stir(Model(config("story", vocab_size=tokenizer.vocab_size)))
    ((found,),) = score_masked(model, tokenizer, [[("Once upon", " a time")]], ahead=True)
    ids, first = [*tokenizer.beginning, *tokenizer.encode("Once upon a time"), tokenizer.eos_id], 0
    first = len(tokenizer.beginning) + len(tokenizer.encode("Once upon"))
    total = 0.0
    for place in range(first, len(ids) - 1):
        given = torch.tensor([[*ids[:place], tokenizer.specials["mask"], *ids[place + 1 :]]])
        with torch.no_grad():
            scores = model.logits(model(given, Sight(causal=False)))[0, place - 1].log_softmax(-1)
        total += float(scores[ids[place]])
    assert found.log_probability == pytest.approx(total, abs=1e-4)


def test_what_it_cannot_train_is_refused(tokenizer):
    model = Model(config("own_gated_delta", vocab_size=tokenizer.vocab_size))
    with pytest.raises(ConfigError, match="gated_delta sees earlier positions"):
        Hybrid().build(Workshop(tokenizer, model))
    with pytest.raises(ConfigError, match="may be 1 at most"):
        objective_of(tokenizer, masked=0.9, replaced=0.2)
    plain = Tokenizer.train([TEXT] * 9, TokenizerConfig(vocab_size=300))
    with pytest.raises(ConfigError, match="has no mask token"):
        objective_of(plain)


TINY = ["tokenizer.vocab_size=300", "model.d_model=32", "model.n_layers=1", "model.d_mlp=48", "train.steps=4"]
TINY += ["train.batch_tokens=1024", "evaluate.steps=2", "evaluate.tokens=1024", "evaluate.final_tokens=2048"]
TINY += ["evaluate.sample_tokens=4", "data.sources.0.stories=40", "objective=hybrid"]


def test_a_run_has_the_figures_of_both_ways_and_answers_by_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = api.train("story", TINY, name="h", live=False)
    summary = run.summary
    assert 0 < summary["val_bits_per_byte"] < 12
    assert 0 < summary["val_masked_bits_per_byte"] < 20
    assert 0 <= summary["val_masked_accuracy"] < 1
    lines = [json.loads(line) for line in (tmp_path / "runs/h/metrics.jsonl").read_text().splitlines()]
    assert all(math.isfinite(line["bits_per_byte"]) for line in lines if "bits_per_byte" in line)
    assert api.load("runs/h").generate("Once", max_tokens=3)
    items = [{"sentence_good": "a red ball", "sentence_bad": "ball red a", "UID": "order"}] * 3
    (tmp_path / "blimp").mkdir()
    (tmp_path / "blimp" / "order.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    rows = api.benchmark("runs/h", ["blimp"], "blimp", controls=False)
    assert set(rows[0]["scores"]) == {"runs/h", "runs/h, both sides"}

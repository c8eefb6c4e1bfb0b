"""Distillation: KL divergences as in TRL, the teacher's tokens on disk, resume, refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.model.sight import Sight
from lilliput.model.transformer import Model
from lilliput.objectives.accepted import check_accepted
from lilliput.objectives.causal import Causal
from lilliput.objectives.distill import Distill, Distilled, divergence
from lilliput.objectives.teacher import TopK, digest_of
from lilliput.objectives.workshop import Reference, Workshop
from tests.objectives import teaching
from tests.objectives.teaching import TOKENIZER, document, pairs, texts, tiny


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def workshop(model: Model) -> Workshop:
    return teaching.workshop(model, teacher=tiny(1, d_model=32).eval())


def distilled(**settings: Any) -> Distilled:
    made = Distill.model_validate({"teacher": "large", "top_k": 8, **settings}).build(workshop(tiny()))
    assert isinstance(made, Distilled)
    return made


def logits(seed: int) -> torch.Tensor:
    return 3 * torch.randn(7, 50, generator=torch.Generator().manual_seed(seed))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("direction", "beta"), [("forward", 0.0), ("reverse", 1.0)])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_all_tokens_give_the_divergence_of_trl(direction: str, beta: float, temperature: float) -> None:
    gkd = pytest.importorskip("trl.experimental.gkd")
    ours, theirs = logits(0).requires_grad_(), logits(1)
    labels = torch.zeros(1, 7, dtype=torch.int64)
    expected = gkd.GKDTrainer.generalized_jsd_loss(ours[None], theirs[None], labels, beta, temperature)
    (want,) = torch.autograd.grad(expected, ours)
    scores, ids = (theirs / temperature).log_softmax(-1).topk(50)
    found = divergence(scores, (ours / temperature).log_softmax(-1).gather(-1, ids), 50, direction).mean()
    (gradient,) = torch.autograd.grad(found, ours)
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    torch.testing.assert_close(gradient, want, atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_few_tokens_and_a_rest_give_that_of_trl(direction: str) -> None:
    add_tail = pytest.importorskip("trl.experimental.sdpo.loss_utils").add_tail_bucket
    theirs, ids = logits(1).log_softmax(-1).topk(5)
    ours = logits(0).log_softmax(-1).gather(-1, ids)
    high, low = add_tail(theirs), add_tail(ours)
    first, second = (high, low) if direction == "forward" else (low, high)
    expected = (first.exp() * (first - second)).sum(-1)
    torch.testing.assert_close(divergence(theirs, ours, 50, direction), expected, atol=1e-5, rtol=0)
    exact = divergence(logits(1).log_softmax(-1), logits(0).log_softmax(-1), 50, direction)
    assert (divergence(theirs, ours, 50, direction) <= exact + 1e-5).all()


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_the_loss_is_that_of_both_models_on_the_row(tmp_path: Path, direction: str) -> None:
    objective = distilled(top_k=300, direction=direction, alpha=0.25, temperature=1.5)
    batch = teaching.first_batch(tmp_path / "data", objective, texts(6))
    assert batch.get("segments") is not None
    loss = objective.loss(batch)
    learned, sight = batch.weights > 0, Sight(segments=batch.segments)
    ours, theirs = (m.logits(m(batch.tokens, sight))[learned] for m in (objective.model, objective.teacher))
    hard = torch.nn.functional.cross_entropy(ours, batch.targets[learned], reduction="sum")
    first, second = (theirs, ours) if direction == "forward" else (ours, theirs)
    first, second = (first / 1.5).log_softmax(-1), (second / 1.5).log_softmax(-1)
    soft = (first.exp() * (first - second)).sum()
    assert loss.total.item() == pytest.approx(float(0.25 * hard.detach() + 0.75 * soft.detach()), rel=1e-5)
    assert loss.metrics["hard_loss"].item() == pytest.approx(float(hard.detach()), rel=1e-5)


def test_sums_are_not_rounded_to_bf16_under_autocast(tmp_path: Path) -> None:
    made = distilled()
    batch = teaching.first_batch(tmp_path / "data", made, texts(6))
    exact = made.loss(batch)
    with torch.autocast("cpu", torch.bfloat16):
        rough = made.loss(batch)
    for name in ("hard_loss", "kl"):
        assert rough.metrics[name].dtype == torch.float32
        assert rough.metrics[name].item() != rough.metrics[name].bfloat16().item()
        assert rough.metrics[name].item() == pytest.approx(exact.metrics[name].item(), rel=0.02)


def test_the_teacher_reads_a_row_once_and_the_disk_keeps_it(tmp_path: Path, cache: Path) -> None:
    objective = distilled()
    first = teaching.first_batch(tmp_path / "data", objective, texts(6))
    top = objective.top(first.length)
    assert top.computed == len(first)
    again = distilled()
    second = teaching.first_batch(tmp_path / "data", again, texts(6))
    assert again.top(first.length).computed == 0
    assert torch.equal(first.ids, second.ids)
    assert torch.equal(first.scores, second.scores)
    other = distilled(top_k=4)
    teaching.first_batch(tmp_path / "data", other, texts(6))
    assert other.top(first.length).computed == len(first)
    assert len(list((cache / "teachers").iterdir())) == 2


def test_a_damaged_or_cut_file_is_made_again(tmp_path: Path) -> None:
    objective = distilled()
    first = teaching.first_batch(tmp_path / "data", objective, texts(6))
    file = objective.top(first.length).file
    data = bytearray(file.read_bytes())
    size = len(data) // len(first)
    data[40] ^= 1
    file.write_bytes(data[: -size // 2])  # the first record is damaged, and the last one cut
    again = distilled()
    second = teaching.first_batch(tmp_path / "data", again, texts(6))
    assert 1 <= again.top(first.length).computed <= 2
    assert torch.equal(first.ids, second.ids)
    assert torch.equal(first.scores, second.scores)


def test_a_folder_that_cannot_be_written_keeps_rows_in_memory(tmp_path: Path) -> None:
    top = TopK(tiny(1).eval(), 4, 3, 1.0)
    top.folder = tmp_path / "file" / "below"
    (tmp_path / "file").write_text("no folder")
    tokens = torch.tensor([[9, 10, 11, 12]])
    one, two = top.of(tokens, None), top.of(tokens, None)
    assert top.computed == 1
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_the_hash_of_a_teacher_is_that_of_its_weights() -> None:
    assert digest_of(tiny(1)) == digest_of(tiny(1)) != digest_of(tiny(2))


def test_a_student_learns_its_teacher_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    config = Distill(teacher="large", top_k=8, alpha=0.0)
    records = teaching.learns_by_heart(tmp_path / "heart", config, texts(6), make=workshop, rate=0.01)
    assert records[-1]["kl"] < 0.5 * records[0]["kl"]
    assert records[0]["loss"] == pytest.approx(records[0]["kl"])
    assert records[0]["bits_per_byte"] > 0
    assert teaching.resumes_bit_for_bit(tmp_path, config, texts(60), make=workshop, rows=2)


def test_conversations_and_completions_are_learned_by_their_replies() -> None:
    made = document("completion", prompt="the dog", completion=" ran")
    (encoded,) = Distill(teacher="large").encode([made], TOKENIZER)
    assert encoded.learn is not None
    (mixed, text) = Distill(teacher="large").encode([made, *texts(1)], TOKENIZER)
    assert mixed == encoded
    assert text.learn is None
    with pytest.raises(DataError, match="learns from"):
        check_accepted(Distill(teacher="large"), pairs(1)[0])


def test_teachers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="alpha=1 leaves nothing"):
        distilled(alpha=1)
    with pytest.raises(DataError, match="top_k is 301"):
        distilled(top_k=301)
    short = Reference(tiny(1, context_length=16).eval(), TOKENIZER, Causal())
    objective = Distill(teacher="large").build(Workshop(TOKENIZER, tiny(), load=lambda path: short))
    with pytest.raises(DataError, match="the teacher reads 16 tokens at most"):
        teaching.first_batch(tmp_path, objective, texts(6))
    foreign = Tokenizer.train(["other words than those"] * 9, TokenizerConfig(vocab_size=300))
    stranger = Reference(tiny(1).eval(), foreign, Causal())
    with pytest.raises(ConfigError, match="has another tokenizer"):
        Distill(teacher="large").build(Workshop(TOKENIZER, tiny(), load=lambda path: stranger))


def test_rows_of_several_documents_do_not_see_each_other(tmp_path: Path) -> None:
    objective = distilled()
    made = teaching.loader(tmp_path, objective.config, texts(6))
    batch = objective.batch(made.take(0, 1), np.random.default_rng(0))
    ids, scores = objective.top(batch.length).of(batch.tokens, batch.segments)
    alone = objective.teacher.logits(objective.teacher(batch.tokens[:, :5])).log_softmax(-1).topk(8)
    torch.testing.assert_close(scores[:, :5], alone.values)
    assert torch.equal(ids[:, :5], alone.indices)

"""`lilliput score` and `lilliput evaluate` of classifiers and reward models."""

import io
import json
from pathlib import Path

import pytest
import torch

from lilliput import api
from lilliput.base.errors import ConfigError
from lilliput.data.chat_template import chatml
from lilliput.generation.scoring import score
from lilliput.model.heads import Head
from lilliput.model.huggingface import to_huggingface
from lilliput.model.sight import Sight
from lilliput.objectives.classify import Classify
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.objectives.reward import RewardConfig
from lilliput.objectives.turns import encode_reply
from tests.cli.conftest import Command
from tests.objectives.teaching import TOKENIZER, tiny

TEXTS = ["a red ball", "the cat and the dog sat on a mat", "sun"]


def folder(place: Path, objective: ObjectiveConfig, outputs: int, tokenizer=TOKENIZER, **shape) -> tuple[Path, Head]:
    model = tiny(vocab_size=max(300, tokenizer.vocab_size), **shape)
    head = Head(model.config, outputs, 5, getattr(objective, "labels", None) or None)
    torch.nn.init.normal_(head.score.weight)
    to_huggingface(model, place, **tokenizer.marks, extra={"objective": objective.model_dump(mode="json")}, head=head)
    tokenizer.save(place, model.config.context_length)
    return place, head


def expected(head: Head, ids: list[int], **shape) -> torch.Tensor:
    model = tiny(**shape).eval()
    with torch.no_grad():
        return head(model(torch.tensor([ids])), Sight(lengths=torch.tensor([len(ids)])))[0]


def test_a_classifier_gives_probabilities(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each text alone gives the same numbers as beside longer texts."""
    place, head = folder(tmp_path / "model", Classify(labels=("good", "bad", "odd")), 3)
    report = json.loads(command("score", str(place), *TEXTS, "--json").out)
    assert [row["text"] for row in report["scores"]] == TEXTS
    for row in report["scores"]:
        ids = [*TOKENIZER.beginning, *TOKENIZER.encode(row["text"]), *sorted(TOKENIZER.ends)]
        shares = expected(head, ids).softmax(-1).tolist()
        assert list(row["probabilities"].values()) == pytest.approx(shares, abs=1e-5)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n\n")
    assert json.loads(command("score", str(place), "--file", str(tmp_path / "texts.txt"), "--json").out) == report
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(TEXTS)))
    shown = command("score", str(place)).out.splitlines()
    assert [line.rpartition("  ")[2] for line in shown] == TEXTS
    assert shown[0].startswith(report["scores"][0]["label"])


def test_a_regression_gives_scores_and_a_long_text_is_cut_at_its_end(tmp_path: Path) -> None:
    place, head = folder(tmp_path / "model", Classify(), 1)
    notes: list[str] = []
    (row,) = score(place, ["a red ball " * 40], notify=notes.append)
    ids = [*TOKENIZER.beginning, *TOKENIZER.encode("a red ball " * 40)][:48]
    assert row["score"] == pytest.approx(float(expected(head, ids)), abs=1e-5)
    assert any("1 of 1 texts are longer than the context of 48 tokens" in note for note in notes)


def test_a_reward_model_scores_replies(tmp_path: Path) -> None:
    place, head = folder(tmp_path / "plain", RewardConfig(), 1)
    (row,) = score(place, [" sat on a mat"], prompt="the cat")
    ids = list(encode_reply("the cat", " sat on a mat", TOKENIZER).ids)
    assert row["reward"] == pytest.approx(float(expected(head, ids)), abs=1e-5)
    chats = TOKENIZER.with_specials(["im_start", "im_end"]).with_template(chatml(TOKENIZER.begins))
    size = {"vocab_size": max(300, chats.vocab_size)}
    place, head = folder(tmp_path / "chat", RewardConfig(), 1, chats)
    with pytest.raises(ConfigError, match="--prompt REQUEST"):
        score(place, ["sun"])
    asked = [{"role": "user", "content": "who?"}], [{"role": "assistant", "content": "sun"}]
    (row,) = score(place, ["sun"], prompt="who?")
    assert row["reward"] == pytest.approx(
        float(expected(head, list(encode_reply(*asked, chats).ids), **size)), abs=1e-5
    )


def test_what_cannot_be_scored_is_named(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    place, _ = folder(tmp_path / "model", Classify(labels=("a", "b")), 2)
    assert "leave --prompt out" in command("score", str(place), "sun", "--prompt", "who?").err
    assert "not both" in command("score", str(place), "sun", "--file", "a.txt").err
    monkeypatch.setattr("sys.stdin", io.StringIO(" \n"))
    assert "holds no text" in command("score", str(place)).err
    plain = tmp_path / "plain"
    to_huggingface(tiny(), plain, **TOKENIZER.marks)
    TOKENIZER.save(plain, 48)
    assert "no head that scores a text" in command("score", str(plain), "sun").err


def test_a_classifier_is_evaluated_anew(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures equal those of summary.json, and stand beside the baselines with their intervals."""
    monkeypatch.chdir(tmp_path)
    rows = [{"text": f"{'the cat sat' if n % 3 else 'a dog ran'} {n}", "label": int(n % 3 > 0)} for n in range(200)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    shape = ["model.d_model=16", "model.n_layers=1", "model.n_heads=2", "model.context_length=32"]
    length = ["train.steps=4", "train.batch_tokens=128", "tokenizer.vocab_size=280", "data.validation_fraction=0.2"]
    given = [*shape, *length, "objective.labels=[dog,cat]", "device=cpu"]
    run = api.train("classify", given, data="rows.jsonl", name="pets", live=False, notify=lambda text: None)
    found = json.loads(command("evaluate", "pets", "--json").out)
    for name in ("val_accuracy", "val_accuracy_low", "val_accuracy_high", "val_error", "val_items"):
        assert found[name] == pytest.approx(run.summary[name], abs=1e-6), name
    assert found["baselines"] == pytest.approx(run.summary["baselines"])
    majority = found["accuracies"]["majority class"]
    assert majority["low"] < majority["accuracy"] == 1 - found["baselines"]["majority class"] < majority["high"]
    kept = json.loads((run.path / "evaluation.json").read_text())["held_out"]
    assert kept["val_accuracy"] == found["val_accuracy"]
    shown = command("evaluate", "pets").out
    assert all(name in shown for name in ("this model", "majority class", "bag of words", "held-out rows"))
    assert "score texts of your own" in command("evaluate", "pets", "--data", "rows.jsonl").err

"""`lilliput fill`, `lilliput embed`, and `lilliput score` of taggers and of pairs: results, files, refusals."""

import io
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.model.heads import Head
from lilliput.model.huggingface import to_huggingface
from lilliput.model.transformer import Model
from lilliput.objectives.classify import Classify
from lilliput.objectives.entities import tags_of
from lilliput.objectives.masked import Masked
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.objectives.reward import RewardConfig
from lilliput.objectives.tag import Tag
from tests.cli.conftest import TINY, Command
from tests.model.families import config, stir

TEXTS = ["the cat sat on a mat and saw one dog, who ran to the red ball"] * 20
TOKENIZER = Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=300), ("mask",))


def folder(place: Path, objective: ObjectiveConfig, family: str = "bert", head: Head | None = None) -> str:
    model = stir(Model(config(family, vocab_size=TOKENIZER.vocab_size)))
    extra = {"objective": objective.fitted(model.config).model_dump(mode="json")}
    to_huggingface(model, place, **TOKENIZER.marks, extra=extra, head=head)
    TOKENIZER.save(place, model.config.context_length)
    return str(place)


def shape(family: str = "bert"):
    return config(family, vocab_size=TOKENIZER.vocab_size)


def run_next(out: str, command: Command) -> list[str]:
    """The commands that a run prints as next, each of which works."""
    lines = out.splitlines()
    found = [line.strip() for line in lines[lines.index("next:") + 1 :] if line.strip()]
    for line in found:
        again = command(*shlex.split(line)[1:])
        assert again.code == 0, f"{line}\n{again.err}"
    return found


def test_masks_are_filled_in(tmp_path: Path, command: Command) -> None:
    place = folder(tmp_path / "model", Masked())
    report = json.loads(command("fill", place, "the [MASK] sat on ___ mat", "--top", "2", "--json").out)
    assert report.keys() == {"model", "text", "masks", "filled"}
    assert [len(mask["tokens"]) for mask in report["masks"]] == [2, 2]
    shown = command("fill", place, "the [MASK] sat on ___ mat").out.splitlines()
    assert shown[0] == report["filled"]
    assert shown[1].startswith(f"mask 1: {report['masks'][0]['tokens'][0]['token'].strip()}")
    assert shown[2].startswith("mask 2: ")
    refused = command("fill", place, "the cat")
    assert (refused.code, refused.out) == (2, "")
    assert "holds no mask" in refused.err


def test_vectors_are_printed_and_written(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    place, texts = folder(tmp_path / "model", Masked()), ["the cat", "a red ball", "the cat sat"]
    report = json.loads(command("embed", place, *texts, "--json").out)
    assert report["texts"] == texts
    assert np.array(report["vectors"]).shape == (3, report["dimensions"]) == (3, 48)
    Path("texts.txt").write_text("\n".join(texts))
    for out in ("vectors.npy", "vectors.safetensors"):
        done = json.loads(command("embed", place, "--file", "texts.txt", "--out", out, "--json").out)
        assert (done["file"], "vectors" in done) == (out, False)
        found = np.load(out) if out.endswith("npy") else load_file(out)["embeddings"]
        np.testing.assert_allclose(found, report["vectors"], atol=1e-6)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(texts)))
    shown = command("embed", place).out.splitlines()
    assert len(shown) == 3
    assert all("  ~  " in line for line in shown)
    assert command("embed", place, "the cat").out.startswith("48 numbers: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "model", "texts.txt", "vectors.npy", "vectors.safetensors",
    ]  # fmt: skip


def test_neighbours_are_printed(tmp_path: Path, command: Command) -> None:
    place = folder(tmp_path / "model", Masked())
    words = ("embed", place, "the cat", "a red ball", "the cat sat", "--near", "the cat", "--top", "2")
    report = json.loads(command(*words, "--json").out)
    assert report["near"] == "the cat"
    assert report["neighbours"][0]["number"] == 0
    shown = command(*words).out.splitlines()
    assert len(shown) == 2
    assert shown[0].endswith("  the cat")


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (("--out", "a.txt"), "a.txt is no file for vectors"),
        (("--out", "none/a.npy"), "there is no folder"),
        (("--out", "a.npy", "--near", "sun"), "leave one of them out"),
        (("--near", "sun", "--top", "0"), "--top 0 lists no text"),
        (("--file", "none.txt"), "not both"),
    ],
)
def test_what_cannot_be_embedded_is_named(
    words: tuple[str, ...], printed: str, tmp_path: Path, command: Command
) -> None:
    place = folder(tmp_path / "model", Masked())
    result = command("embed", place, "the cat", *words)
    assert result.code == 2
    assert printed in result.err


def test_entities_are_printed(tmp_path: Path, command: Command) -> None:
    labels = ("pet", "toy")
    head = stir(Head(shape(), 5, labels=tags_of(labels), each=True))
    place = folder(tmp_path / "model", Tag(labels=labels), head=head)
    text = "the cat saw a red ball, and a dog!"
    (row,) = json.loads(command("score", place, text, "--json").out)["scores"]
    assert row["entities"]
    for one in row["entities"]:
        assert one["type"] in labels
        assert text[one["start"] : one["stop"]] == one["text"]
    shown = command("score", place, text).out
    assert shown.startswith(f"{row['entities'][0]['type']}: {row['entities'][0]['text']}")
    with torch.no_grad():
        head.score.bias[0] = 99.0
    place = folder(tmp_path / "none", Tag(labels=labels), head=head)
    assert command("score", place, text).out.startswith("no entity  the cat")
    assert "leave --prompt and --pair out" in command("score", place, text, "--pair", "a dog").err


@pytest.mark.parametrize("labels", [("NOUN", "VERB"), ("O", "S-pet"), ("O", "B-pet", "I-pet", "B-toy", "I-toy")])
def test_a_tagger_of_others_is_read_where_its_tags_are_those_of_entities(
    labels: tuple[str, ...], tmp_path: Path, command: Command
) -> None:
    place = folder(
        tmp_path / "model", Tag(labels=labels), head=stir(Head(shape(), len(labels), labels=labels, each=True))
    )
    path = tmp_path / "model" / "config.json"
    raw = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in raw.items() if key != "lilliput"}))
    result = command("score", place, "the cat saw a red ball")
    if len(labels) == 5:
        assert result.code == 0, result.err
    else:
        assert result.code == 2
        assert f"the head has the tags {', '.join(label for label in labels if label != 'O')}" in result.err


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_the_second_text_of_a_pair_is_read(family: str, tmp_path: Path, command: Command) -> None:
    transformers = pytest.importorskip("transformers")
    head = stir(Head(shape(family), 2, labels=("no", "yes")))
    place = folder(tmp_path / "model", Classify(labels=("no", "yes")), family, head)
    (row,) = json.loads(command("score", place, "the cat sat", "--pair", "a dog ran", "--json").out)["scores"]
    first = [TOKENIZER.bos_id, *TOKENIZER.encode("the cat sat"), TOKENIZER.eos_id]
    second = [*TOKENIZER.encode("a dog ran"), TOKENIZER.eos_id]
    types = {"token_type_ids": torch.tensor([[0] * len(first) + [1] * len(second)])} if family == "bert" else {}
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(place, dtype=torch.float32).eval()
    with torch.no_grad():
        shares = theirs(torch.tensor([[*first, *second]]), **types).logits[0].softmax(-1).tolist()
    assert list(row["probabilities"].values()) == pytest.approx(shares, abs=1e-5)
    reward = folder(tmp_path / "reward", RewardConfig(), "story", Head(shape("story"), 1))
    assert "leave --pair out" in command("score", reward, "sun", "--pair", "rain").err


def test_an_encoder_learns_classes_and_tags(tmp_path: Path, command: Command) -> None:
    """From a masked run on: both folders are those of transformers' classes, and are scored and evaluated."""
    small = [word for word in TINY if not word.startswith("model.")]
    size = [
        "model.style=bert_1.4m",
        "model.d_model=32",
        "model.n_layers=1",
        "model.n_heads=2",
        "model.context_length=64",
    ]
    world = "data.sources=[{kind: story, stories: 60}]"
    done = command("train", "masked", *small, *size, "model.d_mlp=64", world)
    assert done.code == 0, done.err
    assert [line.split()[1] for line in run_next(done.out, command)] == ["fill", "embed", "report"]
    fresh = [word for word in small if not word.startswith("tokenizer.")]
    rows = [{"sentence1": f"the cat sat {n}", "sentence2": "a dog", "label": n % 2} for n in range(60)]
    Path("pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    more = ("--data", "pairs.jsonl", "--name", "c", "objective.labels=[unlike,like]")
    done = command("train", "classify", "--from", "masked", *fresh, *more)
    assert done.code == 0, done.err
    assert [line.split()[1] for line in run_next(done.out, command)] == ["score", "evaluate", "report"]
    assert "unlike" in command("score", "c", "the cat", "--pair", "a dog").out
    roles = "data.sources=[{kind: story_roles, stories: 60}]"
    done = command("train", "tag", "--from", "masked", *fresh, roles, "--name", "t")
    assert done.code == 0, done.err
    summary = json.loads(Path("runs/t/summary.json").read_text())
    assert summary["baselines"].keys() == {"all O", "word dictionary"}
    assert summary["val_error"] == pytest.approx(1 - summary["val_f1"])
    found = json.loads(command("evaluate", "t", "--json").out)
    assert found["val_f1"] == pytest.approx(summary["val_f1"])
    for name, architecture in (("c", "BertForSequenceClassification"), ("t", "BertForTokenClassification")):
        (folder_,) = sorted(Path(f"runs/{name}/checkpoints").glob("step-*/model"))[-1:]
        assert json.loads((folder_ / "config.json").read_text())["architectures"] == [architecture]

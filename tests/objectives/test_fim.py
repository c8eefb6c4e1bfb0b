"""The objective fim: which documents are cut, where and in what order; its prompt; its figures; a whole run."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lilliput import api
from lilliput.assembly.assembly import dataset
from lilliput.assembly.recipe import load
from lilliput.base.errors import ConfigError, DataError
from lilliput.data import dataset as data
from lilliput.data.config import TokenizerConfig
from lilliput.data.document import Document, Tokens
from lilliput.data.rows import Encoded
from lilliput.data.tokenizer import Tokenizer
from lilliput.objectives.accepted import encode_to_score
from lilliput.objectives.causal import Causal
from lilliput.objectives.fim import Fim
from lilliput.objectives.infilling import Order, arranged, parts_of
from lilliput.objectives.workshop import Workshop
from tests.cli.conftest import TINY, write_tales

TEXTS = [
    f"Day {n} of {n * 7919}: Tom and {n % 17} dogs saw a ball. They were happy, and it was good." for n in range(900)
]
DOCUMENTS = [Document(text, str(n)) for n, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=330))


def ids_of(rows: list[Encoded]) -> list[list[int]]:
    return [list(map(int, row.ids)) for row in rows]


def text_of(ids: list[int], tokenizer: Tokenizer) -> str:
    """The document of a row, by the special tokens in it."""
    special = tokenizer.specials
    before, after, middle = (special[f"fim_{name}"] for name in ("prefix", "suffix", "middle"))
    assert (ids[0], ids[-1]) == (special["bos"], special["eos"])
    inside = ids[1:-1]
    if inside[0] != before:
        assert not {before, after, middle} & set(inside)
        return tokenizer.decode(inside)
    first, rest = inside[1 : inside.index(after)], inside[inside.index(after) + 1 :]
    second, third = rest[: rest.index(middle)], rest[rest.index(middle) + 1 :]
    # Either order gives the text by the same rule: in SPM nothing stands between the first two marks.
    return "".join(tokenizer.decode(part, continuing=True) for part in (first, third, second))


def test_every_rearranged_document_is_the_document_again(tokenizer: Tokenizer) -> None:
    rows = ids_of(Fim(rate=1).encode(DOCUMENTS, tokenizer))
    assert [text_of(ids, tokenizer) for ids in rows] == TEXTS
    assert all(ids[1] == tokenizer.specials["fim_prefix"] for ids in rows)


@pytest.mark.parametrize(("rate", "spm"), [(0.5, 0.5), (0.9, 0.2), (0.2, 0.0)])
def test_the_shares_are_those_of_the_config(tokenizer: Tokenizer, rate: float, spm: float) -> None:
    rows = ids_of(Fim(rate=rate, spm=spm).encode(DOCUMENTS, tokenizer))
    special = tokenizer.specials
    cut = [ids for ids in rows if ids[1] == special["fim_prefix"]]
    suffix_first = sum(ids[2] == special["fim_suffix"] and cut_prefix(ids, special) for ids in cut)
    assert len(cut) / len(rows) == pytest.approx(rate, abs=0.06)
    assert suffix_first / len(cut) == pytest.approx(spm, abs=0.08)


def cut_prefix(ids: list[int], special: dict[str, int]) -> bool:
    """Whether a prefix stands behind the last mark, so that the order is SPM. Without a prefix both orders are one."""
    return ids.index(special["fim_middle"]) + 1 < len(ids) - 1


def test_cuts_are_between_any_two_characters_and_do_not_follow_tokens(tokenizer: Tokenizer) -> None:
    objective = Fim(rate=1)
    starts, stops, shares = Counter(), Counter(), []
    for text in TEXTS:
        found = objective.cut(text)
        assert found is not None
        pieces, _ = found
        assert pieces.prefix + pieces.middle + pieces.suffix == text
        starts[len(pieces.prefix) % 10] += 1
        stops[len(pieces.suffix) % 10] += 1
        shares.append(len(pieces.middle) / len(text))
    assert min(starts.values()) > 45  # 90 each, where all places are equally likely
    assert min(stops.values()) > 45
    assert np.mean(shares) == pytest.approx(1 / 3, abs=0.03)
    inside = sum(pieces.prefix[-1:].isalpha() and pieces.middle[:1].isalpha() for pieces, _ in map(cut_of, TEXTS))
    assert inside > 300  # words are cut, too


def cut_of(text: str):
    found = Fim(rate=1).cut(text)
    assert found is not None
    return found


def test_the_choice_depends_on_the_seed_and_the_text_alone(tokenizer: Tokenizer) -> None:
    whole = ids_of(Fim().encode(DOCUMENTS, tokenizer))
    turned = ids_of(Fim().encode([Document(text, "other id") for text in reversed(TEXTS)], tokenizer))
    assert whole == turned[::-1]
    assert whole == [ids for document in DOCUMENTS for ids in ids_of(Fim().encode([document], tokenizer))]
    other = ids_of(Fim(seed=1).encode(DOCUMENTS, tokenizer))
    assert sum(one != two for one, two in zip(whole, other, strict=True)) > 500
    # A higher rate only adds documents, and a document that was cut before is cut as before.
    more = ids_of(Fim(rate=0.9).encode(DOCUMENTS, tokenizer))
    assert all(one == two for one, two in zip(whole, more, strict=True) if one[1] == tokenizer.specials["fim_prefix"])


def test_all_is_learned_but_the_beginning_and_the_prefix_token(tokenizer: Tokenizer) -> None:
    rows = Fim().encode(DOCUMENTS[:40], tokenizer)
    for row in rows:
        cut = row.ids[1] == tokenizer.specials["fim_prefix"]
        assert row.learn == ([(2, len(row.ids))] if cut else None)
    assert len({row.learn is None for row in rows}) == 2


def test_documents_to_score_are_read_from_left_to_right(tokenizer: Tokenizer) -> None:
    plain = ids_of(Causal().encode(DOCUMENTS, tokenizer))
    assert ids_of(Fim(rate=1).encode_held_out(DOCUMENTS, tokenizer)) == plain
    assert ids_of(encode_to_score(Fim(rate=1), DOCUMENTS, tokenizer)) == plain  # type: ignore[arg-type]


def test_tokens_of_a_source_are_kept_where_a_document_stays_and_cut_by_their_text_elsewhere(
    tokenizer: Tokenizer,
) -> None:
    letters = [tokenizer.encode(character)[0] for character in TEXTS[0]]  # an unusual cut into tokens
    document = Document(TEXTS[0], "a", tokens=Tokens(np.array(letters, np.uint32), tokenizer, len(TEXTS[0])))
    (cut,) = Fim(rate=1).encode([document], tokenizer)
    pieces, order = cut_of(TEXTS[0])
    (parts,) = parts_of([pieces], tokenizer)
    assert list(cut.ids) == arranged(parts, order, tokenizer).tolist()
    (whole,) = Fim().encode_held_out([document], tokenizer)
    assert list(whole.ids)[1:-1] == letters


@pytest.mark.parametrize(("spm", "order"), [(0.5, "spm"), (1, "spm"), (0.4, "psm")])
def test_prompts_are_those_of_training(tokenizer: Tokenizer, spm: float, order: Order) -> None:
    objective, special = Fim(spm=spm), tokenizer.specials
    assert objective.asked == order
    assert objective.prompt(tokenizer, "Day 1", None) == Causal().prompt(tokenizer, "Day 1", None)
    pieces, _ = cut_of(TEXTS[0])
    (parts,) = parts_of([pieces], tokenizer)
    row = arranged(parts, order, tokenizer).tolist()
    prompt = objective.prompt(tokenizer, pieces.prefix, pieces.suffix)
    assert prompt.ids == row[: len(row) - 1 - len(parts.middle)]
    assert objective.text_of(tokenizer, pieces.prefix, pieces.suffix, parts.middle.tolist()) == TEXTS[0]
    empty = objective.prompt(tokenizer, None, "")
    marks = [special[f"fim_{name}"] for name in ("prefix", "suffix", "middle")]
    assert empty.ids == [special["bos"], *marks]


@pytest.mark.parametrize("kind", ["bpe", "sentencepiece"])
@pytest.mark.parametrize(("prefix", "suffix"), [("Tom", " dogs"), ("", " dogs"), (None, ""), ("Tom", None)])
def test_a_reader_gives_the_middle_piece_by_piece(kind: str, prefix: str | None, suffix: str | None) -> None:
    tokenizer = Tokenizer.train(TEXTS[:200], TokenizerConfig(vocab_size=330, kind=kind))  # type: ignore[arg-type]
    objective, ids = Fim(), tokenizer.encode(" saw a ball ", continuing=True)
    reader = objective.reader(tokenizer, prefix, suffix)
    middle = "".join([*(reader.push(number) for number in ids), reader.flush()])
    assert (prefix or "") + middle + (suffix or "") == objective.text_of(tokenizer, prefix, suffix, ids)
    assert middle == " saw a ball "


def test_what_cannot_be_is_refused(tokenizer: Tokenizer) -> None:
    for wrong in ({"rate": 0}, {"rate": 1.1}, {"spm": 1.1}, {"spm": -0.1}, {"seed": -1}, {"middle": 1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Fim(**wrong)  # type: ignore[arg-type]
    without = Tokenizer(tokenizer.content.replace("<|fim_middle|>", "<|none|>"))
    with pytest.raises(ConfigError, match="no special token for fim_middle"):
        Fim().build(Workshop(without, None))  # type: ignore[arg-type]
    grown = Fim().equip(without)
    assert grown.specials["fim_middle"] == without.vocab_size
    assert grown.extends(without)
    assert Fim().equip(tokenizer) is tokenizer


def test_a_tokenizer_of_characters_is_refused(tmp_path: Path) -> None:
    import pickle

    characters = sorted(set("".join(TEXTS)))
    meta = {"vocab_size": len(characters), "stoi": {c: n for n, c in enumerate(characters)}}
    (tmp_path / "meta.pkl").write_bytes(pickle.dumps({**meta, "itos": dict(enumerate(characters))}))
    with pytest.raises(DataError, match="no special tokens") as caught:
        Fim().equip(Tokenizer.load(tmp_path / "meta.pkl"))
    assert "tokenizer.path" in str(caught.value.hint)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LILLIPUT_CACHE", str(tmp_path / "cache"))
    write_tales(tmp_path / "tales.txt")
    return tmp_path


OWN = [*TINY, "objective.kind=fim", "model.context_length=64"]


def documents_of(recipe, name: str) -> list[list[int]]:
    split = dataset(recipe, lambda text: None).split(name)
    return [split.document(number).tolist() for number in range(split.documents)]


def test_training_documents_are_rearranged_and_held_out_ones_are_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread or several, in batches of any size: the same tokens, under a key of the objective's values."""
    recipe, plain = load("story", OWN, data=["tales.txt"]), load("story", TINY, data=["tales.txt"])
    train, held = documents_of(recipe, "train"), documents_of(recipe, "validation")
    assert held == documents_of(plain, "validation")
    special = dataset(recipe, lambda text: None).tokenizer.specials
    marks = {special[f"fim_{name}"] for name in ("prefix", "suffix", "middle")}
    assert not marks & {number for ids in held for number in ids}
    share = sum(ids[1] == special["fim_prefix"] for ids in train) / len(train)
    assert 0.35 < share < 0.65
    split = dataset(recipe, lambda text: None).split("train")
    assert split.learned == sum(len(ids) - 1 - (ids[1] == special["fim_prefix"]) for ids in train)
    monkeypatch.setenv("LILLIPUT_CACHE", str(folder / "other cache"))
    monkeypatch.setattr(data, "BATCH_DOCUMENTS", 7)
    monkeypatch.setattr(data, "encoder_count", lambda: 3)
    assert documents_of(recipe, "train") == train
    assert documents_of(load("story", [*OWN, "seed=5"], data=["tales.txt"]), "train") == train
    assert documents_of(load("story", [*OWN, "objective.seed=5"], data=["tales.txt"]), "train") != train


def test_a_run_reports_its_middles(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lilliput.cli.train import print_results

    run = api.train("story", OWN, data=["tales.txt"], name="f", live=False)
    summary = run.summary
    names = ("val_middle_bits_per_byte", "val_middle_bits_per_byte_left_to_right")
    assert all(0 < summary[name] < 20 for name in names)
    assert all(0 <= summary[name] <= 1 for name in ("val_middle_words_exact", "val_middle_sentences_exact"))
    assert 1 < summary["val_middles"] <= 256
    assert summary["val_bits_per_byte"] == pytest.approx(api.evaluate(run.path).bits_per_byte, rel=0.2)
    assert math.isfinite(run.metrics[0]["val_middle_bits_per_byte"])
    assert "story" in summary
    report = run.folder.report.read_text()
    assert "middle bits per byte left to right" in report
    assert f"<dd>{summary['val_middles']}</dd>" in report
    folder = run.checkpoints[-1] / "model"
    kept = json.loads((folder / "config.json").read_text())["lilliput"]["objective"]
    assert kept == {"kind": "fim", "rate": 0.5, "spm": 0.5, "seed": 0}
    assert "--prefix" in (folder / "README.md").read_text()
    capsys.readouterr()
    print_results(run)
    printed = capsys.readouterr().out
    assert (
        f"middle      {summary[names[0]]:.3f} bits per byte given both sides, {summary[names[1]]:.3f} given" in printed
    )
    assert f"{summary['val_middle_words_exact']:.0%} of missing words" in printed


def test_a_causal_model_can_learn_it_later(folder: Path) -> None:
    api.train("story", [*TINY, "model.context_length=64"], data=["tales.txt"], name="base", live=False)
    run = api.train(
        "story", ["objective.kind=fim", "train.steps=4"], data=["tales.txt"], name="f", from_="base", live=False
    )
    assert run.summary["val_middle_bits_per_byte"] > 0
    assert run.summary["old_domain"]["name"] == "base"
    text = run.generate(prefix="One day Tom", suffix=" was happy.", max_tokens=4)
    assert text.startswith("One day Tom")
    assert text.endswith(" was happy.")

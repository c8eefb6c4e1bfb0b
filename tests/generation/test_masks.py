"""`lilliput fill`: the tokens at masks, equal to transformers' own; how a mask is written; what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers as backend
import torch
from tokenizers import decoders, models, pre_tokenizers

from lilliput import api
from lilliput.base.errors import ConfigError
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.masks import fill
from lilliput.model.huggingface import from_huggingface, to_huggingface
from lilliput.model.sight import BOTH
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal
from lilliput.objectives.classify import Classify
from lilliput.objectives.fim import Fim
from lilliput.objectives.hybrid import Hybrid
from lilliput.objectives.masked import Masked
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.objectives.span import Span
from tests.model.families import config, stir

TEXTS = ["the cat sat on a mat and saw one dog, who ran to the red ball"] * 20
TEXT = "the cat [MASK] on a ___, who ran"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=300), ("mask",))


def folder(place: Path, tokenizer: Tokenizer, family: str = "bert", objective: ObjectiveConfig | None = None) -> Path:
    model = stir(Model(config(family, vocab_size=tokenizer.vocab_size)))
    extra = {"objective": (objective or Masked()).model_dump(mode="json")}
    to_huggingface(model, place, **tokenizer.marks, extra=extra)
    tokenizer.save(place, model.config.context_length)
    return place


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_the_tokens_are_those_of_transformers(family: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    transformers = pytest.importorskip("transformers")
    place = folder(tmp_path, tokenizer, family)
    found = fill(place, TEXT, top=4)
    mask = tokenizer.specials["mask"]
    ids = [tokenizer.bos_id, *tokenizer.encode("the cat"), mask, *tokenizer.encode(" on a"), mask]
    ids += [*tokenizer.encode(", who ran"), tokenizer.eos_id]
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(place, dtype=torch.float32).eval()
    with torch.no_grad():
        shares = theirs(torch.tensor([ids])).logits[0].softmax(-1)
    special = set(tokenizer.specials.values())
    for place_, listed in zip([i for i, number in enumerate(ids) if number == mask], found["masks"], strict=True):
        order = [number for number in shares[place_].argsort(descending=True).tolist() if number not in special][:4]
        assert [each["token"] for each in listed["tokens"]] == [tokenizer.decode([n], continuing=True) for n in order]
        probabilities = [each["probability"] for each in listed["tokens"]]
        assert probabilities == pytest.approx(shares[place_][order].tolist(), abs=1e-5)
    first, second = (listed["tokens"][0]["token"] for listed in found["masks"])
    assert found["filled"] == f"the cat{first} on a{second}, who ran"


@pytest.mark.parametrize("spelled", ["[MASK]", "<mask>", "<|mask|>", "___", "_____"])
def test_a_mask_is_written_in_several_ways(spelled: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    place = folder(tmp_path, tokenizer)
    expected = fill(place, "the [MASK] sat", top=3)
    assert fill(place, f"the {spelled} sat", top=3)["masks"] == expected["masks"]
    with pytest.raises(ConfigError, match="holds no mask"):
        fill(place, "snake_case and __init__")


def test_a_mask_at_the_beginning_and_a_tokenizer_with_marks_for_spaces(tmp_path: Path) -> None:
    marked = Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=400, kind="sentencepiece"), ("mask",))
    found = fill(folder(tmp_path, marked), "[MASK] sat on a mat")
    assert found["filled"].endswith(" sat on a mat")
    assert not found["filled"].startswith(" ")


def test_words_of_a_tokenizer_without_spaces_in_its_tokens(tmp_path: Path) -> None:
    """WordPiece, as BERT's: a space before a mask stays where it is."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "##s", "sat", "on", "!"]
    pieces = backend.Tokenizer(models.WordPiece({name: place for place, name in enumerate(names)}, unk_token="[UNK]"))
    pieces.pre_tokenizer, pieces.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    pieces.add_special_tokens(names[:5])
    tokenizer = Tokenizer(pieces.to_str())
    assert tokenizer.kind == "other"
    model = stir(Model(config("bert", vocab_size=len(names))))
    with torch.no_grad():
        model.unembed_bias[names.index("dog")] += 99
    to_huggingface(model, tmp_path, **tokenizer.marks, extra={"objective": "masked"})
    tokenizer.save(tmp_path, 24)
    found = fill(tmp_path, "the [MASK] sat on the ___!")
    assert found["filled"] == "the dog sat on the dog!"
    assert found["masks"][0]["tokens"][0]["token"] == "dog"


def test_other_models_are_refused_with_the_line_to_type(tmp_path: Path, tokenizer: Tokenizer) -> None:
    cases: list[tuple[str, ObjectiveConfig, str, str]] = [
        ("story", Causal(), "is a decoder", "lilliput generate RUN --prefix 'the cat ' --suffix ', who ran'"),
        ("story", Fim(), "is a decoder", f"lilliput generate {tmp_path / '1'} --prefix 'the cat '"),
        ("t5", Span(), "generates texts and fills in no masks", f"lilliput generate {tmp_path / '2'} 'the cat ___"),
        ("bert", Classify(labels=("a", "b")), "no longer to fill in masks", "init.from"),
    ]
    for number, (family, objective, message, hint) in enumerate(cases):
        with pytest.raises(ConfigError, match=message) as no:
            fill(folder(tmp_path / str(number), tokenizer, family, objective), TEXT)
        assert hint in str(no.value.hint)
    place = folder(tmp_path / "model", tokenizer)
    with pytest.raises(ConfigError, match="and the context of the model 24"):
        fill(place, f"{TEXTS[0]} {TEXTS[0]} [MASK]")
    with pytest.raises(ConfigError, match="--top 0"):
        fill(place, TEXT, top=0)
    plain = Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=300))
    with pytest.raises(ConfigError, match="has no mask token"):
        fill(folder(tmp_path / "plain", plain), TEXT)


def test_a_folder_of_others_fills_in_masks(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """An encoder's folder that names no objective was trained to fill in masks."""
    place = folder(tmp_path, tokenizer)
    expected = fill(place, TEXT)
    raw: dict[str, Any] = json.loads((place / "config.json").read_text())
    del raw["lilliput"]
    (place / "config.json").write_text(json.dumps(raw))
    found = api.fill(place, TEXT)
    assert found["filled"] == expected["filled"]


def test_a_hybrid_predicts_a_hidden_token_one_place_before_it(tmp_path: Path, tokenizer: Tokenizer) -> None:
    place = folder(tmp_path, tokenizer, "story", Hybrid())
    listed = fill(place, "the cat [MASK] on", top=4)["masks"][0]["tokens"]
    model = from_huggingface(place).eval()
    before = [tokenizer.bos_id, *tokenizer.encode("the cat")]
    after = tokenizer.encode(" on", continuing=True)
    ids = torch.tensor([[*before, tokenizer.specials["mask"], *after, tokenizer.eos_id]])
    with torch.no_grad():
        shares = model.logits(model(ids, BOTH)[0, len(before) - 1])[: tokenizer.vocab_size].softmax(-1)
    special = set(tokenizer.specials.values())
    order = [number for number in shares.argsort(descending=True).tolist() if number not in special][:4]
    assert [each["token"] for each in listed] == [tokenizer.decode([number], continuing=True) for number in order]
    assert [each["probability"] for each in listed] == pytest.approx(shares[order].tolist(), abs=1e-5)

"""`lilliput embed`: vectors equal to mean pooling over transformers' hidden states, whatever stands beside a text."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lilliput.base.errors import ConfigError
from lilliput.generation import vectors
from lilliput.generation.vectors import cosines, embed, neighbours
from lilliput.model.huggingface import to_huggingface
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal
from lilliput.objectives.masked import Masked
from lilliput.objectives.objective import ObjectiveConfig
from lilliput.objectives.reversed import Reversed
from tests.model.families import FAMILIES, config, stir
from tests.objectives.teaching import TOKENIZER

TEXTS = ["a red ball", "the cat and the dog sat on a mat", "sun", "one bird sang to the cat of rain"]
KINDS = ["bert", "modernbert", "own_encoder", "story", "gpt2", "own_gated_delta"]


def folder(place: Path, family: str, objective: ObjectiveConfig | None = None) -> Path:
    model = stir(Model(config(family, vocab_size=TOKENIZER.vocab_size)))
    encoder = not model.config.causal
    kept = objective or (Masked() if encoder else Causal())
    to_huggingface(model, place, **TOKENIZER.marks, extra={"objective": kept.model_dump(mode="json")})
    TOKENIZER.save(place, model.config.context_length)
    return place


@pytest.mark.parametrize("family", KINDS)
def test_a_text_alone_has_the_vector_that_it_has_beside_others(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder(tmp_path, family)
    together = embed(place, TEXTS)
    assert together.shape == (4, 48)
    assert together.dtype == np.float32
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(embed(place, [text])[0], vector, atol=1e-5)
    monkeypatch.setattr(vectors, "BATCH_TOKENS", 16)
    np.testing.assert_allclose(embed(place, TEXTS), together, atol=1e-5)


@pytest.mark.parametrize("family", [family for family in KINDS if FAMILIES[family][0]])
def test_vectors_are_the_mean_pooling_of_sentence_transformers(family: str, tmp_path: Path) -> None:
    """As its Pooling module computes it: the hidden states of AutoModel, times the attention mask, over its sum."""
    transformers = pytest.importorskip("transformers")
    place = folder(tmp_path, family)
    rows = [[TOKENIZER.bos_id, *TOKENIZER.encode(text), TOKENIZER.eos_id] for text in TEXTS]
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[TOKENIZER.pad_id] * (width - len(row))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    theirs = transformers.AutoModel.from_pretrained(place, dtype=torch.float32).eval()
    with torch.no_grad():
        hidden = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
    expected = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    np.testing.assert_allclose(embed(place, TEXTS), expected.numpy(), atol=1e-4)


def test_a_model_that_reads_in_reverse_reads_a_text_in_reverse(tmp_path: Path) -> None:
    one = embed(folder(tmp_path / "a", "story", Reversed(by="word")), ["ball red a"])
    other = embed(folder(tmp_path / "b", "story"), ["a red ball"])
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_neighbours_are_ordered_by_their_cosine(tmp_path: Path) -> None:
    place = folder(tmp_path, "modernbert")
    found = neighbours(place, TEXTS, "the cat sat", top=3)
    both = embed(place, [*TEXTS, "the cat sat"]).astype(np.float64)
    unit = both / np.linalg.norm(both, axis=1, keepdims=True)
    likeness = unit[:-1] @ unit[-1]
    order = np.argsort(-likeness)[:3].tolist()
    assert [each["number"] for each in found] == order
    assert [each["text"] for each in found] == [TEXTS[number] for number in order]
    assert [each["similarity"] for each in found] == pytest.approx(likeness[order].tolist(), abs=1e-5)
    assert neighbours(place, TEXTS, TEXTS[2], top=1)[0]["similarity"] == pytest.approx(1, abs=1e-5)
    assert len(neighbours(place, TEXTS, "sun", top=99)) == 4
    assert cosines(np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[0.0, 2.0], [3.0, 0.0]])).tolist() == [[0, 0], [1, 0]]


def test_long_texts_are_cut_and_none_is_refused(tmp_path: Path) -> None:
    place, notes = folder(tmp_path, "bert"), list[str]()
    ids = [TOKENIZER.bos_id, *TOKENIZER.encode("a red ball " * 40)][:24]
    (vector,) = embed(place, ["a red ball " * 40], notify=notes.append)
    assert any("1 of 1 texts are longer than the context of 24 tokens" in note for note in notes)
    model = stir(Model(config("bert", vocab_size=TOKENIZER.vocab_size)))
    np.testing.assert_allclose(vector, vectors.means(model, [np.array(ids)])[0], atol=1e-6)
    with pytest.raises(ConfigError, match="no text to embed"):
        embed(place, [])
    with pytest.raises(ConfigError, match="--top 0"):
        neighbours(place, TEXTS, "sun", top=0)

"""The objective of tables: columns change places whole, values alone are learned, evaluation is the same each time."""

import numpy as np
import pytest

from lilliput.base.errors import ConfigError
from lilliput.base.seeds import generator
from lilliput.data.config import TokenizerConfig
from lilliput.data.rows import Rows
from lilliput.data.tokenizer import Tokenizer
from lilliput.data.tokenizer_training import with_tokens
from lilliput.model.config import ModelConfig
from lilliput.model.transformer import Model
from lilliput.objectives.table import Table, roles_of, shuffled
from lilliput.objectives.workshop import Workshop

OWN = ("<|=row|>", "<|a|>", "<|a=1|>", "<|b|>", "<|b=1|>", "<|b=2: 7|>", "<|c|>", "<|c=x~y|>", "<|c~Monday|>")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    plain = Tokenizer.train(["a"], TokenizerConfig(vocab_size=264))
    return Tokenizer(with_tokens(plain.content, OWN))


def ids_of(tokenizer: Tokenizer, words: str) -> list[int]:
    """Ids of words between blanks: [ ] . are marks, any other word is a token, with _ for a blank."""
    names = {"[": tokenizer.bos_id, "]": tokenizer.eos_id, ".": tokenizer.pad_id}
    found = (names.get(word) or tokenizer.special_id(f"<|{word.replace('_', ' ')}|>") for word in words.split(" "))
    return [number or 0 for number in found]


def test_roles_are_read_from_the_tokens(tokenizer: Tokenizer) -> None:
    marker, fixed, known = roles_of(tokenizer)
    spelled = [[tokenizer.token(number) for number in np.flatnonzero(each).tolist()] for each in (marker, fixed, known)]
    assert spelled[0] == ["<|a|>", "<|b|>", "<|c|>"]
    assert "<|=row|>" in spelled[1]
    assert "<|begin_of_text|>" in spelled[1]
    assert spelled[2] == ["<|c~Monday|>"]
    with pytest.raises(ConfigError, match="no tokens of a table's columns"):
        roles_of(Tokenizer.train(["a"], TokenizerConfig(vocab_size=264)))


def test_columns_change_places_whole_and_within_their_row(tokenizer: Tokenizer) -> None:
    marker, fixed, _ = roles_of(tokenizer)
    ids = ids_of(tokenizer, "[ a a=1 =row b b=1 b=2:_7 c c=x~y =row c c=x~y a a=1 ] [ b b=1 b=2:_7 a a=1 ] . .")
    tokens = np.array([ids] * 64)
    ends = [15, 22]
    segments = np.array([[0] * 15 + [1] * 7 + [-1] * (len(ids) - 22)] * 64)
    made = shuffled(tokens, segments, marker, fixed, generator(1))
    seen = {tuple(each) for each in made.tolist()}
    assert len(seen) > 3
    pairs = {"a": ["a=1"], "b": ["b=1", "b=2: 7"], "c": ["c=x~y"]}
    for each in seen:
        names = [tokenizer.token(number)[2:-2] for number in each]
        for mark in (0, 3, 9, 14, 15, 21, 22, 23):  # marks of rows and texts stay
            assert each[mark] == ids[mark]
        for start, stop in ((0, ends[0]), (ends[0], ends[1])):
            assert sorted(each[start:stop]) == sorted(ids[start:stop])
        for name, values in pairs.items():
            for place in (i for i, other in enumerate(names) if other == name):
                assert names[place + 1 : place + 1 + len(values)] == values


def test_values_and_marks_are_learned_and_names_are_not(tokenizer: Tokenizer) -> None:
    ids = ids_of(tokenizer, "[ =row a a=1 c c=x~y c~Monday ] .")
    model = Model(ModelConfig(d_model=16, n_layers=1, n_heads=2, vocab_size=tokenizer.vocab_size, context_length=8))
    objective = Table().build(Workshop(tokenizer, model))
    learn = np.array([[0.0] + [1.0] * 7 + [0.0]], np.float32)
    rows = Rows(np.array([ids]), learn, np.array([[0] * 8 + [-1]]))
    batch = objective.batch(rows, generator(1))
    learned = [tokenizer.token(number) for number in batch.targets[batch.weights > 0].tolist()]
    assert sorted(learned) == sorted(["<|=row|>", "<|a=1|>", "<|c=x~y|>", "<|end_of_text|>"])
    loss = objective.loss(batch)
    bits = float(loss.total.detach()) / np.log(2)
    assert float(loss.metrics["bits_per_row"]) / objective.weight(batch) == pytest.approx(bits, rel=1e-5)

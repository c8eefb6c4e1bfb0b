"""Pseudo-log-likelihoods: equal to hiding one token after another, whatever the batches are; what is cut or refused."""

import pytest
import torch

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.evaluation.scorer import score_pairs
from lilliput.model.transformer import Model
from tests.model.families import config, stir

TEXTS = ["the cat sat on a mat and saw one dog, who ran to the red ball"] * 20
PAIRS = [[("the cat", " sat on a mat"), ("the cat", " saw")], [("", "one dog ran to the red ball and sat")]]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=300), ("mask",))


def _model(family: str, context: int = 40) -> Model:
    return stir(Model(config(family, vocab_size=300, context_length=context)))


@pytest.mark.parametrize("family", ["bert", "modernbert", "own_encoder"])
@pytest.mark.parametrize("batch_tokens", [16384, 30])
def test_each_token_is_predicted_from_all_the_others(family: str, batch_tokens: int, tokenizer: Tokenizer) -> None:
    model, seen = _model(family), list[int]()
    found = score_pairs(model, tokenizer, PAIRS, batch_tokens, seen.append)
    assert sum(seen) == 2
    mask = tokenizer.specials["mask"]
    for group, scores in zip(PAIRS, found, strict=True):
        for (context, continuation), score in zip(group, scores, strict=True):
            before = tokenizer.encode(context) if context else []
            ids = [tokenizer.bos_id, *tokenizer.encode(context + continuation), tokenizer.eos_id]
            places = range(1 + len(before), len(ids) - 1)
            logs, best = 0.0, True
            for place in places:
                hidden = torch.tensor([[*ids[:place], mask, *ids[place + 1 :]]])
                with torch.no_grad():
                    row = model.logits(model(hidden))[0, place].log_softmax(-1)
                logs, best = logs + float(row[ids[place]]), best and int(row.argmax()) == ids[place]
            assert score.tokens == len(places)
            assert score.log_probability == pytest.approx(logs, abs=1e-3)
            assert score.greedy == best
            assert not score.cut


def test_a_long_text_loses_its_beginning(tokenizer: Tokenizer) -> None:
    model = _model("bert", context=8)
    ((short,),) = score_pairs(model, tokenizer, [[("the cat sat on a mat", " and saw")]])
    assert short.cut
    assert short.tokens == len(tokenizer.encode("the cat sat on a mat and saw")) - len(
        tokenizer.encode("the cat sat on a mat")
    )


def test_what_cannot_be_scored_is_named(tokenizer: Tokenizer) -> None:
    plain = Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=300))
    with pytest.raises(ConfigError, match="no mask token"):
        score_pairs(_model("bert"), plain, PAIRS)
    with pytest.raises(DataError, match="nothing to score"):
        score_pairs(_model("bert"), tokenizer, [[("the cat", "")]])

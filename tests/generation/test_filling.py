"""Filling in the middle: a model that knows a text gives its missing words, in every way of generating, and stops."""

from pathlib import Path
from typing import Any

import pytest

import lilliput
from lilliput.base.errors import ConfigError
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.constrained import Constraint
from lilliput.generation.run import Run
from lilliput.generation.text_generator import TextGenerator
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal
from lilliput.objectives.fim import Fim
from lilliput.objectives.reversed import Reversed
from tests.fillings import TEXT, WORDS

GREEDY: dict[str, Any] = {"temperature": 0.0, "max_tokens": 20}
MIDDLE = WORDS[7]
SIDES = {"prefix": MIDDLE.prefix, "suffix": MIDDLE.suffix}


def test_every_missing_word_is_filled_in_and_the_model_stops(filler: TextGenerator) -> None:
    for each in WORDS:
        (text,) = filler.generate(prefix=each.prefix, suffix=each.suffix, **GREEDY)
        assert text == TEXT
        (detailed,) = filler.generate_detailed(each.prefix, each.suffix, **GREEDY)
        assert (detailed.text, detailed.finish) == (each.middle, "stop")
        assert detailed.tokens[-1].id == filler.tokenizer.eos_id


def test_the_same_model_reads_from_left_to_right_as_before(filler: TextGenerator) -> None:
    (text,) = filler.generate("Once upon", temperature=0.0, max_tokens=80)
    assert text == TEXT
    assert "".join(filler.stream("Once upon", temperature=0.0, max_tokens=80)) == TEXT.removeprefix("Once upon")
    assert filler.generate_batch(["Once upon"], temperature=0.0, max_tokens=80) == [TEXT]


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 1},
        {"top_p": 1e-6},
        {"min_p": 1.0},
        {"temperature": 0.0},
        {"temperature": 0.1, "repetition_penalty": 1.01},
    ],
    ids=lambda options: " ".join(options),
)
def test_every_way_of_drawing_fills_in(filler: TextGenerator, options: dict[str, Any]) -> None:
    assert filler.generate(**SIDES, max_tokens=20, n=2, seed=4, **options) == [TEXT, TEXT]


def test_draws_follow_the_seed(filler: TextGenerator) -> None:
    def texts(seed: int) -> list[str]:
        return filler.generate(**SIDES, temperature=2.0, n=4, seed=seed, max_tokens=6)

    assert texts(1) == texts(1)
    assert len(set(texts(1))) > 1
    assert all(text.startswith(MIDDLE.prefix) and text.endswith(MIDDLE.suffix) for text in texts(1))


def test_other_ways_of_generating_give_the_same(filler: TextGenerator) -> None:
    sides = MIDDLE.prefix, MIDDLE.suffix
    assert MIDDLE.prefix + "".join(filler.stream(*sides, **GREEDY)) + MIDDLE.suffix == TEXT
    assert filler.search(*sides, beams=2, max_tokens=20)[0][0] == TEXT
    ((text, _),) = filler.speculate(filler, *sides, **GREEDY)
    assert text == TEXT


def test_stop_strings_and_limits_are_of_the_middle_alone(filler: TextGenerator) -> None:
    last = MIDDLE.middle[-2:]
    (text,) = filler.generate(**SIDES, stop=[last], **GREEDY)
    assert text == MIDDLE.prefix + MIDDLE.middle[:-2] + MIDDLE.suffix
    # A string of the prefix or the suffix stops nothing.
    assert filler.generate(**SIDES, stop=["Once", "home"], **GREEDY) == [TEXT]
    (cut,) = filler.generate_detailed(MIDDLE.prefix, MIDDLE.suffix, temperature=0.0, max_tokens=1)
    assert cut.finish == "length"
    assert filler.whole(cut, MIDDLE.prefix, MIDDLE.suffix) == MIDDLE.prefix + cut.text + MIDDLE.suffix


def test_a_constraint_is_of_the_middle_alone(filler: TextGenerator) -> None:
    pytest.importorskip("llguidance")
    choices = Constraint.choice([" green", " blue"], filler.tokenizer)
    (text,) = filler.generate(**SIDES, constraint=choices, **GREEDY)
    assert text in [MIDDLE.prefix + colour + MIDDLE.suffix for colour in (" green", " blue")]


def test_a_side_may_be_empty(filler: TextGenerator) -> None:
    (text,) = filler.generate(suffix=TEXT[4:], temperature=0.0, max_tokens=3)
    assert text.endswith(TEXT[4:])
    (text,) = filler.generate(prefix=TEXT, suffix="", temperature=0.0, max_tokens=3)
    assert text.startswith(TEXT)


def test_a_middle_that_begins_a_sentencepiece_text_keeps_its_space(model: Model) -> None:
    from lilliput.data.config import TokenizerConfig

    tokenizer = Tokenizer.train([TEXT] * 9, TokenizerConfig(vocab_size=280, kind="sentencepiece"))
    made = TextGenerator(model, tokenizer, Fim())
    found = made.generate_detailed("", " home.", temperature=2.0, n=128, max_tokens=2)
    assert any(each.text.startswith(" ") for each in found)
    for each in found:
        assert each.text == tokenizer.decode(each.ids, continuing=True)
        assert made.whole(each, "", " home.") == Fim().text_of(tokenizer, "", " home.", each.ids)


def test_short_forms_fill_in(filler_folder: Path) -> None:
    assert lilliput.generate(filler_folder, **SIDES, **GREEDY) == [TEXT]
    assert Run(filler_folder).generate(**SIDES, **GREEDY) == TEXT


def test_what_cannot_be_is_refused_with_what_to_type(filler: TextGenerator, model: Model, tokenizer: Tokenizer) -> None:
    for objective in (Causal(), Reversed()):
        other = TextGenerator(model, tokenizer, objective)
        with pytest.raises(ConfigError, match=rf"'{objective.kind}', which fills in no middle") as caught:
            other.generate(**SIDES)
        assert caught.value.hint == "train one that does: lilliput train story objective.kind=fim"
    for given in ({"opening": "Once"}, {"ending": "home."}, {"opening": ""}):
        with pytest.raises(ConfigError, match="cannot be used together with a prompt or an ending") as caught:
            filler.generate(**given, **SIDES)
        assert "--prefix" in str(caught.value.hint)
    with pytest.raises(ConfigError, match="a prefix needs a suffix") as caught:
        filler.generate(prefix="Once")
    assert "--suffix" in str(caught.value.hint)
    with pytest.raises(ConfigError, match="a window would drop"):
        filler.generate(**SIDES, window=True)
    with pytest.raises(ConfigError, match="context"):
        filler.generate(prefix=TEXT * 9, suffix=TEXT)


def test_a_middle_stops_where_it_goes_on_as_the_suffix_does(filler: TextGenerator) -> None:
    assert Fim().stops(" saw a red ball.") == (" saw a red ball.",)
    assert Fim().stops(" saw a red ball. It was his.") == (" saw a red ball.",)
    assert Fim().stops(" saw a ball.") == ()
    prefix, suffix = "Once upon a time,", TEXT.partition("time, Tom")[2]
    # A model that does not end: it has to go on as the suffix does.
    limit = Constraint.regex(r" Tom saw a red ball\. It was his\.", filler.tokenizer)
    (found,) = filler.generate_detailed(prefix, suffix, temperature=0, max_tokens=60, constraint=limit)
    assert (found.text, found.finish) == (" Tom", "stop")
    (whole,) = filler.generate(prefix=prefix, suffix=suffix, temperature=0, max_tokens=60, constraint=limit)
    assert whole == TEXT

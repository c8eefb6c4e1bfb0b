import json
import re

import pytest
import torch

from lilliput.base.errors import ConfigError
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.engine import Engine, Request
from lilliput.decoding.sampling import SamplingConfig
from lilliput.model.config import resolve
from lilliput.model.transformer import Model

pytest.importorskip("llguidance")
from lilliput.decoding.constrained import Constraint

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "kind": {"enum": ["cat", "dog"]},
        "toys": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
    },
    "required": ["name", "age", "kind", "toys"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module", params=["bpe", "sentencepiece"])
def tokenizer(request):
    words = ["One day a cat called Tom met a dog.", '{"name": "Tom", "age": 3}', "0123456789 true false été"]
    return Tokenizer.train(words * 20, TokenizerConfig(kind=request.param, vocab_size=290))


@pytest.fixture(scope="module")
def model(tokenizer):
    # A few ids more than the tokenizer has, as padded vocabularies have.
    model = Model(resolve("story_1m", d_model=32, n_layers=1, vocab_size=tokenizer.vocab_size + 6), seed=0)
    with torch.no_grad():
        model.embed.weight.mul_(20)
    return model.eval()


def complete_in(model, tokenizer, constraint, count=6, **sampling):
    """Texts under a constraint with their finishes."""
    config = SamplingConfig(**{"temperature": 1.5, "max_tokens": 200, **sampling})
    engine = Engine(model, slots=4)
    stops = frozenset([tokenizer.eos_id])
    jobs = [
        engine.submit(Request((tokenizer.bos_id,), config, sample=k, stop_ids=stops, constraint=constraint))
        for k in range(count)
    ]
    ids = {job: [] for job in jobs}
    while not engine.idle:
        for job, token in engine.step():
            if token.id is not None and token.id not in stops:
                ids[job].append(token.id)
    return [(tokenizer.decode(ids[job], continuing=True), job.finish) for job in jobs]


def test_json_follows_its_schema(model, tokenizer):
    texts = complete_in(model, tokenizer, Constraint.json_schema(SCHEMA, tokenizer))
    assert len({text for text, _ in texts}) > 1
    for text, finish in texts:
        value = json.loads(text)
        assert finish == "stop"
        assert list(value) == ["name", "age", "kind", "toys"]
        assert len(value["name"]) <= 12
        assert 0 <= value["age"] <= 120
        assert value["kind"] in ("cat", "dog")
        assert all(isinstance(toy, bool) for toy in value["toys"])


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_a_regex_matches_the_whole_text(model, tokenizer, temperature):
    pattern = r"[0-9]{3}-(Tom|été){1,3}!?"
    for text, finish in complete_in(model, tokenizer, Constraint.regex(pattern, tokenizer), temperature=temperature):
        assert finish == "stop"
        assert re.fullmatch(pattern, text)


def test_a_choice_is_one_of_the_options_whatever_they_are_spelled_with(model, tokenizer):
    options = ["a", "ab", r"a.*[b]{2}(c|d)^$\n", "été <3 & ~#-\"'/", "two words\nand a line"]
    texts = complete_in(model, tokenizer, Constraint.choice(options, tokenizer), count=40)
    assert {text for text, _ in texts} <= set(options)
    assert len({text for text, _ in texts}) > 1
    for option in options:
        assert complete_in(model, tokenizer, Constraint.choice([option], tokenizer), count=1) == [(option, "stop")]


def test_a_text_cut_by_the_budget_is_reported(model, tokenizer):
    (texts,) = complete_in(model, tokenizer, Constraint.regex("[ab]{50}", tokenizer), count=1, max_tokens=5)
    assert texts[1] == "length"
    assert re.fullmatch("[ab]+", texts[0])
    whole = complete_in(model, tokenizer, Constraint.choice(["b"], tokenizer), count=1, max_tokens=1)
    assert whole == [("b", "stop")]  # complete with its last token: not cut


def test_log_probabilities_are_those_of_the_model_without_the_constraint(model, tokenizer):
    engine = Engine(model)
    (only,) = tokenizer.encode("b", continuing=True)
    job = engine.submit(Request((3, 4), constraint=Constraint.choice(["b"], tokenizer)))
    ((_, token),) = engine.step()
    with torch.no_grad():
        scores = model.logits(model(torch.tensor([[3, 4]])))[0, -1].log_softmax(-1)
    assert token.id == only
    assert token.log_probability == pytest.approx(float(scores[only]), abs=1e-4)
    assert job.finish is None
    ((_, last),) = engine.step()
    assert (last.id, last.finish, job.finish) == (None, "stop", "stop")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda t: Constraint.json_schema({"type": "objec"}, t), "JSON schema cannot be used.*objec"),
        (lambda t: Constraint.json_schema({"$ref": "http://x/y"}, t), "JSON schema cannot be used.*http://x/y"),
        (lambda t: Constraint.regex("(a", t), "unclosed group"),
        (lambda t: Constraint.regex("(?=a)b", t), "look-around"),
        (lambda t: Constraint.regex("(a{1000}){1000}", t), "regular expression.*cannot be followed"),
        (lambda t: Constraint.json_schema({"$ref": "#"}, t), "JSON schema cannot be used: no text satisfies"),
        (lambda t: Constraint.json_schema({"type": "integer", "multipleOf": 982451653}, t), "multipleOf 982451653 "),
        (lambda t: Constraint.json_schema({"multipleOf": 982451653}, t), "may be 20,000 at most"),
        (lambda t: Constraint.json_schema({"allOf": [{"multipleOf": 9973}, {"multipleOf": 9967}]}, t), "9967, 9973"),
        (lambda t: Constraint.choice([], t), "needs options"),
        (lambda t: Constraint.choice(["a", ""], t), "needs options"),
    ],
)
def test_constraints_that_cannot_be_used_are_refused(tokenizer, make, says):
    with pytest.raises(ConfigError, match=says):
        make(tokenizer)


def test_a_constraint_of_another_vocabulary_is_refused(tokenizer):
    small = Model(resolve("story_1m", d_model=32, n_layers=1, vocab_size=100))
    with pytest.raises(ConfigError, match="tokens, and the model knows 100"):
        Engine(small).submit(Request((1,), constraint=Constraint.choice(["b"], tokenizer)))


def test_a_constraint_that_cannot_be_followed_ends_its_own_text_alone(model, tokenizer, monkeypatch):
    from lilliput.decoding.constrained import Matcher

    def refuse(self, number):
        raise ConfigError("the constraint cannot be followed: too large")

    monkeypatch.setattr(Matcher, "push", refuse)
    engine = Engine(model, slots=2)
    sampling = SamplingConfig(temperature=0, max_tokens=5)
    bad = engine.submit(Request((tokenizer.bos_id,), sampling, constraint=Constraint.regex("[ab]+", tokenizer)))
    good = engine.submit(Request((tokenizer.bos_id,), sampling))
    while not engine.idle:
        engine.step()
    assert (bad.finish, good.finish) == ("error", "length")
    assert "too large" in str(bad.error)
    assert good.error is None


def test_a_multiple_is_followed(model, tokenizer):
    for multiple in (97, 0.25):
        schema = {"type": "number", "multipleOf": multiple, "minimum": 100, "maximum": 900}
        for text, finish in complete_in(model, tokenizer, Constraint.json_schema(schema, tokenizer), count=3):
            assert finish == "stop"
            assert json.loads(text) % multiple == 0


def test_a_constraint_that_nothing_can_follow_is_an_error_and_no_empty_text(model, tokenizer):
    """What may come first is forbidden to come first: the text fails, and the one beside it goes on."""
    engine = Engine(model, slots=2)
    (only,) = tokenizer.encode("b", continuing=True)
    sampling = SamplingConfig(temperature=0, max_tokens=5)
    just_b = Constraint.choice(["b"], tokenizer)
    bad = engine.submit(Request((tokenizer.bos_id,), sampling, forbidden_first=(only,), constraint=just_b))
    good = engine.submit(Request((tokenizer.bos_id,), sampling))
    while not engine.idle:
        engine.step()
    assert (bad.finish, good.finish) == ("error", "length")
    assert "allows only first tokens" in str(bad.error)


def test_a_grammar_that_fails_in_the_middle_ends_its_own_text_alone(model, tokenizer, monkeypatch):
    from lilliput.decoding.constrained import Matcher

    allowed, calls = Matcher.allowed, []

    def fails_late(self):
        calls.append(self)
        if len(calls) > 3:
            raise ConfigError("the constraint cannot be followed: too large")
        return allowed(self)

    made = Constraint.regex("[ab]+", tokenizer)
    monkeypatch.setattr(Matcher, "allowed", fails_late)
    engine = Engine(model, slots=2)
    sampling = SamplingConfig(temperature=0, max_tokens=5)
    bad = engine.submit(Request((tokenizer.bos_id,), sampling, constraint=made))
    good = engine.submit(Request((tokenizer.bos_id,), sampling))
    while not engine.idle:
        engine.step()
    assert (bad.finish, bad.generated, good.finish) == ("error", 3, "length")

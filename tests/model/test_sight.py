"""What a Sight lets be seen: by gradient, by equal results of padded and plain rows, and in the kernels' form."""

import inspect

import pytest
import torch

from lilliput.base.config import validate
from lilliput.base.errors import ConfigError, ModelError
from lilliput.decoding.cache import KVCache
from lilliput.decoding.compiled import _Compiled
from lilliput.decoding.native import _Native
from lilliput.model.config import ModelConfig
from lilliput.model.sight import BOTH, CAUSAL, Sight
from lilliput.model.stand_in import StandIn
from lilliput.model.transformer import Model
from lilliput.training.compiled import Compiled
from tests.model.families import config, on, stirred, tokens
from tests.model.sights import KINDS, pairs, sights


def reach(sight: Sight, at: int, **changes) -> list[int]:
    """The positions of row 0 that the hidden state `at` depends on, in a model of one layer."""
    model, seen = stirred("story", n_layers=1, **changes), []
    on(model.hook_embed, lambda x: seen.append(x) or x.retain_grad())
    model(tokens(), sight)[0, at].sum().backward()
    return (seen[0].grad[0].abs().sum(-1) > 0).nonzero().flatten().tolist()


SEGMENTS = torch.tensor([[0] * 6 + [1] * 9 + [0] * 5, [3] * 20])


@pytest.mark.parametrize(
    ("sight", "seen"),
    [
        (CAUSAL, range(10)),
        (Sight(window=3), range(7, 10)),
        (Sight(segments=SEGMENTS), range(6, 10)),
        (Sight(window=3, segments=SEGMENTS), range(7, 10)),
        (Sight(lengths=torch.tensor([12, 20])), range(10)),
        (Sight(causal=False), range(20)),
        (Sight(causal=False, window=3), range(7, 12)),
        (Sight(causal=False, segments=SEGMENTS), range(6, 15)),
        (Sight(causal=False, lengths=torch.tensor([12, 20])), range(12)),
        (Sight(causal=False, window=4, segments=SEGMENTS, lengths=torch.tensor([11, 20])), range(6, 11)),
    ],
)
def test_position_9_sees(sight, seen):
    assert reach(sight, 9) == [*seen]


def test_the_narrower_window_of_a_sight_and_a_layer_counts():
    assert reach(Sight(window=5), 9, window=3) == [7, 8, 9]
    assert reach(Sight(window=3), 9, window=5) == [7, 8, 9]


def test_documents_of_one_number_that_do_not_touch_are_apart():
    assert reach(Sight(segments=SEGMENTS), 17) == [15, 16, 17]


@pytest.mark.parametrize("family", ["story", "gpt2", "story_window_layers"])
@pytest.mark.parametrize("causal", [True, False])
def test_a_padded_row_is_the_row_alone(family, causal):
    model, ids = stirred(family), tokens(2, 20)
    padded = model(ids, Sight(causal=causal, lengths=torch.tensor([13, 20])))
    torch.testing.assert_close(padded[:1, :13], model(ids[:1, :13], Sight(causal=causal)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(padded[1:], model(ids[1:], Sight(causal=causal)), atol=1e-5, rtol=1e-5)
    assert torch.isfinite(padded).all()


@pytest.mark.parametrize("family", ["story", "gpt2"])
def test_documents_read_both_ways_are_the_documents_alone(family):
    model, ids = stirred(family), tokens(2, 20)
    packed = model(ids, Sight(causal=False, segments=SEGMENTS))
    alone = model(ids[:1, 6:15], Sight(causal=False))
    torch.testing.assert_close(packed[:1, 6:15], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sight", [Sight(), Sight(window=3), Sight(causal=False), Sight(segments=SEGMENTS)])
def test_a_pattern_that_is_looked_at_gives_the_same(sight):
    model, ids, patterns = stirred("story"), tokens(2, 20), []
    plain = model(ids, sight)
    on(model.hooks["blocks.0.attn.hook_pattern"], patterns.append)
    torch.testing.assert_close(model(ids, sight), plain, atol=1e-5, rtol=1e-5)
    assert patterns


@pytest.mark.parametrize("length", [1, 7, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_mask_and_bounds_are_the_definition(kind, length):
    sight, keys = sights(length)[kind], torch.arange(length)
    seen, right = sight.at(slice(0, length), length, keys.device), pairs(sight, 2, length)
    assert torch.equal(seen.mask()[:, 0].expand(2, -1, -1), right)
    assert seen.bounded
    first = torch.zeros(1, length) if seen.first is None else seen.first
    last = keys[None] if seen.last is None else seen.last
    assert torch.equal(((keys >= first[..., None]) & (keys <= last[..., None])).expand(2, -1, -1), right)
    assert all(bound is None or bound.dtype == torch.int32 for bound in (seen.first, seen.last))


def test_the_forms():
    def form(sight, where, end):
        seen = sight.at(where, end, torch.device("cpu"))
        return seen.form, seen.bounded, seen.first is not None, seen.last is not None

    assert form(CAUSAL, slice(0, 8), 8) == ("causal", True, False, False)
    assert form(Sight(window=8), slice(0, 8), 8) == ("causal", True, False, False)
    assert form(Sight(window=7), slice(0, 8), 8) == ("some", True, True, False)
    assert form(CAUSAL, slice(7, 8), 8) == ("all", False, False, False)
    assert form(Sight(window=7), slice(7, 8), 8) == ("some", False, False, False)
    assert form(CAUSAL, slice(6, 8), 8) == ("some", False, False, False)
    assert form(CAUSAL, torch.tensor([[7], [3]]), 8) == ("some", False, False, False)
    assert form(BOTH, slice(0, 8), 8) == ("all", True, False, True)
    assert form(Sight(causal=False, window=7), slice(0, 8), 8) == ("some", True, True, True)
    assert form(Sight(lengths=torch.tensor([2])), slice(0, 8), 8) == ("causal", True, False, False)
    assert form(Sight(causal=False, lengths=torch.tensor([2])), slice(0, 8), 8) == ("some", True, True, True)


def test_the_mask_behind_a_cache():
    seen = Sight(window=3).at(slice(5, 7), 7, torch.device("cpu"))
    assert seen.mask()[0, 0].tolist() == [[k in (3, 4, 5) for k in range(7)], [k in (4, 5, 6) for k in range(7)]]
    ragged = CAUSAL.at(torch.tensor([[2, 3], [5, 6]]), 7, torch.device("cpu"))
    assert ragged.mask()[:, 0].sum(-1).tolist() == [[3, 4], [6, 7]]


@pytest.mark.parametrize(
    ("sight", "name"),
    [
        (Sight(segments=torch.zeros(2, 20, dtype=torch.int64)), "segments"),
        (Sight(lengths=torch.tensor([20, 20])), "lengths"),
        (Sight(causal=False), "causal=False"),
    ],
)
def test_what_needs_all_positions_does_not_go_with_a_cache(sight, name):
    model = stirred("story")
    with pytest.raises(ModelError, match=f"{name} and a cache cannot be used together"):
        model(tokens(), sight, cache=KVCache(model.config, 2, 20))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match=r"segments have the shape \(2, 19\), and tokens \(2, 20\)"):
        stirred("story")(tokens(), Sight(segments=torch.zeros(2, 19, dtype=torch.int64)))
    with pytest.raises(ModelError, match=r"lengths have the shape \(3,\)"):
        stirred("story")(tokens(), Sight(lengths=torch.tensor([1, 2, 3])))
    with pytest.raises(ModelError, match="window of 0"):
        stirred("story")(tokens(), Sight(window=0))


@pytest.mark.parametrize(
    ("fields", "printed"),
    [
        ({"window_layers": [0]}, "is given without window"),
        ({"window": 4, "window_layers": []}, r"has to name layers from 0 to 2"),
        ({"window": 4, "window_layers": [3]}, r"has to name layers from 0 to 2"),
        ({"window": 4, "window_layers": [1, 0]}, "in order"),
    ],
)
def test_layers_of_a_window_that_cannot_be(fields, printed):
    with pytest.raises(ConfigError, match=printed):
        validate(ModelConfig, fields, "model")


def test_fields_that_older_folders_lack_are_written_where_they_are_used_alone():
    assert not {"window_layers", "attention"} & config("story").model_dump(mode="json").keys()
    some = config("story_window_layers")
    assert some.model_dump(mode="json")["window_layers"] == [1]
    assert ModelConfig(**some.model_dump(mode="json")) == some
    assert ModelConfig(**some.model_dump(mode="json", exclude_defaults=True)) == some


def test_stand_ins_are_models_and_hold_nothing_themselves():
    model = stirred("story")
    view = Compiled(model)
    assert isinstance(view, Model)
    for kind in (Compiled, _Compiled, _Native):
        assert inspect.signature(kind.forward) == inspect.signature(Model.forward)
    view.train()
    assert model.training
    assert all(a is b for a, b in zip(view.parameters(), model.parameters(), strict=True))
    plain, ids = StandIn(model.eval()), tokens()
    assert not plain.training
    assert torch.equal(plain.logits(model(ids)), model.logits(model(ids)))

"""Patching: everything recovers 1 and nothing 0, and in a model made by hand only the known path carries the name."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.lens.intervene import intervene
from lilliput.lens.patching import Pairs, Patching, path_patch, unrelated
from lilliput.lens.patching_section import PatchingInstrument, name_pairs, reads_names
from lilliput.lens.stream import block_of, linear, seen_in
from lilliput.lens.texts import piece
from lilliput.model.config import ModelConfig
from lilliput.model.norms import Norm
from lilliput.model.transformer import Model
from lilliput.objectives.masked import Masked
from lilliput.objectives.reversed import Reversed
from tests.lens.subjects import subject, vector
from tests.model.families import FAMILIES, stirred, tokens

families = pytest.mark.parametrize("family", FAMILIES)


def some_pairs(length: int = 8) -> Pairs:
    clean = tokens(3, length)
    corrupted = clean.clone()
    corrupted[:, 3] = torch.tensor([7, 8, 9])
    return Pairs(clean, corrupted, torch.tensor([1, 2, 3]), torch.tensor([4, 5, 6]))


@families
def test_everything_recovers_all_and_nothing_recovers_nothing(family):
    patching = Patching(stirred(family), some_pairs())
    assert patching.share(patching.everything()) == pytest.approx(1, abs=1e-4)
    assert patching.share(patching.patch({})) == pytest.approx(0, abs=1e-4)
    assert sum(patching.shares(patching.everything())) / 3 == pytest.approx(1, abs=1e-4)
    # Before the first layer, the texts differ in one place. After the last layer, the last place alone is read.
    stream = patching.stream()
    assert stream.shape == (3, 8)
    assert (stream[:, :3] == 0).all()
    assert stream[0, 3] == pytest.approx(1, abs=1e-4)
    assert stream[0, 4:].abs().max() < 1e-4
    assert stream[-1, -1] == pytest.approx(1, abs=1e-4)
    assert stream[-1, :-1].abs().max() < 1e-4


def relay() -> Model:
    """Two layers whose only path from an earlier token to the logits is: head 0 of layer 0, into the values of head 1
    of layer 1. All heads look evenly at all tokens, and there is no other weight. Channels 0 to 7 hold the token, 8 to
    15 what the first head moves, 16 to 23 what the second head moves, which alone is read out."""
    parts = {"position": "learned", "mlp": "gelu", "qk_norm": False}
    model = Model(ModelConfig(d_model=24, n_layers=2, n_heads=2, d_mlp=8, vocab_size=8, context_length=8, **parts))
    eye = torch.eye(8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for norm in (module for module in model.modules() if isinstance(module, Norm)):
            vector(norm).fill_(1.0)
        model.embed.weight[:, :8] = eye
        first, second = (block_of(model, layer).attn for layer in range(2))
        # The rows of qkv are 24 of queries, 24 of keys and 24 of values, 12 a head.
        linear(first, "qkv").weight[48:56, :8] = eye
        linear(first, "out").weight[8:16, :8] = eye
        linear(second, "qkv").weight[60:68, 8:16] = eye
        linear(second, "out").weight[16:24, 12:20] = eye
        model.output_matrix[:, 16:24] = 5 * eye
    return model.eval()


NAMES = Pairs(torch.tensor([[1, 2, 3]]), torch.tensor([[1, 4, 3]]), torch.tensor([2]), torch.tensor([4]))


def test_only_the_known_heads_carry_the_name():
    patching = Patching(relay(), NAMES)
    assert patching.gap > 0.5
    heads = patching.heads()
    assert torch.allclose(heads, torch.tensor([[1.0, 0.0], [0.0, 1.0]]), atol=1e-4)
    assert torch.allclose(patching.parts("mlp"), torch.zeros(2, 3), atol=1e-4)
    # Layer 0 moves the name to both later places, the name's own too; layer 1 collects all of them at the last place.
    by_position = patching.heads(by_position=True)
    assert by_position.shape == (2, 2, 3)
    assert (by_position[0, 0, 1:] > 0.1).all()
    assert float(by_position[0, 0].sum()) == pytest.approx(1, abs=0.02)
    assert torch.allclose(by_position[1, 1], torch.tensor([0.0, 0.0, 1.0]), atol=1e-4)
    assert torch.allclose(patching.parts("attn")[1], torch.tensor([0.0, 0.0, 1.0]), atol=1e-4)


@pytest.mark.parametrize("base", ["corrupted", "clean"])
def test_only_the_known_path_carries_the_name(base):
    model = relay()

    def share(sender, receiver, into: Any = "v"):
        return float(path_patch(model, NAMES, sender, receiver, into, base).mean())

    assert share((0, 0), (1, 1)) == pytest.approx(1, abs=1e-4)
    for sender, receiver, into in (
        ((0, 0), (1, 1), "q"),
        ((0, 0), (1, 1), "k"),
        ((0, 0), (1, 0), "v"),
        ((0, 1), (1, 1), "v"),
        ((0, 0), None, "v"),
    ):
        assert share(sender, receiver, into) == pytest.approx(0, abs=1e-4)
    assert share((1, 1), None) == pytest.approx(1, abs=1e-4)
    # The embeddings reach the first head straight, and the second head through the first alone.
    assert share(None, (0, 0)) == pytest.approx(1, abs=1e-4)
    assert share(None, (1, 1)) == pytest.approx(0, abs=1e-4)


def test_an_unrelated_text_takes_the_wrong_name_away_and_brings_nothing():
    """It holds neither name, so that the preference is 0, halfway from the wrong name to the right."""
    other = Patching(relay(), NAMES, unrelated(NAMES, torch.tensor([[5, 6, 7, 0]])))
    assert other.share(other.everything()) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("family", ["story_grouped", "pythia", "gpt2", "own"])
@pytest.mark.parametrize("into", ["q", "k", "v"])
def test_a_path_equals_its_formula(family, into):
    """The receiver's vector from the stream of the corrupted text, plus what the sender writes otherwise."""
    model, pairs = stirred(family), some_pairs()
    (sender, receiver), config = ((0, 1), (1, 2)), model.config
    point, z = f"blocks.1.attn.hook_{into}", "blocks.0.attn.hook_z"
    clean, own = (seen_in(model, ids, [z, "blocks.1.hook_resid_pre"]) for ids in (pairs.clean, pairs.corrupted))
    block, width = block_of(model, 1), config.d_head
    with torch.no_grad():
        part = linear(block_of(model, 0).attn, "out").weight[:, sender[1] * width : (sender[1] + 1) * width]
        moved = (clean[z] - own[z])[:, :, sender[1]] @ part.T
        qkv = linear(block.attn, "qkv")(cast(Any, block.ln1)(own["blocks.1.hook_resid_pre"] + moved)).view(
            3, 8, -1, width
        )
    shared = receiver[1] // (config.n_heads // config.n_kv_heads)
    row, head = {
        "q": (receiver[1], receiver[1]),
        "k": (config.n_heads + shared, shared),
        "v": (config.n_heads + config.n_kv_heads + shared, shared),
    }[into]

    def put(vector, hook):
        new = vector.clone()
        new[:, :, head] = qkv[:, :, row]
        return new

    with torch.no_grad(), intervene(model, {point: put}):
        logits = model.logits(model(pairs.corrupted)[:, -1])
    runs = Patching(model, pairs)
    difference = (logits.gather(1, pairs.right[:, None]) - logits.gather(1, pairs.wrong[:, None]))[:, 0]
    wanted = (difference - runs.corrupted) / runs.gap
    assert torch.allclose(path_patch(model, pairs, sender, receiver, into), wanted, atol=1e-4)


def test_pairs_and_heads_that_do_not_fit_are_refused():
    model, pairs = stirred("story"), some_pairs()
    with pytest.raises(ModelError, match="the same number of tokens"):
        Pairs(pairs.clean, pairs.corrupted[:, 1:], pairs.right, pairs.wrong)
    with pytest.raises(ModelError, match="the source texts"):
        Patching(model, pairs, tokens(3, 5))
    with pytest.raises(ModelError, match="the same logit differences"):
        Patching(model, Pairs(pairs.clean, pairs.clean, pairs.right, pairs.wrong))
    with pytest.raises(ModelError, match="no head 9 in layer 0"):
        path_patch(model, pairs, (0, 9))
    with pytest.raises(ModelError, match="does not come after"):
        path_patch(model, pairs, (1, 0), (1, 1))
    with pytest.raises(ModelError, match="take longer rows"):
        unrelated(pairs, tokens(2, 5))


@pytest.mark.parametrize("objective", [None, Reversed(by="word"), Reversed(by="token")])
def test_its_pairs_differ_in_the_name_that_comes_next(objective):
    made = subject(objective=objective)
    generator, pairs = made.generator, name_pairs(made)
    assert len(pairs.clean) > 1
    assert len({tuple(row) for row in pairs.clean.tolist()}) == len(pairs.clean)
    differs = pairs.clean != pairs.corrupted
    assert (differs.sum(1) == 1).all()
    for row in range(len(pairs.clean)):
        place = int(differs[row].nonzero())
        named = [piece(generator, int(ids[row, place])).strip() for ids in (pairs.clean, pairs.corrupted)]
        assert named == [piece(generator, int(answer[row])).strip() for answer in (pairs.right, pairs.wrong)]


def test_models_that_do_not_fit_are_refused():
    refuses = PatchingInstrument().refuses
    assert "fits into 24 tokens" in refuses(subject(context_length=8))
    made = subject()
    assert "the same after both texts" in refuses(replace(made, generator=made.untrained))
    assert "fits into 5 tokens" in refuses(replace(made, rows=made.rows[:, :5]))
    assert "generates no text" in refuses(subject(objective=Masked()))


def test_the_instrument_refuses_a_model_that_prefers_no_name():
    assert "hardly prefers the name" in PatchingInstrument().refuses(subject())
    pairs = name_pairs(subject())
    model = subject().generator.model
    patching = Patching(model, pairs)
    for clean, reads in (([2.0, 2.1, 1.9], True), ([0.05, 0.05, 0.05], False), ([9.0, -8.0, 0.5], False)):
        patching.clean = torch.tensor(clean)
        patching.corrupted, patching.gap = torch.zeros(3), float(torch.tensor(clean).mean())
        assert reads_names(patching) == reads


def test_the_instrument_gives_its_controls(monkeypatch):
    made = subject()
    monkeypatch.setattr("lilliput.lens.patching_section.reads_names", lambda *given: True)
    assert PatchingInstrument().refuses(made) == ""
    found = PatchingInstrument().measure(made)
    assert json.loads(json.dumps(found)) == found
    everything = found["controls"]["everything"]
    assert [everything[key] for key in ("mean", "low", "high")] == pytest.approx([1, 1, 1], abs=1e-3)
    assert found["controls"]["nothing"]["mean"] == pytest.approx(0, abs=1e-3)
    shares = [one["share"]["mean"] for one in found["heads"]]
    assert shares == sorted(shares, reverse=True)
    section = PatchingInstrument().section(found)
    assert "path patching" in section
    assert "share with nothing patched" in section

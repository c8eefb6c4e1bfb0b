"""Ablation: against weights set to zero, means and rows by hand, in every style of the house, and in generation."""

from typing import Any

import pytest
import torch

from lilliput.base.errors import ModelError
from lilliput.decoding.native import native
from lilliput.decoding.native import why_not as no_native
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.ablation import Reference, ablated
from lilliput.lens.components import (
    Component,
    all_heads,
    all_mlps,
    attention,
    head,
    mlp,
    neurons,
    random_heads,
    random_units,
    whole_layer,
)
from lilliput.model.transformer import Model
from tests.lens.hand_made import rows_of, small
from tests.model.families import FAMILIES, NEURONS, stirred, tokens


def logits(model: Model, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.logits(model(ids))


def without_weights(model: Model, component: Component) -> torch.Tensor:
    """The logits after the columns that read the component's channels are set to 0."""
    ids, kept = tokens(), {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        for name, channels in component.places:
            block: Any = model.blocks[int(name.split(".")[1])]
            out = block.attn.out if "attn" in name else block.mlp.down
            shared = getattr(block.mlp, "shared", None) if out is block.mlp.down else None
            for matrix in (out, shared.down) if shared is not None else (out,):
                matrix.weight[..., list(channels) or slice(None)] = 0
            if not channels and getattr(out, "bias", None) is not None:
                out.bias.zero_()
    found = logits(model, ids)
    model.load_state_dict(kept)
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_zero_is_the_model_without_these_weights(family: str) -> None:
    model = stirred(family)
    plain = logits(model, tokens())
    for one in (
        head(model, 1, 2),
        mlp(model, 0),
        attention(model, 0),
        whole_layer(model, 1),
        *([neurons(model, 1, [3, 5])] if family in NEURONS else []),
    ):
        with ablated(model, one, "zero"):
            found = logits(model, tokens())
        assert torch.allclose(found, without_weights(model, one), atol=1e-4), one.name
        assert not torch.allclose(found, plain, atol=1e-4), one.name
    assert torch.equal(logits(model, tokens()), plain)


def test_a_set_is_all_of_its_parts() -> None:
    model = stirred("story")
    with ablated(model, [head(model, 0, index) for index in range(4)], "zero"):
        heads = logits(model, tokens())
    with ablated(model, attention(model, 0), "zero"):
        assert torch.allclose(heads, logits(model, tokens()), atol=1e-5)
    with ablated(model, [head(model, 0, 1), attention(model, 0)], "zero"):
        assert torch.allclose(heads, logits(model, tokens()), atol=1e-5)


@pytest.mark.parametrize("how", ["mean", "position_mean", "resample"])
def test_the_stand_in_comes_from_the_reference(how: Any) -> None:
    model, rows, ids = stirred("llama_grouped_biased"), tokens(5, 20, seed=4), tokens(3, 12)
    name, seen = "blocks.1.hook_mlp_out", {}
    handle = model.hooks[name].register_forward_hook(lambda module, inputs, value: seen.setdefault("rows", value))
    logits(model, rows)
    handle.remove()
    values = seen["rows"]
    wanted = values.mean((0, 1)).expand(3, 12, -1) if how == "mean" else values.mean(0)[:12].expand(3, -1, -1)
    with ablated(model, mlp(model, 1), how, rows, seed=7):
        late = {}
        handle = model.hooks[name].register_forward_hook(lambda module, inputs, value: late.setdefault("new", value))
        logits(model, ids)
        handle.remove()
    if how == "resample":
        shift = next(s for s in range(5) if torch.equal(late["new"][0], values[s, :12]))
        assert shift != 0
        wanted = torch.stack([values[(row + shift) % 5, :12] for row in range(3)])
    assert torch.allclose(late["new"], wanted, atol=1e-5)


def test_means_leave_out_what_is_not_scored() -> None:
    model, ids = stirred("gpt2"), tokens(2, 10)
    scored = torch.ones(2, 10, dtype=torch.bool)
    scored[:, 6:] = False
    short = Reference(model, ids[:, :6]).stand_in("blocks.0.attn.hook_z", "mean")
    assert torch.allclose(Reference(model, ids, scored).stand_in("blocks.0.attn.hook_z", "mean"), short, atol=1e-5)
    by_place = Reference(model, ids, scored).stand_in("blocks.0.attn.hook_z", "position_mean")
    assert torch.allclose(by_place[:, 8], short[:, 0], atol=1e-5)


def test_every_part_is_listed_and_controls_have_its_size() -> None:
    model = stirred("story")
    assert [one.name for one in all_heads(model)[3:5]] == ["head 0.3", "head 1.0"]
    assert [one.name for one in all_mlps(model)] == ["MLP 0", "MLP 1"]
    sizes: list[tuple[Any, int]] = [("head", model.config.d_head), ("mlp", model.config.d_mlp)]
    for kind, size in sizes:
        draws = [random_units(model, kind, seed) for seed in (0, 0, 1)]
        assert draws[0] == draws[1] != draws[2]
        assert all(sum(len(channels) for _, channels in draw.places) == size for draw in draws)
    drawn = random_heads(model, 3, 0)
    assert len({one.name for one in drawn}) == 3


@pytest.mark.parametrize(
    ("how", "rows", "message"),
    [
        ("half", None, "no ablation 'half'"),
        ("mean", None, "needs held-out rows"),
        ("position_mean", tokens(2, 5), "at most 5 positions"),
        ("resample", tokens(1, 20), "at least two"),
    ],
)
def test_a_reference_that_does_not_fit_is_refused(how: Any, rows: torch.Tensor | None, message: str) -> None:
    model = stirred("story")
    with pytest.raises(ModelError, match=message), ablated(model, mlp(model, 0), how, rows):
        logits(model, tokens())
    with pytest.raises(ModelError, match="layers are 0 to 1"):
        mlp(model, 2)
    with pytest.raises(ModelError, match="heads 0 to 3"):
        head(model, 0, 4)
    with pytest.raises(ModelError, match="fewer than 9"):
        random_heads(model, 9, 0)


def test_generation_runs_on_the_ablated_model(capsys: pytest.CaptureFixture[str]) -> None:
    generator = small()
    model, rows = generator.model, rows_of(generator)
    options = {"opening": "One day", "max_tokens": 12, "seed": 5}
    plain = generator.generate(**options)
    with ablated(model, attention(model, 0), "mean", rows):
        changed = generator.generate(**options)
    assert changed != plain
    for how in ("position_mean", "resample"):
        with pytest.raises(ModelError, match="steps with a cache"), ablated(model, mlp(model, 0), how, rows):
            generator.generate(**options)
    if no_native(model) is None:
        fast = TextGenerator(model, generator.tokenizer, generator.objective, native)
        assert fast.generate(**options) == plain
        with ablated(model, attention(model, 0), "mean", rows):
            assert fast.generate(**options) == changed
        assert "step aside" in capsys.readouterr().err
        assert fast.generate(**options) == plain

"""Native steps: the same numbers as the model, for every part, in any company, in int8, and where they cannot be."""

import os
import subprocess
import sys

import pytest
import torch

from lilliput.base import machine
from lilliput.base.errors import ConfigError, ModelError
from lilliput.decoding.beams import beam_search
from lilliput.decoding.cache import KVCache
from lilliput.decoding.engine import Engine
from lilliput.decoding.int8 import Int8Linear, quantised
from lilliput.decoding.native import native, why_not
from lilliput.decoding.sampling import SamplingConfig
from lilliput.decoding.speculative import speculate
from tests.decoding.test_engine import requests, run, same

pytestmark = pytest.mark.skipif(machine.compiler() is None, reason="no C++ compiler")


def steps(model, ids, splits, dtype=torch.float32):
    """Logits of every position of ids (B, T), read in parts of these lengths with a cache in `dtype`."""
    cache, found, at = KVCache(model.config, len(ids), ids.shape[1], dtype=dtype), [], 0
    with torch.inference_mode():
        for new in splits:
            found.append(model.logits(model(ids[:, at : at + new], cache=cache)))
            cache.advance(new)
            at += new
    return torch.cat(found, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mlp": "gelu_tanh", "bias": True},
        {"mlp": "relu2", "residual": "parallel"},
        {"mlp": "gelu", "d_head": 20, "d_mlp": 37},
        {"n_heads": 4, "n_kv_heads": 1, "vocab_size": 51},
    ],
    ids=str,
)
def test_each_part_gives_the_models_logits(tiny, changes):
    model = tiny(**changes)
    if model.config.position == "rotary" and "d_head" in changes:
        model = tiny(**changes, rotary_fraction=0.5)
    ids = torch.randint(0, 50, (3, 16), generator=torch.Generator().manual_seed(1))
    exact = model.logits(model(ids)).detach()
    torch.testing.assert_close(steps(native(model), ids, [1] * 16), exact, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(steps(native(model), ids, [4, 1, 7, 1, 1, 2]), exact, atol=2e-4, rtol=1e-4)


def test_past_the_tables_of_angles_the_model_computes_them_anew(tiny):
    model = tiny()
    if model.config.position != "rotary":
        pytest.skip("without tables")
    ids = torch.randint(0, 50, (2, 16), generator=torch.Generator().manual_seed(1))
    exact = model.logits(model(ids)).detach()
    model.position.cos, model.position.sin = (table[:5].clone() for table in (model.position.cos, model.position.sin))
    torch.testing.assert_close(steps(native(model), ids, [3, 1, 1, 1, 10]), exact, atol=2e-4, rtol=1e-4)


def test_texts_come_and_go_as_in_the_model(tiny):
    model = tiny(context_length=16)
    arrivals = [(2 * i, request) for i, request in enumerate(requests(8, seed=1))]
    texts = run(Engine(native(model), slots=3), [], arrivals)
    plain = {job.request: tokens for job, tokens in run(Engine(model, slots=3), [], arrivals).items()}
    assert len(texts) == len(arrivals)
    for job, tokens in texts.items():
        same(tokens, plain[job.request])


def test_a_text_does_not_depend_on_its_company_to_the_bit(tiny):
    fast = native(tiny())
    ids = torch.randint(0, 50, (7, 16), generator=torch.Generator().manual_seed(2))
    together = steps(fast, ids, [1] * 16)
    for row in range(7):
        assert torch.equal(steps(fast, ids[row : row + 1], [1] * 16)[0], together[row])


def test_int8_steps_lose_a_tenth_at_most_of_what_int8_weights_lose(tiny):
    model = tiny(d_model=52, n_heads=2, d_head=33, rotary_fraction=2 / 33)
    small, wide = quantised(model), quantised(model)
    for module in wide.modules():  # what the int8 weights stand for, in fp32
        for name, child in list(module.named_children()):
            if isinstance(child, Int8Linear):
                linear = torch.nn.Linear(child.inputs, len(child.weight), bias=child.bias is not None)
                with torch.no_grad():
                    linear.weight.copy_(child.weight[:, : child.inputs] * child.scale.float()[:, None])
                    if child.bias is not None:
                        linear.bias.copy_(child.bias)
                setattr(module, name, linear)
    ids = torch.randint(0, 50, (7, 16), generator=torch.Generator().manual_seed(3))
    exact, rough = (each.logits(each(ids)).detach() for each in (model, wide))
    for together in (ids, ids[:1]):
        lost = (steps(native(small), together, [1] * 16) - rough[: len(together)]).norm()
        assert 0 < lost < 0.1 * (rough - exact)[: len(together)].norm()


def test_damaged_int8_activations_are_not_rounded_away(tiny):
    small = quantised(tiny())
    with torch.no_grad():
        small.embed.weight[3] = torch.nan
    assert steps(native(small), torch.tensor([[3]]), [1]).isnan().all()


def test_changes_to_the_weights_are_seen(tiny):
    model = tiny()
    fast, ids = native(model), torch.tensor([[1, 2, 3]])
    before = steps(fast, ids, [1, 1, 1])
    with torch.no_grad():
        model.blocks[0].mlp.down.weight.mul_(2)
    after = steps(fast, ids, [1, 1, 1])
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, model.logits(model(ids)).detach(), atol=2e-4, rtol=1e-4)


def test_drafts_and_beams_find_what_they_find_without(tiny):
    model, draft = tiny(), tiny(n_layers=1)
    greedy = SamplingConfig(temperature=0, max_tokens=9)
    assert speculate(native(model), native(draft), [1, 2], greedy).ids == speculate(model, draft, [1, 2], greedy).ids
    ours, plain = (beam_search(each, [1, 2], 3, 8) for each in (native(model), model))
    assert [beam.ids for beam in ours] == [beam.ids for beam in plain]


def test_a_full_cache_is_reported(tiny):
    model = tiny(context_length=4)
    cache = KVCache(model.config, 1, 4)
    cache.advance(4)
    with pytest.raises(ModelError, match="full: it holds 4"):
        native(model)(torch.tensor([[1]]), cache=cache)


def test_what_native_steps_cannot_read_goes_to_the_model(tiny):
    model = tiny()
    fast, half = native(model), KVCache(model.config, 1, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        assert fast(torch.tensor([[1]]), cache=half).shape == (1, 1, 32)
    assert half.keys[0].count_nonzero()
    hidden = model(torch.tensor([[1, 2]])).detach()
    with torch.autocast("cpu", torch.bfloat16):
        rough, plain = fast.logits(hidden.bfloat16()), model.logits(hidden.bfloat16())
    assert torch.equal(rough, plain)
    for unknown in (50, -1):
        with pytest.raises(IndexError):
            fast(torch.tensor([[unknown]]), cache=KVCache(model.config, 1, 4))


def test_it_is_refused_with_the_reason(tiny, monkeypatch):
    assert why_not(tiny()) is None
    assert "bfloat16 on cpu" in str(why_not(tiny().bfloat16()))
    odd = tiny()
    odd.blocks[0].mlp = torch.nn.Identity()
    with pytest.raises(ConfigError, match=r"blocks\.0\.mlp is a Identity, and a new model has a (SwiGLU|Gelu) there"):
        native(odd)
    monkeypatch.setattr(machine, "compiler", lambda: None)
    with pytest.raises(ConfigError, match="no C\\+\\+ compiler"):
        native(tiny())
    monkeypatch.setenv("LILLIPUT_PLAIN", "1")
    with pytest.raises(ConfigError, match="LILLIPUT_PLAIN=1"):
        native(tiny())


def test_a_compiler_that_fails_is_quoted_and_leaves_nothing_behind(tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'no such thing' >&2\nexit 1\n")
    broken.chmod(0o755)
    program = "from lilliput.decoding.native import library; library()"
    environment = {**os.environ, "CXX": str(broken), "LILLIPUT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "no such thing" in done.stderr
    assert "set CXX to another compiler" in done.stderr or "failed" in done.stderr
    assert not list((tmp_path / "cache" / "native").iterdir())


def test_what_native_steps_must_not_read_is_refused():
    program = [sys.executable, "-m", "tests.decoding.wrong_steps"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"ended at: {lines[-1:]}\n{done.stderr[-6000:]}"
    assert lines[-1] == "all tried"
    assert sum(line.startswith("wrong") for line in lines) > 60
    assert [line for line in lines if line.startswith("NOT REFUSED")] == []

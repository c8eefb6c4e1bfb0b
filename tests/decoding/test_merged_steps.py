"""Generation with an adapter in training: the merged copy computes what the model does, and follows its updates."""

import torch

from lilliput.decoding.cache import KVCache
from lilliput.decoding.merged_steps import MergedSteps
from lilliput.generation.loading import faster
from lilliput.model.lora import AdapterConfig, LoraLinear, attach
from lilliput.model.transformer import Model
from lilliput.training.config import OptimizerConfig
from lilliput.training.optim import build
from tests.model.families import on, stirred, tokens


def steps(model: Model, ids: torch.Tensor) -> torch.Tensor:
    """Logits of a prompt of four tokens, and then token by token."""
    cache, found, at = KVCache(model.config, len(ids), ids.shape[1]), [], 0
    with torch.inference_mode():
        for new in (4, *[1] * (ids.shape[1] - 4)):
            found.append(model.logits(model(ids[:, at : at + new], cache=cache)))
            cache.advance(new)
            at += new
    return torch.cat(found, 1)


def plain(model: Model, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.logits(model(ids))


def test_log_probabilities_are_those_that_training_starts_from_after_every_step():
    model, ids, lines = stirred("llama"), tokens(), list[str]()
    attach(model, AdapterConfig(rank=2, dropout=0.2), seed=1)
    optimizers, made = build(model, OptimizerConfig(learning_rate=0.05)), faster(model, lines.append)
    assert made is not None
    decoder = made(model)
    assert isinstance(decoder, MergedSteps)
    before = plain(model, ids)
    for _ in range(3):
        model.train()
        model.loss(model(ids), ids, torch.ones(ids.shape)).backward()
        optimizers.step()
        optimizers.zero_grad()
        model.eval()
        wanted = plain(model, ids)
        assert (wanted.log_softmax(-1) - steps(decoder, ids).log_softmax(-1)).abs().max() < 1e-4
    assert (plain(model, ids) - before).abs().max() > 0.1
    assert lines == []


def test_a_copy_is_merged_once_for_each_state():
    model, count = stirred("llama"), list[Model]()
    attach(model, AdapterConfig(rank=2), seed=1)

    def keep(merged: Model) -> Model:
        assert not any(isinstance(module, LoraLinear) for module in merged.modules())
        count.append(merged)
        return merged

    decoder = MergedSteps(model.eval(), keep)
    steps(decoder, tokens())
    steps(decoder, tokens())
    assert len(count) == 1
    with torch.no_grad():
        model.get_submodule("blocks.0.attn.qkv").get_parameter("lora_b").add_(0.1)
    steps(decoder, tokens())
    assert len(count) == 2


def test_a_hook_and_training_mode_are_the_models_own():
    model, ids = stirred("llama"), tokens()
    attach(model, AdapterConfig(rank=2), seed=1)
    decoder = MergedSteps(model.eval(), lambda merged: merged)
    hook = on(model.hooks["blocks.0.hook_mlp_out"], torch.zeros_like)
    wanted = plain(model, ids)
    assert (steps(decoder, ids) - wanted).abs().max() < 1e-4
    hook.remove()
    assert (steps(decoder, ids) - wanted).abs().max() > 1e-3

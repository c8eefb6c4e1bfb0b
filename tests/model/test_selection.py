"""Parts by name, and frozen parts: what they save of gradients, optimiser state and kept activations."""

import pytest
import torch

from lilliput.base.errors import ConfigError
from lilliput.model.selection import freeze, outline, parts_of, select, spread
from lilliput.model.transformer import Model
from lilliput.training.config import OptimizerConfig
from lilliput.training.optim import build
from tests.model.families import stirred, tokens


def test_a_range_names_every_block_in_it():
    assert spread("blocks.0-2.attn") == ["blocks.0.attn", "blocks.1.attn", "blocks.2.attn"]
    assert spread("embed") == ["embed"]
    with pytest.raises(ConfigError, match="ends before"):
        spread("blocks.3-1")


def test_names_are_exact():
    model = stirred("llama")
    assert [*select(model, ["blocks.0-1.mlp", "embed"], "train.freeze")] == ["blocks.0.mlp", "blocks.1.mlp", "embed"]
    for wrong in ("block.0", "blocks.0.attn.qkvs", "mlp", "hook_embed", ""):
        with pytest.raises(ConfigError, match=r"train\.freeze has"):
            select(model, [wrong], "train.freeze")
    assert outline(parts_of(model))[:4] == ["embed", "ln_final", "unembed", "blocks.0-1"]


def test_nothing_left_to_train_is_refused():
    with pytest.raises(ConfigError, match="whole model"):
        freeze(stirred("llama"), ["embed", "blocks.0-1", "ln_final", "unembed"])


def test_tied_embeddings_are_counted_once():
    model = stirred("gpt2", tied_embeddings=True)
    assert freeze(model, ["embed"]) == model.embed.weight.numel()


class Costs:
    """Bytes that a step of a model keeps for its backward pass, and of its gradients and optimiser state."""

    def __init__(self, model: Model):
        ids, self.kept = tokens(), 0
        optimizers = build(model, OptimizerConfig())
        with torch.autograd.graph.saved_tensors_hooks(self._keep, lambda tensor: tensor):
            loss = model.train().loss(model(ids), ids, torch.ones(ids.shape))
        loss.backward()
        self.gradients = sum(one.grad.numel() for one in model.parameters() if one.grad is not None)
        optimizers.step()
        self.state = sum(tensor.numel() for tensor in optimizers.state().values())

    def _keep(self, tensor: torch.Tensor) -> torch.Tensor:
        self.kept += tensor.numel()
        return tensor


def test_what_is_frozen_costs_no_gradient_no_state_and_less_memory_of_activations():
    rising = (["blocks.1"], ["embed", "blocks.0"], ["embed", "blocks.0-1"])
    costs = []
    for names in ([], *rising):
        model = stirred("llama")
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        if names:
            freeze(model, names)
        costs.append(Costs(model))
        moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
        frozen = {name for name, one in model.named_parameters() if not one.requires_grad}
        assert moved == set(before) - frozen
    assert [one.gradients for one in costs] == sorted((one.gradients for one in costs), reverse=True)
    assert [one.state for one in costs] == sorted((one.state for one in costs), reverse=True)
    assert costs[0].kept > costs[2].kept > costs[3].kept
    assert costs[3].state < costs[0].state / 3

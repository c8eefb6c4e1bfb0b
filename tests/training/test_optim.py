"""Optimisers against torch's own, parameter groups, and state that survives a round trip bit for bit."""

import copy

import pytest
import torch
from torch import nn

from lilliput.base.errors import CheckpointError, ModelError
from lilliput.model.config import ModelConfig
from lilliput.model.parts import Role, roles
from lilliput.model.transformer import Model
from lilliput.training import muon, optim
from lilliput.training.config import OptimizerConfig
from lilliput.training.muon import Muon, orthogonalise


def tiny_model() -> nn.Module:
    torch.manual_seed(0)
    block = nn.Sequential(nn.Linear(12, 20), nn.LayerNorm(20), nn.Linear(20, 12))
    return nn.ModuleDict({"embed": nn.Embedding(7, 12), "blocks": block})


def backward(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(7, (5,), generator=generator)
    model["blocks"](model["embed"](tokens)).square().sum().backward()  # type: ignore[index]


@pytest.mark.parametrize("bf16", [False, True])
def test_newton_schulz_gives_singular_values_near_one(bf16: bool) -> None:
    matrices = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(0))
    for result in (orthogonalise(matrices, bf16), orthogonalise(matrices.transpose(1, 2), bf16)):
        assert result.dtype == torch.float32
        values = torch.linalg.svdvals(result)
        assert values.min() > 0.6
        assert values.max() < 1.3


def test_newton_schulz_keeps_singular_vectors() -> None:
    matrix = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(1))
    u, _, vt = torch.linalg.svd(matrix[0])
    core = u.T @ orthogonalise(matrix)[0] @ vt.T
    assert (core - torch.diag(core.diagonal())).abs().max() < 1e-3


def test_iterating_on_the_gram_matrix_gives_the_same() -> None:
    u, _, v = torch.linalg.svd(torch.randn(2, 32, 96, generator=torch.Generator().manual_seed(2)), full_matrices=False)
    spread = u @ torch.diag_embed(torch.logspace(0, -5, 32).expand(2, 32)) @ v
    x = spread / spread.norm(dim=(-2, -1), keepdim=True)
    assert (muon._iterate_gram(x) - muon._iterate(x)).abs().max() < 0.01
    exact = muon._iterate(x.double()).float()
    assert (muon._iterate_gram(x) - exact).abs().max() < 0.01


@pytest.mark.parametrize("bf16", [False, True])
def test_muon_equals_torchs_muon(bf16: bool) -> None:
    ours, theirs = nn.Linear(24, 10, bias=False), nn.Linear(24, 10, bias=False)
    theirs.load_state_dict(ours.state_dict())
    a = Muon(ours.parameters(), lr=0.05, momentum=0.9, weight_decay=0.1, bf16=bf16)
    b = torch.optim.Muon(theirs.parameters(), lr=0.05, momentum=0.9, weight_decay=0.1)
    for step in range(4):
        grad = torch.randn(10, 24, generator=torch.Generator().manual_seed(step))
        ours.weight.grad, theirs.weight.grad = grad.clone(), grad.clone()
        a.step()
        b.step()
    # torch iterates in bfloat16, so its directions agree to two digits, or with ours in bfloat16 too to one more.
    assert torch.allclose(ours.weight, theirs.weight, atol=0.002 if bf16 else 0.01)
    assert (ours.weight - theirs.weight).abs().mean() < (0.0005 if bf16 else 0.001)


def test_muon_treats_stacked_matrices_as_separate_ones() -> None:
    fused = nn.Parameter(torch.randn(12, 8, generator=torch.Generator().manual_seed(0)))
    apart = [nn.Parameter(part.clone()) for part in fused.detach().split([4, 8])]
    grad = torch.randn(12, 8, generator=torch.Generator().manual_seed(1))
    fused.grad = grad
    for parameter, part in zip(apart, grad.split([4, 8]), strict=True):
        parameter.grad = part.clone()
    Muon([fused], stacked={fused: (4, 8)}).step()
    Muon(apart).step()
    assert torch.allclose(fused, torch.cat([p.detach() for p in apart]), atol=1e-6)


@pytest.mark.parametrize(("kind", "adamw_groups"), [("adamw", 3), ("muon", 2)])
def test_groups(kind: str, adamw_groups: int) -> None:
    model = tiny_model()
    built = optim.build(model, OptimizerConfig(kind=kind, weight_decay=0.3))  # type: ignore[arg-type]
    groups = {name: group for o in built.optimizers for group in o.param_groups for name in names(built, group)}
    assert groups["blocks.0.weight"]["weight_decay"] == 0.3
    assert groups["embed.weight"]["weight_decay"] == 0
    assert groups["blocks.1.weight"]["weight_decay"] == 0
    assert groups["blocks.0.bias"]["weight_decay"] == 0
    assert len(groups) == len(list(model.parameters()))
    assert len(built.optimizers[0].param_groups) == adamw_groups


def test_embeddings_decay_when_asked() -> None:
    built = optim.build(tiny_model(), OptimizerConfig(decay_embeddings=True, weight_decay=0.2))
    decays = {name: g["weight_decay"] for g in built.optimizers[0].param_groups for name in names(built, g)}
    assert decays["embed.weight"] == 0.2


def names(built: optim.Optimizers, group: dict) -> list[str]:
    return [built.names[parameter] for parameter in group["params"]]


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_state_round_trip_goes_on_bit_for_bit(kind: str) -> None:
    config = OptimizerConfig(kind=kind)  # type: ignore[arg-type]
    first = tiny_model()
    one = optim.build(first, config)
    for step in range(3):
        backward(first, step)
        one.step()
        one.zero_grad()
    second = copy.deepcopy(first)
    two = optim.build(second, config)
    two.load_state({name: tensor.clone() for name, tensor in one.state().items()})
    for model, optimizers in ((first, one), (second, two)):
        backward(model, 9)
        optimizers.step()
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_foreign_state_is_refused() -> None:
    built = optim.build(tiny_model(), OptimizerConfig())
    with pytest.raises(CheckpointError, match=r"blocks\.9"):
        built.load_state({"blocks.9.weight.exp_avg": torch.zeros(1)})


def test_factor_scales_every_group() -> None:
    config = OptimizerConfig(kind="muon", learning_rate=0.4, embedding_learning_rate=0.8, muon_learning_rate=0.2)
    built = optim.build(tiny_model(), config)
    built.set_factor(0.5)
    rates = {name: g["lr"] for o in built.optimizers for g in o.param_groups for name in names(built, g)}
    assert rates["embed.weight"] == 0.4
    assert rates["blocks.0.bias"] == 0.2
    assert rates["blocks.0.weight"] == 0.1
    assert built.learning_rate == 0.1


def test_fused_matrices_of_the_model_say_what_they_hold() -> None:
    config = ModelConfig(d_model=32, n_layers=1, n_heads=4, n_kv_heads=2, d_mlp=48, vocab_size=16)
    known = roles(Model(config))
    assert known["blocks.0.attn.qkv.weight"].stacked == (32, 16, 16)
    assert known["blocks.0.mlp.gate_up.weight"].stacked == (48, 48)
    assert known["blocks.0.attn.out.weight"] == Role("matrix", writes=True)
    assert known["embed.weight"].kind == "embedding"
    assert {known[name].kind for name in known if name not in ("embed.weight",) and "blocks" not in name} == {
        "table",
        "vector",
    }


def test_muon_steps_each_matrix_of_a_weight_of_experts() -> None:
    experts = nn.Parameter(torch.randn(3, 12, 8, generator=torch.Generator().manual_seed(0)))
    apart = [nn.Parameter(part.clone()) for expert in experts.detach() for part in expert.split([4, 8])]
    experts.grad = torch.randn(3, 12, 8, generator=torch.Generator().manual_seed(1))
    for parameter, part in zip(apart, (p for e in experts.grad for p in e.split([4, 8])), strict=True):
        parameter.grad = part.clone()
    Muon([experts], stacked={experts: (4, 8)}).step()
    Muon(apart).step()
    assert torch.allclose(experts.flatten(0, 1), torch.cat([p.detach() for p in apart]), atol=1e-6)
    with pytest.raises(ValueError, match="shape"):
        Muon([nn.Parameter(torch.zeros(4))])


def test_a_parameter_that_nobody_answers_for_is_refused() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(3, 3))

    with pytest.raises(ModelError, match=r"Odd does not answer .*'inner\.table'.*\n.*roles"):
        optim.build(nn.ModuleDict({"inner": Odd()}), OptimizerConfig())

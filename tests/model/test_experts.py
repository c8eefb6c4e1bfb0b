"""Experts: the router's choices and losses beside transformers', grouped products, balance by a bias, known sizes."""

from typing import Any, cast

import pytest
import torch
from torch.autograd import gradcheck

from lilliput.base.errors import ConfigError
from lilliput.model.block import Block
from lilliput.model.config import ModelConfig, resolve
from lilliput.model.counts import flops_per_token, parameters
from lilliput.model.experts import BIAS_GRADIENT, Experts
from lilliput.model.grouped import grouped_linear
from lilliput.model.lora import pieces_of
from lilliput.model.transformer import Model
from tests.model.families import config, stirred, tokens

FAMILY = "qwen3_moe"


def experts(model: Model, layer: int = 0) -> Experts:
    """The experts of a layer."""
    return cast(Experts, cast(Block, model.blocks[layer]).mlp)


def test_grouped_products_are_the_products_of_each_group():
    x, weight = torch.randn(9, 5, dtype=torch.double), torch.randn(4, 3, 5, dtype=torch.double)
    counts = torch.tensor([2, 0, 6, 1])
    wanted = torch.cat([x[:2] @ weight[0].T, x[2:8] @ weight[2].T, x[8:] @ weight[3].T])
    torch.testing.assert_close(grouped_linear(x, weight, counts), wanted)
    x.requires_grad_()
    weight.requires_grad_()
    assert gradcheck(lambda x, weight: grouped_linear(x, weight, counts), (x, weight))
    with pytest.raises(ValueError, match="the experts have 8 rows, and there are 9"):
        grouped_linear(x, weight, torch.tensor([2, 0, 5, 1]))


def test_each_token_gets_its_own_experts():
    model = stirred(FAMILY, experts_per_token=3, normalize_routes=True)
    part, x = experts(model), torch.randn(2, 7, 48)
    wanted = torch.zeros(2, 7, 48)
    scores = part.router(x).softmax(-1)
    for row in range(2):
        for place in range(7):
            best = scores[row, place].topk(3)
            for share, expert in zip(best.values / best.values.sum(), best.indices, strict=True):
                gate, up = (part.gate_up.weight[expert] @ x[row, place]).chunk(2)
                wanted[row, place] += share * (part.down.weight[expert] @ (torch.nn.functional.silu(gate) * up))
    torch.testing.assert_close(part(x), wanted, atol=1e-5, rtol=1e-5)


def test_the_balance_is_transformers():
    loading = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    model = stirred("mixtral", n_layers=1, balance_loss=0.3, router_z_loss=0.0).train()
    part, x = experts(model), torch.randn(2, 30, 48)
    part(x)
    wanted = loading.load_balancing_loss_func((part.router(x).flatten(0, 1),), 4, 2)
    torch.testing.assert_close(part.added_loss(), 0.3 * wanted)


def test_even_routers_cost_least_and_large_logits_cost_z():
    model = stirred(FAMILY, experts_per_token=2, balance_loss=1.0, router_z_loss=0.0, n_layers=1).train()
    part = experts(model)
    with torch.no_grad():
        part.router.weight.zero_()
    part(torch.randn(2, 30, 48))
    assert cast(torch.Tensor, part.added_loss()).item() == pytest.approx(2.0)  # two choices of each token
    part.balance, part.z = 0.0, 0.5
    part(torch.randn(2, 30, 48))
    assert cast(torch.Tensor, part.added_loss()).item() == pytest.approx(0.5 * torch.log(torch.tensor(4.0)).item() ** 2)
    assert model.eval().added_loss() is None


def test_a_bias_moves_the_choice_and_not_the_weights():
    model = stirred("own_experts", router_z_loss=0.0).train()
    part, x = experts(model), torch.randn(2, 30, 48)
    assert part.bias is not None
    with torch.no_grad():
        part.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 2.0]))  # larger than any share of a softmax
    part(x)
    weights, chosen, _ = part._choose(part.router(x))
    assert (chosen == 3).any(-1).all()
    shares = part.router(x).softmax(-1).gather(-1, chosen)
    torch.testing.assert_close(weights, shares / shares.sum(-1, keepdim=True))
    added = cast(torch.Tensor, part.added_loss())
    assert added.item() == 0
    added.backward()
    load = cast(torch.Tensor, part.load)
    torch.testing.assert_close(part.bias.grad, BIAS_GRADIENT * (load - 0.25).sign())


@pytest.mark.parametrize("balance", ["loss", "bias"])
def test_training_spreads_the_tokens(balance: str):
    def spread(**changes: Any) -> float:
        made = {"n_layers": 1, "n_experts": 8, "experts_per_token": 1, "init": "normal", **changes}
        model = Model(config(FAMILY, **made), seed=3).train()
        with torch.no_grad():
            experts(model).router.weight[0] += 0.5  # one expert is the favourite
            model.embed.weight += 0.02
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
        for step in range(60):
            ids = tokens(8, 24, seed=step)
            optimizer.zero_grad()
            (model.loss(model(ids), ids, torch.ones(8, 24)) / 192).backward()
            optimizer.step()
        return float(cast(torch.Tensor, experts(model).load).max())

    kept = spread(balance="loss", balance_loss=0.0, router_z_loss=0.0)
    weighted = {"balance_loss": 0.1} if balance == "loss" else {}
    assert spread(balance=balance, **weighted) < kept / 1.5


def test_an_adapter_leaves_router_and_experts_alone():
    assert {name.rpartition(".")[2] for name in pieces_of(stirred("mixtral"))} == {"qkv", "out"}


def test_sizes_known_from_the_literature():
    mixtral, qwen = parameters(resolve("mixtral_8x7b")), parameters(resolve("qwen3_30b_a3b"))
    assert (mixtral.total, round(mixtral.active / 1e9, 1)) == (46_702_792_704, 12.9)
    assert (round(qwen.total / 1e9, 1), round(qwen.active / 1e9, 1)) == (30.5, 3.4)
    dense, same_active, same_total = (resolve(name) for name in ("story_1.8m", "moe_3.5m_a1.9m", "moe_1.9m_a1.4m"))
    router = 4 * 8 * 128
    assert parameters(same_active).active == parameters(dense).total + router
    assert parameters(same_total).total == parameters(dense).total + router
    assert flops_per_token(same_active).blocks == flops_per_token(dense).blocks + 2 * router


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mlp": "experts"}, "give both mlp=experts and n_experts"),
        ({"n_experts": 4}, "give both mlp=experts and n_experts"),
        ({"mlp": "experts", "n_experts": 2, "experts_per_token": 3}, "experts_per_token 3 is more than n_experts 2"),
        ({"mlp": "experts", "n_experts": 2, "bias": True}, "experts have no biases"),
        ({"d_shared": 64}, "d_shared would do nothing without experts"),
        ({"mlp": "experts", "n_experts": 2, "balance": "bias", "balance_loss": 0.1}, "balance_loss would do nothing"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], words: str):
    with pytest.raises((ConfigError, ValueError), match=words):
        ModelConfig(**given)

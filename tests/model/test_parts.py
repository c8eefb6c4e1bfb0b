"""Parts answer for themselves: an MLP of experts and a kind of attention that only this file knows are counted, filled,
stepped, added to the loss, and refused where they are not known."""

import ast
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lilliput import model as model_room
from lilliput.base.config import validate
from lilliput.base.errors import ConfigError
from lilliput.decoding import native
from lilliput.decoding.int8 import quantised
from lilliput.model.block import Block
from lilliput.model.config import ModelConfig
from lilliput.model.counts import flops_per_token, memory, parameters
from lilliput.model.huggingface import huggingface_class
from lilliput.model.mlps import MLP
from lilliput.model.parts import ATTENTIONS, MLPS, Linear, Role, roles
from lilliput.model.transformer import Model
from lilliput.training import optim
from lilliput.training.config import OptimizerConfig
from lilliput.training.muon import orthogonalise
from tests.model.families import config, tokens

EXPERTS = 4


class Experts(MLP):
    """Of four relu MLPs, each token passes through the one that the router scores highest. The router's balance, as
    of arXiv:2101.03961, is what is added to the loss."""

    def __init__(self, config: ModelConfig):
        nn.Module.__init__(self)
        self.router = Linear(config.d_model, EXPERTS, bias=False, table=True)
        self.up = nn.Parameter(torch.empty(EXPERTS, config.d_mlp, config.d_model))
        self.down = nn.Parameter(torch.empty(EXPERTS, config.d_model, config.d_mlp))
        self.balance: torch.Tensor | None = None

    def roles(self) -> dict[str, Role]:
        return {"up": Role("matrix"), "down": Role("matrix", writes=True)}

    @classmethod
    def parameters_of(cls, config: ModelConfig) -> int:
        return cls.matrices_of(config) + EXPERTS * config.d_model

    @classmethod
    def active_of(cls, config: ModelConfig) -> int:
        return 2 * config.d_model * config.d_mlp + EXPERTS * config.d_model

    @classmethod
    def matrices_of(cls, config: ModelConfig) -> int:
        return EXPERTS * 2 * config.d_model * config.d_mlp

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.router(x).softmax(-1)
        best, chosen = scores.max(-1)
        share = F.one_hot(chosen, EXPERTS).float().flatten(0, -2).mean(0)
        self.balance = EXPERTS * (share * scores.flatten(0, -2).mean(0)).sum()
        inner = torch.einsum("btd,btmd->btm", x, self.up[chosen]).relu()
        return torch.einsum("btm,btdm->btd", inner, self.down[chosen]) * best[..., None]

    def added_loss(self) -> torch.Tensor | None:
        return None if self.balance is None else 0.01 * self.balance


@pytest.fixture(autouse=True)
def experts(monkeypatch):
    """The registry knows the experts for the time of a test."""
    MLPS._search()
    monkeypatch.setitem(MLPS._entries, "toy_experts", Experts)


def chosen(**changes) -> ModelConfig:
    return config("story", **{"mlp": "toy_experts", "d_mlp": 64, **changes})


def mlp(model: Model, layer: int = 0) -> Any:
    """The experts of a layer."""
    return cast(Block, model.blocks[layer]).mlp


def test_they_are_counted():
    model, counts = Model(chosen()), parameters(chosen())
    assert counts.total == sum(parameter.numel() for parameter in model.parameters())
    idle = 2 * (EXPERTS - 1) * 2 * 48 * 64
    assert counts.active == counts.total - idle
    assert parameters(config("story")).active == parameters(config("story")).total
    flops = flops_per_token(chosen())
    assert flops.blocks == 2 * (counts.non_embedding - idle)
    states = {kind: memory(chosen(), optimizer=kind).training["optimizer"] for kind in ("adamw", "muon")}
    matrices = 2 * (4 * 48 * 48 + EXPERTS * 2 * 48 * 64)
    assert states["adamw"] - states["muon"] == 4 * matrices


def test_their_first_weights_follow_what_they_write():
    deep = {"n_layers": 8, "d_model": 128, "d_mlp": 128}
    found = {init: mlp(Model(chosen(init=init, **deep))) for init in ("zero_out", "scaled", "normal")}
    assert (found["zero_out"].down == 0).all()
    assert found["zero_out"].up.std().item() == pytest.approx(0.02, rel=0.05)
    assert found["scaled"].down.std().item() == pytest.approx(0.02 / math.sqrt(16), rel=0.05)
    assert found["normal"].down.std().item() == pytest.approx(0.02, rel=0.05)


def test_muon_steps_each_expert_and_no_router():
    model = Model(chosen(init="normal"))
    built = optim.build(model, OptimizerConfig(kind="muon", weight_decay=0.0, muon_learning_rate=0.5))
    kinds = {built.names[p]: type(o).__name__ for o in built.optimizers for g in o.param_groups for p in g["params"]}
    assert kinds["blocks.0.mlp.up"] == kinds["blocks.0.mlp.down"] == "Muon"
    assert kinds["blocks.0.mlp.router.weight"] == "AdamW"
    stepped = mlp(model)
    before = stepped.up.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
    grad = stepped.up.grad
    built.step()
    moved = (before - stepped.up.detach()) / (0.5 * math.sqrt(64 / 48))
    torch.testing.assert_close(moved, orthogonalise(grad), atol=1e-4, rtol=1e-3)


def test_what_they_add_is_in_the_loss_of_training_alone():
    model, ids = Model(chosen(init="normal")).train(), tokens(2, 20)
    weights = torch.rand(2, 20)
    training = model.loss(model(ids), ids, weights)
    added = 0.01 * sum(mlp(model, layer).balance.detach() for layer in (0, 1))
    model.eval()
    plain = model.loss(model(ids), ids, weights)
    assert added > 0.01
    torch.testing.assert_close(training, plain + weights.sum() * added)
    training.backward()
    assert (mlp(model).router.weight.grad != 0).any()
    assert Model(config("story")).train().added_loss() is None


def test_what_does_not_know_them_refuses():
    model = Model(chosen())
    with pytest.raises(ConfigError, match=r"int8 .*blocks\.0\.mlp is a Experts"):
        quantised(model)
    assert "Experts" in str(native.why_not(model))
    assert huggingface_class(chosen())[0] is None


def test_every_parameter_of_a_model_has_a_role():
    for family in ("story", "gpt2", "gpt"):
        model = Model(config(family))
        known = roles(model)
        assert known.keys() == dict(model.named_parameters()).keys()
        writers = {name for name, role in known.items() if role.writes}
        assert writers == {f"blocks.{i}.{part}.weight" for i in (0, 1) for part in ("attn.out", "mlp.down")}


ATTENTION = '''"""Attention whose result is halved."""

from lilliput.model.attention import Attention
from lilliput.model.parts import ATTENTIONS


@ATTENTIONS.add("halved")
class Halved(Attention):
    """Half of what full attention gives."""

    def forward(self, *given):
        return super().forward(*given) / 2
'''


def test_a_kind_of_attention_is_one_class(tmp_path: Path, monkeypatch):
    ATTENTIONS._search()
    monkeypatch.setattr(ATTENTIONS, "_entries", dict(ATTENTIONS._entries))
    with pytest.raises(ConfigError, match="unknown attention 'halved'"):
        validate(ModelConfig, {"attention": "halved"}, "model")
    (tmp_path / "halved_attention.py").write_text(ATTENTION)
    monkeypatch.syspath_prepend(tmp_path)
    __import__("halved_attention")
    try:
        made = config("story", attention="halved", init="normal", n_layers=1)
        model, plain = Model(made), Model(config("story", init="normal", n_layers=1))
        plain.get_parameter("blocks.0.attn.out.weight").data /= 2
        torch.testing.assert_close(model(tokens()), plain(tokens()))
        assert parameters(made).total == parameters(plain.config).total
        assert made.model_dump()["attention"] == "halved"
        name, reasons = huggingface_class(made)
        assert name is None
        assert any("attention=halved" in reason for reason in reasons)
        assert "Halved" in str(native.why_not(model))
    finally:
        sys.modules.pop("halved_attention", None)


SHAPE = re.compile(r"\([^)]*,[^)]*\)|\(\.\.\.|scalar|shape")


def public_functions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef]:
    """Functions, and methods of classes, whose names do not begin with an underscore."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield from [node] if isinstance(node, ast.FunctionDef) else public_functions(node.body)


def test_every_public_function_of_tensors_gives_their_shapes():
    """In its docstring, or in that of the method which it overrides."""
    found: dict[str, dict[str, bool]] = defaultdict(dict)
    for path in sorted(Path(model_room.__path__[0]).rglob("*.py")):
        for node in public_functions(ast.parse(path.read_text()).body):
            signature = ast.unparse(node.args) + (ast.unparse(node.returns) if node.returns else "")
            if "Tensor" in signature:
                shaped = SHAPE.search(ast.get_docstring(node) or "") is not None
                found[node.name][f"{path.name}:{node.lineno} {node.name}"] = shaped
    assert len(found) > 30
    assert [where for places in found.values() if not any(places.values()) for where in places] == []

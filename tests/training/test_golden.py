"""A tiny recipe's losses, to the last bit, against the same arithmetic written out once more.

Bits differ between processors and versions of PyTorch, so no file of losses can hold on all of them. Here both sides
run in one process: first weights by name, every operator of a step and of Muon and AdamW in its order. A change that
moves one loss by one bit fails; it is wrong, or this file changes with it and the change says why.
"""

from collections import defaultdict
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lilliput.base.seeds import derive
from lilliput.data.rows import Rows
from lilliput.model import kernels
from lilliput.model.config import ModelConfig
from lilliput.model.cross_entropy import linear_cross_entropy
from lilliput.model.kernels import library
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal
from lilliput.objectives.workshop import Workshop
from lilliput.training import optim
from lilliput.training.config import OptimizerConfig
from lilliput.training.muon import orthogonalise

CONFIG = ModelConfig(d_model=48, n_layers=2, n_heads=4, d_mlp=80, vocab_size=61, context_length=24)
OPTIMIZER = OptimizerConfig(kind="muon", weight_decay=0.1)
STEPS, SEED = 4, 7


def rows() -> Rows:
    tokens = np.random.default_rng(0).integers(0, 61, (6, 25))
    learn = np.ones((6, 25), np.float32)
    learn[:, 3] = 0
    return Rows(tokens, learn, None, [(0, 0)] * 6)


@pytest.fixture
def one_thread(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for module in (kernels, library):  # PyTorch's operators, which the other side is written in
        monkeypatch.setattr(module, "available", lambda: False)
    yield
    torch.set_num_threads(before)


def ours() -> list[float]:
    model = Model(CONFIG, SEED).train()
    objective = Causal().build(Workshop(cast(Any, None), model))
    optimizers, losses = optim.build(model, OPTIMIZER), []
    batch = objective.batch(rows(), np.random.default_rng(0))
    for _ in range(STEPS):
        loss = objective.loss(batch).total / float(batch.weights.sum())
        loss.backward()
        optimizers.step()
        optimizers.zero_grad()
        losses.append(loss.item())
    return losses


def first_weights() -> dict[str, torch.Tensor]:
    shapes = {"embed.weight": (61, 48), "ln_final.weight": (48,), "unembed.weight": (61, 48)}
    for i in (0, 1):
        shapes |= {f"blocks.{i}.{ln}.weight": (48,) for ln in ("ln1", "ln2")}
        shapes |= {f"blocks.{i}.attn.qkv.weight": (144, 48), f"blocks.{i}.attn.out.weight": (48, 48)}
        shapes |= {f"blocks.{i}.attn.{norm}.weight": (12,) for norm in ("q_norm", "k_norm")}
        shapes |= {f"blocks.{i}.mlp.gate_up.weight": (160, 48), f"blocks.{i}.mlp.down.weight": (48, 80)}
    made = {}
    for name, shape in shapes.items():
        made[name] = torch.ones(shape)
        if len(shape) == 2:
            std = 0.0 if name.endswith(("attn.out.weight", "mlp.down.weight")) else 0.02
            made[name].normal_(0.0, std, generator=torch.Generator().manual_seed(derive(SEED, "init", name)))
        made[name].requires_grad_()
    return made


def written_out_loss(w: dict[str, torch.Tensor], ids: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor):
    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.rms_norm(x, w[name].shape, w[name], 1e-5)

    def turn(x: torch.Tensor) -> torch.Tensor:
        first, second = x.split(6, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

    angles = torch.arange(24).float().unsqueeze(-1) * (1.0 / 10_000.0 ** (torch.arange(0, 12, 2).float() / 12))
    cos, sin = angles.cos().unsqueeze(-2), angles.sin().unsqueeze(-2)
    x = F.embedding(ids, w["embed.weight"])
    for i in (0, 1):
        at = f"blocks.{i}"
        qkv = F.linear(norm(x, f"{at}.ln1.weight"), w[f"{at}.attn.qkv.weight"]).view(6, 24, 12, 12)
        q, k, v = qkv.split(4, dim=2)
        q, k = norm(q, f"{at}.attn.q_norm.weight"), norm(k, f"{at}.attn.k_norm.weight")
        q, k, v = turn(q).transpose(1, 2), turn(k).transpose(1, 2), v.transpose(1, 2)
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(6, 24, 48)
        x = x + F.linear(z, w[f"{at}.attn.out.weight"])
        gate, up = F.linear(norm(x, f"{at}.ln2.weight"), w[f"{at}.mlp.gate_up.weight"]).chunk(2, -1)
        x = x + F.linear(F.silu(gate) * up, w[f"{at}.mlp.down.weight"])
    hidden = norm(x, "ln_final.weight").flatten(0, 1)
    return linear_cross_entropy(hidden, w["unembed.weight"], targets.flatten(), weights.flatten()) / float(
        weights.sum()
    )


def written_out() -> list[float]:
    w, given, losses = first_weights(), rows(), []
    tokens = torch.from_numpy(given.tokens)
    ids, targets, weights = tokens[:, :-1], tokens[:, 1:], torch.from_numpy(given.learn[:, 1:])
    matrices = {name: weight for name, weight in w.items() if name.startswith("blocks") and weight.dim() == 2}
    buffers = {name: torch.zeros_like(weight) for name, weight in matrices.items()}
    vectors = [weight for weight in w.values() if weight.dim() == 1]
    plain = {"betas": OPTIMIZER.betas, "eps": OPTIMIZER.eps, "weight_decay": 0.0, "fused": True}
    embedding_rate = OPTIMIZER.embedding_learning_rate or OPTIMIZER.learning_rate
    adamw = [
        torch.optim.AdamW([w["embed.weight"]], lr=embedding_rate, **plain),
        torch.optim.AdamW([w["unembed.weight"], *vectors], lr=OPTIMIZER.learning_rate, **plain),
    ]
    for _ in range(STEPS):
        loss = written_out_loss(w, ids.contiguous(), targets.contiguous(), weights.contiguous())
        losses.append(loss.item())
        loss.backward()
        for optimizer in adamw:
            optimizer.step()
        with torch.no_grad():
            by_shape = defaultdict(list)
            for name, weight in matrices.items():
                assert weight.grad is not None
                buffers[name].lerp_(weight.grad, 1 - OPTIMIZER.muon_momentum)
                update = weight.grad.lerp(buffers[name], OPTIMIZER.muon_momentum)
                weight.mul_(1 - OPTIMIZER.muon_learning_rate * OPTIMIZER.weight_decay)
                parts = {"qkv": 48, "gate_up": 80}.get(name.split(".")[3], len(weight))
                for piece, matrix in zip(weight.split(parts), update.split(parts), strict=True):
                    by_shape[piece.shape].append((piece, matrix))
            for shape, pairs in by_shape.items():
                steps = orthogonalise(torch.stack([matrix for _, matrix in pairs]))
                scale = -OPTIMIZER.muon_learning_rate * max(1.0, shape[0] / shape[1]) ** 0.5
                for (piece, _), step in zip(pairs, steps, strict=True):
                    piece.add_(step, alpha=scale)
        for weight in w.values():
            weight.grad = None
    return losses


def test_the_losses_of_a_tiny_recipe_are_the_same_to_the_last_bit(one_thread):
    found = ours()
    assert [loss.hex() for loss in found] == [loss.hex() for loss in written_out()]
    assert found[-1] < found[0]

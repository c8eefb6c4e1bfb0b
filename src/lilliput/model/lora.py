"""LoRA: low-rank updates of a model's matrices, W + alpha / rank B A, which are trained while W stays (2106.09685)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from lilliput.base.config import Config
from lilliput.base.errors import ConfigError, ModelError, nearest
from lilliput.base.seeds import derive
from lilliput.model.huggingface import huggingface_class, stock_of
from lilliput.model.parts import Linear, Role, dropout
from lilliput.model.places import Places, Split, find
from lilliput.model.selection import spread
from lilliput.model.transformer import Model

ALL = "all-linear"
"""The name that PEFT has for every matrix of the blocks, which is also the default here."""


class AdapterConfig(Config):
    """`adapter`: low-rank updates (LoRA) that are trained in place of the model's own weights."""

    rank: int = Field(default=8, ge=1, le=4096, description="rows of A and columns of B: the rank of an update")
    alpha: float = Field(default=16.0, gt=0, description="the update is alpha / rank B A")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout of the input of A, in training")
    targets: tuple[str, ...] | None = Field(
        default=None,
        description="matrices that get an update, by our names or the stock class's: [qkv, mlp.down], [q_proj, "
        "v_proj], [blocks.0-3]; null: every matrix of the blocks",
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows `start` to `stop` of one of our matrices that are a module of their own in the stock class, by its name
    there: our `qkv` is q_proj, k_proj and v_proj. Each piece has an A and a B of its own, as in PEFT."""

    theirs: str
    start: int
    stop: int


class LoraLinear(Linear):
    """A Linear, (..., inputs) -> (..., outputs), with an update for each of `pieces`: y = W x + b + scale B A x.

    lora_a (pieces * rank, inputs) and lora_b (rows of all pieces, rank) hold the pieces' matrices one below the other.
    A is drawn as PEFT draws it, uniform in +-1 / sqrt(inputs), and B is zero: at first the layer computes what it did.
    """

    def __init__(self, linear: Linear, pieces: Sequence[Piece], config: AdapterConfig, seed: int):
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.role = linear.in_features, linear.out_features, linear.role
        self.weight, self.bias = linear.weight, linear.bias
        self.pieces, self.rank, self.dropout = tuple(pieces), config.rank, config.dropout
        self.scale = config.alpha / config.rank
        weight, rows = linear.weight, sum(piece.stop - piece.start for piece in pieces)
        bound, generator = 1 / math.sqrt(self.in_features), torch.Generator().manual_seed(seed)
        drawn = torch.rand(len(pieces) * config.rank, self.in_features, generator=generator)
        self.lora_a = nn.Parameter((bound * (2 * drawn - 1)).to(weight))
        self.lora_b = nn.Parameter(weight.new_zeros(rows, config.rank))

    def roles(self) -> dict[str, Role]:
        """The roles of the weights. AdamW steps A and B, without decay: neither is a whole map that Muon could step."""
        return {**super().roles(), "lora_a": Role("table"), "lora_b": Role("table", first=0.0)}

    def added_flops(self, flows: bool) -> int:
        """The products of A and B, forward and backward. B's zeros between the pieces are computed with."""
        a, b = self.lora_a.numel(), self.out_features * len(self.pieces) * self.rank
        return 2 * (a * (2 + flows) + b * 3)  # the result of A has a gradient, because A is trained

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """input (..., inputs) -> (..., outputs)."""
        low = F.linear(dropout(input, self.dropout, self.training), self.lora_a)
        return F.linear(input, self.weight, self.bias) + self.scale * F.linear(low, self._up())

    def _up(self) -> torch.Tensor:
        """(outputs, pieces * rank): every B at the rows and columns of its piece, zeros elsewhere. For q and v of rank
        1 that is [[Bq, 0], [0, 0], [0, Bv]]: no column belongs to k."""
        blocks, at, row = [], 0, 0
        for piece in self.pieces:
            if piece.start > row:
                blocks.append(self.lora_b.new_zeros(piece.start - row, 0))
            blocks.append(self.lora_b[at : at + piece.stop - piece.start])
            at, row = at + piece.stop - piece.start, piece.stop
        if row < self.out_features:
            blocks.append(self.lora_b.new_zeros(self.out_features - row, 0))
        return blocks[0] if len(blocks) == 1 else torch.block_diag(*blocks)

    def matrices(self) -> Iterator[tuple[Piece, torch.Tensor, torch.Tensor]]:
        """Yield each piece with its A (rank, inputs) and its B (rows, rank): views of the parameters."""
        at = 0
        for number, piece in enumerate(self.pieces):
            rows = piece.stop - piece.start
            yield piece, self.lora_a[number * self.rank :][: self.rank], self.lora_b[at : at + rows]
            at += rows

    @torch.no_grad()
    def merged_weight(self) -> torch.Tensor:
        """W with its updates in it, (outputs, inputs), as model/adapter.py merges a folder."""
        weight = self.weight.detach().clone()
        for piece, a, b in self.matrices():
            weight[piece.start : piece.stop] += b @ a * self.scale
        return weight


STACKS = ("blocks.", "encoder.blocks.")
"""How the names of the blocks' matrices begin."""


def attach(model: Model, config: AdapterConfig, seed: int) -> int:
    """Give the targets of `config` their updates, and leave the updates alone to be trained. Returns the number of
    trained parameters. The first A is a function of `seed` and the module's name.

    Raises ModelError for a model without a stock class, whose modules an adapter's folder names, and ConfigError for a
    target that is no matrix of the blocks."""
    chosen = pieces_of(model, config.targets)
    model.requires_grad_(False)
    trained = 0
    for name, pieces in chosen.items():
        parent, _, leaf = name.rpartition(".")
        linear = cast(Linear, model.get_submodule(name))
        made = LoraLinear(linear, pieces, config, derive(seed, "lora", name) % 2**63)
        setattr(model.get_submodule(parent), leaf, made)
        trained += made.lora_a.numel() + made.lora_b.numel()
    return trained


def pieces_of(model: Model, targets: Sequence[str] | None = None) -> dict[str, list[Piece]]:
    """Return the pieces that `targets` name (None: all), by the name of our module. Raises as `attach` does."""
    table, every = names_of(model), {}
    for name, module in model.named_modules():
        # A router is a table, and stock classes have no linear module there that an adapter could stand on.
        if name.startswith(STACKS) and isinstance(module, Linear) and module.role.kind == "matrix":
            every[name] = _pieces(name, module, table, model)
    if targets is None or ALL in targets:
        return every
    chosen: dict[str, list[Piece]] = {}
    for target in targets:
        spellings = spread(target)
        found = {
            (name, piece)
            for name, pieces in every.items()
            for piece in pieces
            if any(_within(each, name) or _within(each, piece.theirs) for each in spellings)
        }
        if not found:
            known = dict.fromkeys(leaf for name, ps in every.items() for leaf in _leaves(name, ps))
            raise ConfigError(
                f"adapter.targets has '{target}', which is no matrix of the blocks{nearest(target, known)}",
                f"matrices: {', '.join(known)}; a block's: blocks.0; several blocks': blocks.0-3",
            )
        for name, piece in found:
            chosen.setdefault(name, []).append(piece)
    return {name: [piece for piece in every[name] if piece in chosen[name]] for name in every if name in chosen}


def names_of(model: Model) -> Places:
    """Return the stock class's names of the model's tensors. Raises ModelError where no class computes the model."""
    stock = stock_of(model.config)
    if stock is None:
        raise ModelError(
            "an adapter names the matrices of a stock class, and none computes this model: "
            + "; ".join(huggingface_class(model.config)[1]),
            "train the model itself: leave the section adapter out; train.freeze takes parts out of training",
        )
    return stock.names


def _pieces(name: str, module: Linear, table: Places, model: Model) -> list[Piece]:
    place, theirs = find(f"{name}.weight", table, model.config)
    rows = [module.out_features]
    if isinstance(place, Split):
        with torch.device("meta"):
            rows = [len(part) for part in place.out(torch.empty(module.out_features, 1), model.config)]
    stops = [sum(rows[: count + 1]) for count in range(len(rows))]
    return [
        Piece(weight.removesuffix(".weight"), stop - size, stop)
        for weight, size, stop in zip(theirs, rows, stops, strict=True)
    ]


def _within(target: str, name: str) -> bool:
    """Whether the parts of `target` stand in `name` one after the other: `attn.out` in `blocks.0.attn.out`."""
    return f".{target}." in f".{name}."


def _leaves(name: str, pieces: Sequence[Piece]) -> list[str]:
    within = name.removeprefix("encoder.")
    return [".".join(within.split(".")[2:]), *(piece.theirs.rpartition(".")[2] for piece in pieces)]


def adapted(model: nn.Module) -> dict[str, LoraLinear]:
    """Return the model's matrices that have updates, by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoraLinear)}


def merged(model: Model) -> Model:
    """Return a plain model that computes what `model` does in evaluation mode, its updates merged into its matrices.
    All other weights are shared with `model`; what is merged costs the memory of these matrices."""
    updates, made = adapted(model), Model(model.config, seed=None).to(model.embed.weight.device)
    state = {name: tensor for name, tensor in model.state_dict().items() if ".lora_" not in name}
    state |= {f"{name}.weight": module.merged_weight() for name, module in updates.items()}
    made.load_state_dict(state, assign=True)
    return made.requires_grad_(False).eval()

"""Linear attention: a layer that keeps a state of fixed size in place of keys and values (Gated DeltaNet)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from lilliput.base.errors import ModelError
from lilliput.model.delta_rule import CHUNK, delta_rule, state_after
from lilliput.model.norms import RMSNorm
from lilliput.model.parts import ATTENTIONS, AttentionPart, HookPoint, Linear, Role
from lilliput.model.short_convolution import ShortConvolution, tail_after

if TYPE_CHECKING:
    from lilliput.model.attention import Cache
    from lilliput.model.config import ModelConfig
    from lilliput.model.positions import Position, Tables
    from lilliput.model.sight import Seen, Sight

FIRST_DECAY = -4.6
"""Where the decay begins: alpha = exp(-softplus(-4.6)) = 0.99, so that half of what was written is left after 69
tokens."""
NEIGHBOURS = 4
"""Positions that the short convolution reads, the position itself included; as in the paper."""
LEAST_ALPHA = 1e-30
"""The least alpha that a hook may set: the logarithm of 0 is not finite."""


@ATTENTIONS.add("gated_delta")
class GatedDelta(AttentionPart):
    """The gated delta rule (delta_rule.py, arXiv:2412.06464), with one alpha and one beta for each head and token.

    q, k and v come from one matrix, a convolution over the last NEIGHBOURS positions, and SiLU; q and k are divided by
    their lengths. beta = sigmoid(b) and alpha = exp(-softplus(a + base)), where a and b are maps of the token and
    `base` is a vector. (The paper's alpha has one more factor for each head, which scales the softplus.) What is read
    is normed by head (RMSNorm), and one matrix leads back. The paper's gate on the output is left out, as it would be a
    fifth matrix. Between the matrices everything is float32, whatever their precision. There is no pattern, and no
    position is needed: decays and the convolution give the order of tokens.

    Hook points: `hook_q`, `hook_k`, `hook_v`, `hook_z` (B, T, heads, d_head), q and k before they are divided by their
    lengths, z after the norm; `hook_alpha`, `hook_beta` (B, T, heads).
    """

    summed = True
    unread = (
        *("n_kv_heads", "qk_norm", "qk_norm_over", "qkv_bias", "attention_scale", "window"),
        *("rope_theta", "rope_theta_window", "rope_scaling", "rotary_fraction"),
    )
    sees_later = False

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        heads, width = config.n_heads, config.d_head
        self.heads, self.width = heads, width
        self.qkv = Linear(config.d_model, 3 * heads * width, bias=config.bias, stacked=(heads * width,) * 3)
        self.convolution = ShortConvolution(3 * heads * width, NEIGHBOURS)
        # A table: an optimiser that turns matrices would mix the rates of the heads.
        self.rates = Linear(config.d_model, 2 * heads, bias=False, table=True)
        self.base = nn.Parameter(torch.empty(heads))
        self.z_norm = RMSNorm(width, config.norm_eps)
        self.out = Linear(heads * width, config.d_model, bias=config.bias, writes=True)
        self.hook_q, self.hook_k, self.hook_v, self.hook_z = (HookPoint() for _ in range(4))
        self.hook_alpha, self.hook_beta = HookPoint(), HookPoint()

    def roles(self) -> dict[str, Role]:
        """The role of `base` (n_heads,)."""
        return {"base": Role("vector", first=FIRST_DECAY)}

    @classmethod
    def parameters_of(cls, config: ModelConfig) -> int:
        heads, inner = config.n_heads, config.n_heads * config.d_head
        biases = 3 * inner + config.d_model if config.bias else 0
        rates = 2 * heads * config.d_model + heads + ShortConvolution.parameters_of(3 * inner, NEIGHBOURS)
        return cls.matrices_of(config) + biases + rates + RMSNorm.parameters_of(config.d_head)

    @classmethod
    def matrices_of(cls, config: ModelConfig) -> int:
        return 4 * config.d_model * config.n_heads * config.d_head

    @classmethod
    def flops_of(cls, config: ModelConfig, seen: int) -> int:
        """Return the FLOPs of the matrices, and of the chunkwise form: for each head and token 3 products with the
        state (d_head x d_head), and 4 with the positions of a chunk. They do not grow with `seen` beyond a chunk."""
        chunk, width = min(CHUNK, seen), config.d_head
        return 2 * cls.active_of(config) + config.n_heads * (6 * width**2 + 8 * chunk * width)

    @classmethod
    def kept_of(cls, config: ModelConfig) -> int:
        """Return what PyTorch's operators keep: about 27 vectors as wide as all heads, 5 numbers for each head and
        position of a chunk, and 2 states a chunk, as measured at widths of heads from 32 to 128."""
        heads, width = config.n_heads, config.d_head
        return heads * (27 * width + 5 * CHUNK + 2 * width**2 // CHUNK)

    @classmethod
    def cached_of(cls, config: ModelConfig) -> int:
        return 0

    @classmethod
    def state_of(cls, config: ModelConfig) -> tuple[tuple[int, ...], ...]:
        """Return the shapes of the state of the rule, and of what the convolution reads of the last positions."""
        heads, width = config.n_heads, config.d_head
        return (heads, width, width), (NEIGHBOURS - 1, 3 * heads * width)

    def forward(
        self, x: torch.Tensor, position: Position, tables: Tables, seen: Seen, cache: Cache | None, layer: int
    ) -> torch.Tensor:
        """x (B, T, d_model) -> (B, T, d_model). Raises ModelError for a sight of later positions or with a window."""
        check(seen.sight)
        rows, new, _ = x.shape
        made, first = self.qkv(x).float(), seen.first
        state, tail = (None, None) if cache is None else cache.state(layer)
        qkv = F.silu(self.convolution(made, first, tail)).view(rows, new, 3 * self.heads, self.width)
        q, k, v = qkv.split(self.heads, dim=2)
        q, k, v = self.hook_q(q), self.hook_k(k), self.hook_v(v)
        decay, beta = self._rates(x)
        with torch.autocast(x.device.type, enabled=False):
            q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
            q, k, v, decay, beta = (one.transpose(1, 2) for one in (q, k, v, decay, beta))
            read, written = delta_rule(q, k, v, decay, beta, first, state)
        if cache is not None and state is not None and tail is not None:
            cache.write(layer, lambda n: (state_after(state, k, written, decay, n), tail_after(tail, made, n)))
        z = self.hook_z(self.z_norm(read.transpose(1, 2)).to(x.dtype))
        return self.out(z.reshape(rows, new, self.heads * self.width))

    def _rates(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log alpha and beta of x (B, T, d_model), (B, T, heads) float32 each."""
        a, b = self.rates(x).float().split(self.heads, dim=-1)
        decay, beta = -F.softplus(a + self.base.float()), self.hook_beta(b.sigmoid())
        if self.hook_alpha.active:
            decay = self.hook_alpha(decay.exp()).clamp_min(LEAST_ALPHA).log()
        return decay, beta


def check(sight: Sight) -> None:
    """Raise ModelError for a sight that a state cannot have."""
    if not sight.causal:
        raise ModelError(
            "attention=gated_delta cannot see later positions (causal=False): its state holds earlier tokens alone",
            "use model.attention=full",
        )
    if sight.window is not None:
        raise ModelError(
            f"attention=gated_delta cannot have a window of {sight.window} positions: its state holds all earlier "
            "tokens in one sum",
            "leave the window out, or use model.attention=full",
        )

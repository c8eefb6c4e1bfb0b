"""Self-attention: heads, grouped keys and values, QK-norm, the positions that a Sight shows, and a cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F

from lilliput.base.errors import ModelError
from lilliput.model import kernels
from lilliput.model.biased import Bias
from lilliput.model.fields import known, unknown_fields
from lilliput.model.norms import Norm, RMSNorm
from lilliput.model.parts import ATTENTIONS, NORMS, POSITIONS, AttentionPart, HookPoint, Linear
from lilliput.model.positions import Position, Rotary

if TYPE_CHECKING:
    from lilliput.model.config import ModelConfig
    from lilliput.model.positions import Tables, Where
    from lilliput.model.sight import Across, Seen

KERNEL_FIELDS = known(
    "style d_model n_layers n_heads n_kv_heads d_head d_mlp vocab_size context_length norm norm_eps position "
    "rope_theta rotary_fraction mlp qk_norm window window_layers residual bias dropout tied_embeddings init "
    "causal norm_place embed_norm embed_scale token_types head unembed_bias qkv_bias rope_theta_window rope_scaling "
    "n_experts experts_per_token d_shared normalize_routes balance balance_loss router_z_loss attention "
    "attention_layers attention_scale encoder_layers position_buckets position_distance unembed_scale"
)
"""The config fields whose effect on a layer of full attention the attention kernel computes. A model with other fields
does not use the kernel, and neither does another kind of attention."""
KNOWN_TURNS = (Position.turn, Rotary.turn)
"""The kinds of position that the kernel computes."""


class Cache(Protocol):
    """What the layers keep of the positions so far. A forward pass over T new positions of each row calls `places`
    once. Each layer with keys and values calls `update` once; each layer with a state calls `state` and `write`
    once."""

    def places(self, new: int) -> tuple[Where, int]:
        """Return the positions of the `new` tokens of each row, a slice or (B, new) int64, and the largest position
        plus 1."""
        ...

    def update(self, layer: int, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a layer's new keys and values, (B, n_kv_heads, new, d_head) each; return all stored keys and values of
        the layer, (B, n_kv_heads, end, d_head) each."""
        ...

    def state(self, layer: int) -> tuple[torch.Tensor, ...]:
        """Return the state of a layer after the positions that are held: the tensors of the kind's `state_of`, (B, ...)
        each. Raises ModelError for a cache of keys and values alone."""
        raise keys_and_values_alone(layer)

    def write(self, layer: int, after: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]) -> None:
        """Take what new positions make of a layer's state: `after(counts)` returns the state after the first counts[b]
        of the new positions of row b, counts (B,) int64. It is called when positions are counted as held, with 0 to
        all of them. Raises ModelError as `state` does."""
        raise keys_and_values_alone(layer)

    def remember(self, layer: int, k: torch.Tensor, v: torch.Tensor, lengths: torch.Tensor | None) -> None:
        """Keep what a decoder's layer reads of the encoded sources, as long as the texts: keys and values (B,
        n_kv_heads, S, d_head), of which `lengths` (B,) are real. Raises ModelError for a cache that has no place for
        them."""
        raise no_sources(layer)

    def remembered(self, layer: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return what `remember` kept: keys and values (B, n_kv_heads, S, d_head), and lengths (B,). Raises ModelError
        where nothing was kept."""
        raise no_sources(layer)


def no_sources(layer: int) -> ModelError:
    """Return the error of a cache that holds nothing of a source, for a layer that reads one."""
    return ModelError(
        f"layer {layer} reads an encoded source, and this cache holds none",
        "give the source with the first tokens: model(tokens, cache=cache, source=Source(...))",
    )


def keys_and_values_alone(layer: int) -> ModelError:
    """Return the error of a cache that holds keys and values alone, for a layer that keeps a state."""
    return ModelError(
        f"layer {layer} keeps a state in place of keys and values, and this cache holds keys and values alone",
        "decode with a KVCache that was made with the model's own config",
    )


class Weighing(AttentionPart):
    """The base of kinds of attention with a pattern: softmax(scale q k + bias) v, and the norms of queries and keys.

    Hook points, in TransformerLens' shapes: `hook_q`, `hook_k`, `hook_v`, `hook_z` are (B, T, heads, d_head), q and k
    before QK-norm and position; `hook_attn_scores` and `hook_pattern` are (B, heads, T, keys). The fused kernel has no
    pattern: PyTorch's operators compute the scores and the pattern while `hook_attn_scores` or `hook_pattern` is
    hooked.
    """

    patterned = summed = True
    q_norm: Norm | None
    k_norm: Norm | None

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        self.heads, self.shared, self.width = config.n_heads, config.n_kv_heads, config.d_head
        self.dropout, self.eps = config.dropout, config.norm_eps
        self.scale = config.attention_scale or config.d_head**-0.5
        self.normed_over = config.qk_norm_over
        self.hook_q, self.hook_k, self.hook_v = HookPoint(), HookPoint(), HookPoint()
        self.hook_attn_scores, self.hook_pattern, self.hook_z = HookPoint(), HookPoint(), HookPoint()

    @classmethod
    def parameters_of(cls, config: ModelConfig) -> int:
        stacked = (config.n_heads + 2 * config.n_kv_heads) * config.d_head
        biases = stacked * (config.bias or config.qkv_bias) + config.d_model * config.bias
        normed = 2 if config.qk_norm_over == "head" else config.n_heads + config.n_kv_heads
        norms = RMSNorm.parameters_of(normed * config.d_head) if config.qk_norm else 0
        return cls.matrices_of(config) + biases + norms

    @classmethod
    def matrices_of(cls, config: ModelConfig) -> int:
        return 2 * config.d_model * (config.n_heads + config.n_kv_heads) * config.d_head

    def normed(self, norm: Norm | None, x: torch.Tensor) -> torch.Tensor:
        """Queries or keys x (B, T, heads, d_head), normed by head, or over all heads together."""
        if norm is None:
            return x
        return norm(x) if self.normed_over == "head" else norm(x.flatten(-2)).view(x.shape)

    def weighed(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, seen: Seen | Across, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the sum of the values by the pattern, (B, T, heads * d_head): q (B, heads, T, d_head), k and v
        (B, n_kv_heads, keys, d_head), and a bias (1 or B, heads, T, keys) of the scores, minus infinity where nothing
        is seen."""
        probability = self.dropout if self.training else 0.0
        if self.hook_pattern.active or self.hook_attn_scores.active:
            z = self._spelled_out(q, k, v, seen, bias, probability)
        else:
            mask = seen.mask() if seen.form == "some" else None
            z = F.scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=mask if bias is None else bias.to(q.dtype),
                dropout_p=probability,
                is_causal=seen.form == "causal" and bias is None,
                scale=self.scale,
                enable_gqa=self.shared != self.heads,
            )
        return self.hook_z(z.transpose(1, 2)).flatten(-2)

    def _spelled_out(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        seen: Seen | Across,
        bias: torch.Tensor | None,
        probability: float,
    ) -> torch.Tensor:
        """Compute the same as the fused kernel, and pass scores and pattern through their hook points."""
        groups = self.heads // self.shared
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        scores = q @ k.transpose(-2, -1) * self.scale
        scores = scores if bias is None else scores + bias.to(scores.dtype)
        scores = self.hook_attn_scores(scores.masked_fill(~seen.mask(), float("-inf")))
        pattern = self.hook_pattern(scores.softmax(-1, dtype=torch.float32))
        return F.dropout(pattern, probability, probability > 0).to(v.dtype) @ v


@ATTENTIONS.add("full")
class Attention(Weighing):
    """Queries, keys and values from one matrix, softmax(q k / sqrt(d_head)) v, and one matrix back (arXiv:1706.03762).

    Hook points besides those of Weighing: `hook_rot_q`, `hook_rot_k`, queries and keys after QK-norm and position.
    """

    def __init__(self, config: ModelConfig):
        super().__init__(config)
        heads, shared, width = config.n_heads, config.n_kv_heads, config.d_head
        self.kernel_knows = type(self) is Attention and not unknown_fields(config, KERNEL_FIELDS)
        stacked = (heads * width, shared * width, shared * width)
        self.qkv = Linear(config.d_model, sum(stacked), bias=config.bias or config.qkv_bias, stacked=stacked)
        self.out = Linear(heads * width, config.d_model, bias=config.bias, writes=True)
        self.q_norm, self.k_norm = head_norms(config)
        self.hook_rot_q, self.hook_rot_k = HookPoint(), HookPoint()

    @classmethod
    def flops_of(cls, config: ModelConfig, seen: int) -> int:
        """Return the FLOPs of the matrices, of the product of queries and keys, and of the product of pattern and
        values."""
        return 2 * cls.active_of(config) + 4 * config.n_heads * config.d_head * seen

    @classmethod
    def kept_of(cls, config: ModelConfig) -> int:
        """Return the numbers of queries, keys and values (queries and keys twice where the position rotates them) and
        of the result."""
        queries, keys = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
        turned = queries + keys if POSITIONS[config.position].turns else 0
        return 2 * queries + 2 * keys + turned

    @classmethod
    def cached_of(cls, config: ModelConfig) -> int:
        return 2 * config.n_kv_heads * config.d_head

    def forward(
        self,
        x: torch.Tensor,
        position: Position,
        tables: Tables,
        seen: Seen,
        cache: Cache | None,
        layer: int,
    ) -> torch.Tensor:
        """x (B, T, d_model) -> (B, T, d_model). `seen`: the positions that each position sees in this layer."""
        rows, new, _ = x.shape
        qkv = self.qkv(x).view(rows, new, self.heads + 2 * self.shared, self.width)
        bias, turned = (tables, None) if isinstance(tables, Bias) else (None, tables)
        whole = seen.bounded and cache is None and (bias is None or bias.square is not None)
        if whole and self._plain(position) and kernels.can_attend(qkv, turned):
            norms = (self.q_norm.weight, self.k_norm.weight) if self.q_norm is not None and self.k_norm else None
            z = kernels.attend(
                qkv,
                self.heads,
                norms=norms,
                eps=self.eps,
                tables=turned,
                dropout=self.dropout if self.training else 0.0,
                first=seen.first,
                last=seen.last,
                scale=self.scale,
                bias=None if bias is None else bias.square,
            )
            return self.out(self.hook_z(z).reshape(rows, new, self.heads * self.width))
        q, k, v = qkv.split((self.heads, self.shared, self.shared), dim=2)
        q, k, v = self.hook_q(q), self.hook_k(k), self.hook_v(v)
        q, k = self.normed(self.q_norm, q), self.normed(self.k_norm, k)
        q, k = self.hook_rot_q(position.turn(q, tables)), self.hook_rot_k(position.turn(k, tables))
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        if cache is not None:
            k, v = cache.update(layer, k, v)
        return self.out(self.weighed(q, k, v, seen, None if bias is None else bias.scores()))

    def _plain(self, position: Position) -> bool:
        """Return whether the kernel may compute this layer's attention, from queries, keys and values to the input of
        the output matrix. No hook may be set on the steps between, and the kernel has to support the config's fields,
        the norms and the kind of position."""
        hooks = (self.hook_q, self.hook_k, self.hook_v, self.hook_rot_q, self.hook_rot_k)
        looked = any(hook.active for hook in (*hooks, self.hook_pattern, self.hook_attn_scores))
        normed = all(norm is None or norm.is_plain_rms for norm in (self.q_norm, self.k_norm))
        return self.kernel_knows and not looked and normed and type(position).turn in KNOWN_TURNS


def head_norms(config: ModelConfig) -> tuple[Norm | None, Norm | None]:
    """Return the norms of queries and of keys: RMS norms, of the same kind as the norms of the model where these are;
    None without qk_norm."""
    if not config.qk_norm:
        return None, None
    kind = NORMS[config.norm] if config.norm.startswith("rms") else RMSNorm
    query, key = (1, 1) if config.qk_norm_over == "head" else (config.n_heads, config.n_kv_heads)
    return kind(query * config.d_head, config.norm_eps), kind(key * config.d_head, config.norm_eps)

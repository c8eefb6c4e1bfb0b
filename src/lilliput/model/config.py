"""ModelConfig: one transformer, described by its parts and its sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializationInfo, SerializerFunctionWrapHandler, model_serializer, model_validator

from lilliput.base.config import Config, validate
from lilliput.base.errors import nearest
from lilliput.base.registered import Named
from lilliput.model.attention_layers import check_layers
from lilliput.model.parts import ATTENTIONS, MLPS, NORMS, POSITIONS
from lilliput.model.rope_scaling import RopeScaling
from lilliput.model.styles import STYLES

LARGEST = {
    "d_model": 2**17,
    "n_layers": 2**11,
    "n_heads": 2**13,
    "n_kv_heads": 2**13,
    "d_head": 2**13,
    "d_mlp": 2**19,
    "vocab_size": 2**21,
    "context_length": 2**24,
    "encoder_layers": 2**11,
}
"""The bounds of the sizes, each several times the largest known model's. A larger value is a mistake or an attack."""
EXPERTS = ("n_experts", "experts_per_token", "d_shared", "normalize_routes", "balance", "balance_loss", "router_z_loss")
"""Fields of a router and its experts, which nothing reads where mlp is not experts."""
ZOO = (
    *("causal", "norm_place", "embed_norm", "embed_scale", "token_types", "head", "unembed_bias", "qkv_bias"),
    *("qk_norm_over", "attention_scale", "rope_theta_window", "rope_scaling"),
    *("encoder_layers", "position_buckets", "position_distance", "unembed_scale"),
)
"""Fields of encoders and of the stock classes of others."""
NEWER = ("attention", "attention_layers", "window_layers", *EXPERTS, *ZOO)
"""Fields that older folders and versions do not have: they are written only where they are not at their default."""
DERIVED = ("n_heads", "n_kv_heads", "d_head", "d_mlp")
"""Sizes that follow from the other sizes where they are not given."""


Family = Literal["decoder", "encoder", "encoder-decoder"]


class ModelConfig(Config):
    """The parts and sizes of one transformer. The defaults are a shape of about 2M parameters with Llama's parts and
    QK-norm, which Hugging Face calls Qwen3.

    A `style` (see styles.py) sets all fields that are not given. Sizes left at 0 follow from the other sizes: heads of
    64 channels where d_model allows it, else 32; as many key heads as query heads; an MLP of 4 d_model, or of 8/3
    d_model rounded up to a multiple of 32 where it is gated.
    """

    style: str | None = Field(
        default=None, description="a named row (`lilliput model list`) that sets all fields that are not given"
    )
    d_model: int = Field(
        default=192, ge=1, le=LARGEST["d_model"], strict=True, description="width of the residual stream"
    )
    n_layers: int = Field(default=3, ge=1, le=LARGEST["n_layers"], strict=True, description="number of blocks")
    n_heads: int = Field(
        default=0, ge=0, le=LARGEST["n_heads"], strict=True, description="number of query heads; 0: from d_model"
    )
    n_kv_heads: int = Field(
        default=0,
        ge=0,
        le=LARGEST["n_kv_heads"],
        strict=True,
        description="number of key and value heads, which groups of query heads share; 0: n_heads",
    )
    d_head: int = Field(
        default=0, ge=0, le=LARGEST["d_head"], strict=True, description="channels of a head; 0: d_model / n_heads"
    )
    d_mlp: int = Field(
        default=0, ge=0, le=LARGEST["d_mlp"], strict=True, description="inner width of the MLP; 0: from d_model"
    )
    vocab_size: int = Field(
        default=2048, ge=2, le=LARGEST["vocab_size"], strict=True, description="number of token ids"
    )
    context_length: int = Field(
        default=256,
        ge=1,
        le=LARGEST["context_length"],
        strict=True,
        description="most tokens that the model sees at once",
    )
    causal: bool = Field(
        default=True, description="a position sees itself and earlier positions; false: an encoder, which sees all"
    )
    encoder_layers: int = Field(
        default=0,
        ge=0,
        le=LARGEST["encoder_layers"],
        strict=True,
        description="number of blocks of an encoder, whose text the decoder reads by cross-attention (T5); 0: none",
    )
    norm: Annotated[str, Named(NORMS)] = Field(
        default="rms", description="rms, rms_plus_one, layer, layer_unbiased or batch"
    )
    norm_place: Literal["pre", "post", "output", "sandwich"] = Field(
        default="pre",
        description="pre: before attention and MLP; post: after the sum with the residual stream (BERT); output: on "
        "the outputs of attention and MLP (OLMo 2); sandwich: before both and on their outputs (Gemma)",
    )
    embed_norm: bool = Field(
        default=False,
        description="norm of the embeddings; with norm_place=pre the first attention then has no norm of its own",
    )
    embed_scale: bool = Field(default=False, description="multiply the embeddings by the root of d_model (Gemma)")
    token_types: int = Field(
        default=0, ge=0, le=2**10, strict=True, description="number of types of tokens, such as BERT's two; 0: none"
    )
    norm_eps: float = Field(default=1e-5, gt=0, description="added under the root of every norm")
    position: Annotated[str, Named(POSITIONS)] = Field(
        default="rotary",
        description="rotary, learned, alibi, buckets (a learned bias by distance, as in T5) or none",
    )
    position_buckets: int = Field(
        default=32,
        ge=4,
        le=2**12,
        multiple_of=4,
        strict=True,
        description="distances that position=buckets tells apart",
    )
    position_distance: int = Field(
        default=128, ge=2, le=2**24, strict=True, description="the distance from which on all are one bucket"
    )
    rope_theta: float = Field(default=10_000.0, gt=0, description="base of the rotary angles")
    rope_theta_window: float | None = Field(
        default=None, gt=0, description="base of the rotary angles in the layers with the window; null: rope_theta"
    )
    rope_scaling: RopeScaling | None = Field(
        default=None,
        description="stretched rotary angles for a longer context, where rope_theta_window does not apply",
    )
    rotary_fraction: float = Field(
        default=1.0, gt=0, le=1, description="share of each head's channels that rotary rotates"
    )
    mlp: Annotated[str, Named(MLPS)] = Field(
        default="swiglu", description="swiglu, geglu, geglu_tanh, gelu, gelu_tanh, relu2, relu or experts"
    )
    n_experts: int = Field(
        default=0, ge=0, le=2**12, strict=True, description="number of SwiGLU MLPs of width d_mlp, for mlp=experts"
    )
    experts_per_token: int = Field(default=2, ge=1, strict=True, description="experts that each token passes through")
    d_shared: int = Field(
        default=0,
        ge=0,
        le=LARGEST["d_mlp"],
        strict=True,
        description="inner width of an MLP that every token passes beside its experts; 0: none",
    )
    normalize_routes: bool = Field(
        default=True, description="divide the weights of a token's experts by their sum (norm_topk_prob)"
    )
    balance: Literal["loss", "bias"] = Field(
        default="loss",
        description="what keeps experts equally busy: a term of the loss, or a bias on the choice (arXiv:2408.15664)",
    )
    balance_loss: float = Field(default=0.01, ge=0, description="weight of the load-balancing loss")
    router_z_loss: float = Field(default=0.001, ge=0, description="weight of the loss of large router logits")
    attention: Annotated[str, Named(ATTENTIONS)] = Field(
        default="full",
        description="full, gated_delta (linear attention: arXiv:2412.06464), or another kind that a module of "
        "lilliput.model registers",
    )
    attention_layers: tuple[int, ...] | None = Field(
        default=None,
        description="numbers of the layers that have this kind of attention, from 0, while all others have full "
        "attention; null: all layers",
    )
    qk_norm: bool = Field(default=True, description="RMS norm of every query and key head, before rotary")
    qk_norm_over: Literal["head", "all"] = Field(
        default="head", description="head: each head has its own mean square; all: one for all heads together (OLMo 2)"
    )
    attention_scale: float | None = Field(
        default=None, gt=0, description="factor of the products of queries and keys; null: 1 / sqrt(d_head)"
    )
    window: int | None = Field(
        default=None, ge=1, description="number of last positions that a position sees, itself included"
    )
    window_layers: tuple[int, ...] | None = Field(
        default=None, description="numbers of the layers that have the window, from 0; null: all layers"
    )
    residual: Literal["sequential", "parallel", "parallel_shared", "none"] = Field(
        default="sequential",
        description="sequential: the MLP reads the output of attention; parallel: both read one input, each by a norm "
        "(GPT-NeoX); parallel_shared: by one norm (Phi); none: no residual stream",
    )
    bias: bool = Field(default=False, description="biases in attention and MLP; the kind of a norm decides on its bias")
    qkv_bias: bool = Field(
        default=False, description="biases of queries, keys and values where there are no others (Qwen2)"
    )
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="probability of dropout in embeddings, attention patterns and both block outputs",
    )
    tied_embeddings: bool = Field(default=False, description="use one matrix for the embeddings and the output head")
    head: Literal["linear", "transform"] = Field(
        default="linear", description="linear: the output matrix; transform: a layer, GELU and a norm before it (BERT)"
    )
    unembed_bias: bool = Field(default=False, description="a bias of each token's logit")
    unembed_scale: bool = Field(
        default=False, description="divide the last hidden states by the root of d_model (T5 with tied embeddings)"
    )
    init: Literal["normal", "scaled", "zero_out"] = Field(
        default="zero_out", description="normal: N(0, 0.02); scaled: GPT-2's; zero_out: block outputs start at zero"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        """Apply the given values to the style's row, then derive the sizes that are not given."""
        if not isinstance(values, Mapping):
            return values
        filled = {key: _whole(key, v) for key, v in values.items() if v is not None or key == "window"}
        style = filled.get("style")
        if style is not None:
            if not isinstance(style, str) or style not in STYLES:
                raise ValueError(
                    f"unknown model style '{style}'{nearest(str(style), STYLES)}; `lilliput model list` shows them all"
                )
            filled = {**STYLES[style], **filled}
        return {**filled, **_sizes(filled)}

    @property
    def windows(self) -> tuple[int | None, ...]:
        """Return the window of each layer, None where the layer sees everything that the Sight shows."""
        windowed = range(self.n_layers) if self.window_layers is None else self.window_layers
        return tuple(self.window if layer in windowed else None for layer in range(self.n_layers))

    @property
    def family(self) -> Family:
        """Return the kind of model: a decoder, an encoder, or a decoder with an encoder before it."""
        if self.encoder_layers:
            return "encoder-decoder"
        return "decoder" if self.causal else "encoder"

    @property
    def encoder(self) -> ModelConfig:
        """Return the config of the encoder before a decoder: a stack of the same parts that sees both sides."""
        return self.model_copy(update={"n_layers": self.encoder_layers, "encoder_layers": 0, "causal": False})

    @property
    def attentions(self) -> tuple[str, ...]:
        """Return the kind of attention of each layer."""
        named = range(self.n_layers) if self.attention_layers is None else self.attention_layers
        return tuple(self.attention if layer in named else "full" for layer in range(self.n_layers))

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        named = self.window_layers
        if named is not None and self.window is None:
            raise ValueError("window_layers is given without window")
        if named is not None and (not named or list(named) != sorted({*named} & {*range(self.n_layers)})):
            raise ValueError(
                f"window_layers {list(named)} has to name layers from 0 to {self.n_layers - 1}, in order, each once"
            )
        if (self.mlp == "experts") != (self.n_experts > 0):
            raise ValueError(f"mlp={self.mlp} and n_experts={self.n_experts}: give both mlp=experts and n_experts")
        if self.n_experts and self.experts_per_token > self.n_experts:
            raise ValueError(f"experts_per_token {self.experts_per_token} is more than n_experts {self.n_experts}")
        if self.n_experts and self.bias:
            raise ValueError("experts have no biases: give bias=false")
        odd = [name for name in EXPERTS[1:] if getattr(self, name) != type(self).model_fields[name].default]
        if odd and not self.n_experts:
            raise ValueError(f"{', '.join(odd)} would do nothing without experts: give mlp=experts and n_experts")
        if self.balance == "bias" and "balance_loss" in odd:
            raise ValueError("balance_loss would do nothing: balance=bias has no loss; leave one of them out")
        if mistake := self._mistaken_parts():
            raise ValueError(mistake)
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads {self.n_heads} is not a multiple of n_kv_heads {self.n_kv_heads}")
        fields = type(self).model_fields
        check_layers(self, {**{name: field.default for name, field in fields.items()}, "n_kv_heads": self.n_heads})
        rotated = int(self.d_head * self.rotary_fraction)
        if self.position == "rotary" and (rotated < 2 or rotated % 2):
            raise ValueError(
                f"rotary turns pairs of channels, but rotary_fraction {self.rotary_fraction} of d_head "
                f"{self.d_head} is {rotated} channels; it has to be even and at least 2"
            )
        return self

    def _mistaken_parts(self) -> str | None:
        """Return a sentence on a setting that would do nothing, or that contradicts another setting; else None."""
        parallel = self.residual.startswith("parallel")
        if parallel and self.norm_place != "pre":
            return f"residual={self.residual} needs norm_place=pre: attention and MLP read one input before its norm"
        if self.bias and self.qkv_bias:
            return "bias=true has the biases of queries, keys and values: leave out qkv_bias"
        if self.qk_norm_over == "all" and not self.qk_norm:
            return "qk_norm_over would do nothing without qk_norm"
        if self.position != "rotary" and (self.rope_scaling or self.rope_theta_window):
            return f"rope_scaling and rope_theta_window would do nothing with position={self.position}"
        if self.position != "buckets" and (self.position_buckets, self.position_distance) != (32, 128):
            return f"position_buckets and position_distance would do nothing with position={self.position}"
        if self.position == "buckets" and self.position_distance <= self.position_buckets // 2:
            return f"position_distance {self.position_distance} has to be more than half of position_buckets"
        if self.encoder_layers and (mistake := self._mistaken_encoder()):
            return f"encoder_layers={self.encoder_layers} and {mistake}"
        if self.rope_theta_window and self.window is None:
            return "rope_theta_window is the angle base of the layers with a window, and no window is given"
        return None

    def _mistaken_encoder(self) -> str | None:
        """Return a sentence on a setting that an encoder before a decoder does not take; else None."""
        if not self.causal:
            return "causal=false: a decoder reads the encoder; leave one of them out"
        if self.residual != "sequential":
            return f"residual={self.residual}: a decoder reads its source between attention and MLP; use sequential"
        if self.window is not None or self.attention != "full" or self.token_types:
            return "window, attention and token_types: an encoder and its decoder have full attention and no types"
        return None

    @model_serializer(mode="wrap")
    def _serialise(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """Where defaults are left out, they are the values of the style's row, so that the reader gets this config.
        Fields of NEWER are always left out at their default."""
        if not info.exclude_defaults:
            newer = {name for name in NEWER if getattr(self, name) == type(self).model_fields[name].default}
            return {name: value for name, value in handler(self).items() if name not in newer}
        plain = ModelConfig(style=self.style)
        style = {} if self.style is None else {"style": self.style}
        if self == plain:
            return style
        changed = {name for name in type(self).model_fields if getattr(self, name) != getattr(plain, name)}
        return style | {name: getattr(self, name) for name in type(self).model_fields if name in changed | {*DERIVED}}


def _whole(key: str, value: Any) -> Any:
    """Turn a size that was written as 1e3 into a whole number."""
    return int(value) if key in LARGEST and isinstance(value, float) and value.is_integer() else value


def _sizes(given: Mapping[str, Any]) -> dict[str, int]:
    """Return the derived sizes that are not given. Empty where a given size is no usable number, because validation
    then reports that size."""

    def size(name: str) -> int:
        return given.get(name, ModelConfig.model_fields[name].default)

    numbers = [size(name) for name in ("d_model", *DERIVED)]
    if not all(type(number) is int and number >= 0 for number in numbers) or not size("d_model"):
        return {}
    d_model, heads, d_head = size("d_model"), size("n_heads"), size("d_head")
    d_head = d_head or (d_model // heads if heads else 64 if d_model % 64 == 0 else min(32, d_model))
    heads = heads or d_model // d_head
    if not size("d_head") and heads * d_head != d_model:
        raise ValueError(
            f"d_model {d_model} is not a multiple of n_heads {heads}"
            if size("n_heads")
            else f"d_model {d_model} is not a multiple of 32, so n_heads or d_head has to be given"
        )
    mlp = given.get("mlp", ModelConfig.model_fields["mlp"].default)
    gated = isinstance(mlp, str) and mlp in MLPS and MLPS[mlp].gated
    d_mlp = size("d_mlp") or (-(-8 * d_model // 96) * 32 if gated else 4 * d_model)
    return {"n_heads": heads, "n_kv_heads": size("n_kv_heads") or heads, "d_head": d_head, "d_mlp": d_mlp}


def resolve(name: str, **changes: Any) -> ModelConfig:
    """The config of a named style, with changes laid over it. Raises ConfigError for an unknown name, key or value."""
    return validate(ModelConfig, {"style": name, **changes}, f"model {name}")

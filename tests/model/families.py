"""One small model a family of styles: a row here, and every contract test runs on it."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from lilliput.decoding.cache import KVCache
from lilliput.lens.stream import FIELDS
from lilliput.model.attention_layers import UNREAD_POSITION
from lilliput.model.config import ModelConfig
from lilliput.model.fields import unknown_fields
from lilliput.model.parts import HookPoint
from lilliput.model.sight import Sight
from lilliput.model.source import Source
from lilliput.model.transformer import Model

SIZE = {"d_model": 48, "n_layers": 2, "n_heads": 4, "d_mlp": 80, "vocab_size": 61, "context_length": 24}
EXPERTS = {"mlp": "experts", "n_experts": 4, "d_mlp": 48}
GPT = {"norm": "layer", "mlp": "gelu", "qk_norm": False}
PHI = {"rotary_fraction": 0.5, "bias": True, "unembed_bias": True}
GEMMA = {"norm": "rms_plus_one", "norm_place": "sandwich", "embed_scale": True, "mlp": "geglu_tanh", "d_head": 8}
LLAMA3 = {"kind": "llama3", "factor": 8.0, "low": 1.0, "high": 4.0, "original": 16}
ENCODER = {"causal": False, "qk_norm": False, "embed_norm": True, "head": "transform", "unembed_bias": True}
BERT = {
    **{**ENCODER, "norm": "layer", "norm_place": "post", "position": "learned", "mlp": "gelu"},
    **{"bias": True, "token_types": 2},
}
MODERNBERT = {**ENCODER, "norm": "layer_unbiased", "mlp": "geglu"}
LOCAL = {"rope_theta_window": 100.0}
FAMILIES: dict[str, tuple[str | None, dict[str, Any]]] = {
    "story": ("Qwen3ForCausalLM", {}),
    "story_grouped": ("Qwen3ForCausalLM", {"n_kv_heads": 2, "d_head": 16}),
    "story_window": ("Qwen3ForCausalLM", {"window": 5}),
    "story_window_layers": ("Qwen3ForCausalLM", {"window": 3, "window_layers": (1,)}),
    "llama": ("LlamaForCausalLM", {"qk_norm": False}),
    "llama_grouped_biased": ("LlamaForCausalLM", {"qk_norm": False, "n_kv_heads": 1, "bias": True}),
    "mistral": ("MistralForCausalLM", {"qk_norm": False, "window": 5, "n_kv_heads": 2}),
    "mistral_odd_heads": ("MistralForCausalLM", {"qk_norm": False, "n_heads": 5, "d_head": 8}),
    "mixtral": ("MixtralForCausalLM", {**EXPERTS, "qk_norm": False, "n_kv_heads": 2}),
    "qwen3_moe": ("Qwen3MoeForCausalLM", {**EXPERTS, "experts_per_token": 1, "normalize_routes": False}),
    "own_experts": (None, {**EXPERTS, "d_shared": 24, "balance": "bias"}),
    "own_gated_delta": (None, {"attention": "gated_delta", "position": UNREAD_POSITION}),
    "own_hybrid": (None, {"attention": "gated_delta", "attention_layers": (0,), "n_kv_heads": 2, "bias": True}),
    "gpt": ("GPTNeoXForCausalLM", {**GPT, "init": "scaled"}),
    "pythia": ("GPTNeoXForCausalLM", {**GPT, "residual": "parallel", "rotary_fraction": 0.5, "bias": True}),
    "gpt2": ("GPT2LMHeadModel", {**GPT, "position": "learned", "mlp": "gelu_tanh", "bias": True}),
    "gpt2_unbiased": ("GPT2LMHeadModel", {**GPT, "position": "learned", "mlp": "relu2"}),
    "qwen2": ("Qwen2ForCausalLM", {"qk_norm": False, "qkv_bias": True, "n_kv_heads": 2}),
    "qwen2_window": ("Qwen2ForCausalLM", {"qk_norm": False, "qkv_bias": True, "window": 5, "window_layers": (1,)}),
    "olmo2": ("Olmo2ForCausalLM", {"norm_place": "output", "qk_norm_over": "all", "n_kv_heads": 2}),
    "phi": ("PhiForCausalLM", {**GPT, "mlp": "gelu_tanh", "residual": "parallel_shared", **PHI}),
    "gemma3": ("Gemma3ForCausalLM", {**GEMMA, "window": 5, "window_layers": (0,), "rope_theta_window": 100.0}),
    "llama_linear": ("LlamaForCausalLM", {"qk_norm": False, "rope_scaling": {"kind": "linear", "factor": 4.0}}),
    "llama3": ("LlamaForCausalLM", {"qk_norm": False, "rope_scaling": LLAMA3}),
    "own_post": (None, {"norm_place": "post"}),
    "own_alibi": (None, {"position": "alibi", "n_kv_heads": 2}),
    "own_no_position": (None, {"position": "none"}),
    "own_no_residual": (None, {"residual": "none", "norm": "layer", "mlp": "gelu", "init": "normal"}),
    "own_batch_norm": (None, {"norm": "batch", "mlp": "relu"}),
    "bert": ("BertForMaskedLM", BERT),
    "modernbert": ("ModernBertForMaskedLM", {**MODERNBERT, "window": 5, "window_layers": (1,), **LOCAL}),
    "modernbert_biased": ("ModernBertForMaskedLM", {**MODERNBERT, "bias": True, "norm": "layer"}),
    "own_encoder": (None, {"causal": False}),
    "own": (None, {"mlp": "relu2", "residual": "parallel", "window": 7, "n_kv_heads": 2, "bias": True}),
}

T5 = {"position": "buckets", "qk_norm": False, "attention_scale": 1.0, "encoder_layers": 3, "d_head": 16}
TIED = {"tied_embeddings": True, "unembed_scale": True}
SOURCED: dict[str, tuple[str | None, dict[str, Any]]] = {
    "t5": ("T5ForConditionalGeneration", {**T5, "mlp": "geglu_tanh", "position_buckets": 8, "position_distance": 12}),
    "t5_tied": ("T5ForConditionalGeneration", {**T5, **TIED, "mlp": "relu", "d_head": 8}),
    "own_sourced": (None, {**EXPERTS, "encoder_layers": 1, "n_kv_heads": 2, "norm_place": "sandwich"}),
    "own_sourced_post": (None, {**GPT, "encoder_layers": 2, "norm_place": "post", "position": "learned", "bias": True}),
}
"""Decoders with an encoder. They read a source beside their tokens (`read`)."""

DECODERS = [family for family, (_, parts) in FAMILIES.items() if parts.get("causal", True)]
"""The families whose positions see earlier positions alone. They generate text, with a cache."""
SUMS = [family for family in FAMILIES if not unknown_fields(ModelConfig(**{**SIZE, **FAMILIES[family][1]}), FIELDS)]
"""The families whose logits are the sum of what their parts write, normed once."""
NEURONS = [family for family in SUMS if FAMILIES[family][1].get("mlp") != "experts"]
"""Those of them whose MLPs have neurons that act on all tokens."""
PATTERNED = [family for family, (_, parts) in FAMILIES.items() if parts.get("attention", "full") == "full"]
"""The families whose attention has a pattern in every layer."""


def config(family: str, **changes: Any) -> ModelConfig:
    """The family's small config."""
    return ModelConfig(**{**SIZE, **(FAMILIES | SOURCED)[family][1], **changes})


def stirred(family: str, seed: int = 0, **changes: Any) -> Model:
    """A model whose every parameter, norms and biases too, is away from where it starts; in eval mode."""
    return stir(Model(config(family, **changes)), seed)


def stir(model: Any, seed: int = 0) -> Any:
    """Move every parameter of a module off its first value."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def source(rows: int = 2, seed: int = 5) -> Source:
    """Sources of 9 tokens, of which the second row has 4."""
    return Source(tokens(rows, 9, seed=seed), torch.tensor([9, 4])[:rows])


def read(model: Model, ids: torch.Tensor, sight: Sight | None = None, cache: KVCache | None = None) -> torch.Tensor:
    """The hidden states of ids (B, T), B at most 2. A model with an encoder reads `source`, with the first tokens of
    a cache alone."""
    first = cache is None or not max(cache.lengths)
    given = {"source": source(len(ids))} if model.encoder is not None and first else {}
    return model(ids, sight, cache, **given)


def gradients(model: Model) -> list[torch.Tensor]:
    """The gradient of every parameter, all of which have one."""
    found = [parameter.grad for parameter in model.parameters()]
    assert all(grad is not None for grad in found)
    return [grad for grad in found if grad is not None]


def on(point: HookPoint, act: Callable[[torch.Tensor], torch.Tensor | None]) -> RemovableHandle:
    """Call `act` with every activation that passes `point`; what it returns takes the activation's place."""

    def hook(_module: torch.nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor | None:
        return act(output)

    return point.register_forward_hook(hook)


def tokens(rows: int = 2, length: int = 20, vocabulary: int = 61, seed: int = 1) -> torch.Tensor:
    """(rows, length) random ids."""
    return torch.randint(0, vocabulary, (rows, length), generator=torch.Generator().manual_seed(seed))

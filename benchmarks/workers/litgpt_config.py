"""LitGPT's name for a shape of ours, for the workers that run it."""

# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any


def litgpt_config(shape: dict[str, Any], context: int) -> Any:
    """A litgpt.model.Config of Llama's parts, with QK-norm where ours has it. `shape` holds ModelConfig's fields."""
    from litgpt.model import Config

    return Config(
        name="lilliput-benchmark",
        block_size=context,
        vocab_size=shape["vocab_size"],
        padded_vocab_size=shape["vocab_size"],
        n_layer=shape["n_layers"],
        n_embd=shape["d_model"],
        n_head=shape["n_heads"],
        n_query_groups=shape["n_kv_heads"],
        head_size=shape["d_head"],
        intermediate_size=shape["d_mlp"],
        norm_class_name="RMSNorm",
        norm_eps=shape["norm_eps"],
        norm_qk=shape["qk_norm"],
        mlp_class_name="LLaMAMLP",
        parallel_residual=False,
        bias=False,
        rotary_percentage=1.0,
        rope_base=int(shape["rope_theta"]),
    )

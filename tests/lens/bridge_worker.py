"""Reads model folders with TransformerLens 4 and with nnsight. It runs in their environment, without Lilliput.

    python bridge_worker.py FOLDER...

Each folder holds a model with its tokenizer, `ours.safetensors` with the token ids `rows` (N, T) and a `pattern`
(heads, T', T') with its tokens `text` (1, T'), and `ours.json` with a `story` and the `names` of hook points. The
worker writes `theirs.safetensors` there:

    logits, cache.NAME     the logits for `rows`, and every activation that `run_with_cache` keeps
    halved.NAME            the logits after the last token, where a hook halves one of `names`, (N, vocabulary)
    detected.HEAD          scores of the head detector for `rows`, (N, layers, heads)
    scored.HEAD            scores of the head detector for `pattern`, (heads,)
    tokens                 the tokens of `story`
    nnsight.PLACE.LAYER    the residual stream after a block, and the outputs of its attention and MLP, for `rows`
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nnsight
import torch
from safetensors.torch import load_file, save_file
from transformer_lens import head_detector
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM

Tensors = dict[str, torch.Tensor]


def logits_and_cache(bridge: Any, rows: torch.Tensor) -> Tensors:
    """Return the logits and all activations."""
    logits, cache = bridge.run_with_cache(rows)
    return {"logits": logits, **{f"cache.{name}": value for name, value in cache.items()}}


def halved(bridge: Any, rows: torch.Tensor, names: list[str]) -> Tensors:
    """Return the last logits with each activation halved; without a name that the bridge lacks."""

    def half(value: torch.Tensor, hook: Any) -> torch.Tensor:
        return value * 0.5

    known = [name for name in names if name in bridge.hook_dict]
    return {f"halved.{name}": bridge.run_with_hooks(rows, fwd_hooks=[(name, half)])[:, -1] for name in known}


def heads(bridge: Any, rows: torch.Tensor, pattern: torch.Tensor, text: torch.Tensor) -> Tensors:
    """Return the scores of the head detector."""
    bridge.to_tokens = lambda row: row  # the detector takes text, and random tokens have none
    found: Tensors = {}
    for name in head_detector.HEAD_NAMES:
        found[f"detected.{name}"] = torch.stack([head_detector.detect_head(bridge, row[None], name) for row in rows])
        wanted = getattr(head_detector, f"get_{name}_detection_pattern")(text)
        found[f"scored.{name}"] = torch.tensor([score(head, wanted) for head in pattern])
    return found


def score(pattern: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the detector's default score of one pattern (T, T)."""
    return head_detector.compute_head_attention_similarity_score(
        pattern, wanted, exclude_bos=False, exclude_current_token=False, error_measure="mul"
    )


def by_nnsight(folder: Path, rows: torch.Tensor) -> Tensors:
    """Return the outputs of blocks, attention and MLPs of the stock class."""
    model = nnsight.NNsight(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32))
    found: Tensors = {}
    for layer in range(model.config.num_hidden_layers):
        if model.config.model_type == "gpt2":
            block = model.transformer.h[layer]
            attention = block.attn
        elif model.config.model_type == "gpt_neox":
            block = model.gpt_neox.layers[layer]
            attention = block.attention
        else:
            block = model.model.layers[layer]
            attention = block.self_attn
        with model.trace(rows):  # nnsight runs the body inside the model, in the order of the modules
            attended = attention.output[0].save()
            mlp = block.mlp.output.save()
            stream = block.output.save()
        found |= {f"nnsight.attn.{layer}": attended, f"nnsight.mlp.{layer}": mlp, f"nnsight.resid.{layer}": stream}
    return found


def main() -> None:
    """Read every folder."""
    torch.set_num_threads(1)
    for folder in map(Path, sys.argv[1:]):
        ours = load_file(folder / "ours.safetensors")
        with torch.no_grad():
            bridge = TransformerBridge.boot_transformers(str(folder), device="cpu")
            asked = json.loads((folder / "ours.json").read_text())
            found = {"tokens": bridge.to_tokens(asked["story"])}
            found |= logits_and_cache(bridge, ours["rows"])
            found |= halved(bridge, ours["rows"], asked["names"])
            found |= heads(bridge, **ours)
            found |= by_nnsight(folder, ours["rows"])
        kept = {name: value.clone().contiguous() for name, value in found.items()}
        save_file(kept, folder / "theirs.safetensors")


if __name__ == "__main__":
    main()

"""TransformerLens' bridge as a worker: the CPU seconds of its plain pass and of `run_with_cache`.

    in   {"folder": "model", "tokens": "t.npy", "name": "blocks.2.hook_resid_post", "threads": 1}    the job, once
    out  {"parameters": 5902848, "versions": {...}}              it is built, or {"absent": "why"}
    in   {"steps": 1}                                            as often as it likes
    out  {"seconds": 0.9, "loss": 0.0, "parts": {"plain": ...}}  CPU seconds of each work, `steps` times

This file runs in the environment of TransformerLens, without Lilliput.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from time import process_time
from typing import Any

import numpy as np
import torch


def works(job: dict[str, Any]) -> tuple[int, dict[str, Callable[[], Any]]]:
    """Return the number of parameters, and each work by its name."""
    from tokenizers import Tokenizer, models
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    stock = AutoModelForCausalLM.from_pretrained(job["folder"], attn_implementation="eager", dtype=torch.float32)
    count = sum(weight.numel() for weight in stock.parameters())
    # The works take token ids. The bridge still asks for a tokenizer, and the folder has none.
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
    bridge = TransformerBridge.boot_transformers(job["folder"], hf_model=stock, tokenizer=words, device="cpu")
    tokens = torch.from_numpy(np.load(job["tokens"]))
    return count, {
        "plain": lambda: bridge(tokens),
        "everything": lambda: bridge.run_with_cache(tokens),
        "one name": lambda: bridge.run_with_cache(tokens, names_filter=job["name"]),
    }


def main() -> None:
    """Build the works of the job, and do each in turn. The output of libraries goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    job = json.loads(sys.stdin.readline())
    torch.set_num_threads(job["threads"])
    try:
        count, each = works(job)
    except ModuleNotFoundError as error:
        answer(absent=f"{sys.executable} has no module '{error.name}'")
        return
    answer(parameters=count, versions={name: version(name) for name in ("torch", "transformers", "transformer-lens")})
    for line in sys.stdin:
        parts = dict.fromkeys(each, 0.0)
        for _ in range(json.loads(line)["steps"]):
            for name, work in each.items():
                began = process_time()
                with torch.inference_mode():
                    work()
                parts[name] += process_time() - began
        answer(seconds=sum(parts.values()), loss=0.0, parts=parts)


if __name__ == "__main__":
    main()

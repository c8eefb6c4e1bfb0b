"""transformers, as its user trains: the stock class, eager, its own loss, the Trainer's default AdamW (fused)."""

from contextlib import nullcontext
from typing import Any

import torch

from lilliput.model.config import ModelConfig
from lilliput.model.huggingface import stock_of
from protocol import Job, Subject, given, serve


def inputs(job: Job, ids: torch.Tensor) -> dict[str, Any]:
    """The arguments of the class's forward pass, for ids (rows, context + 1)."""
    parts = {name: part.contiguous().to(job.device) for name, part in given(job.model, ids).items()}
    if "sources" in parts:
        return {"input_ids": parts["sources"], "decoder_input_ids": parts["tokens"], "labels": parts["targets"]}
    if "hidden" in parts:
        return {"input_ids": parts["tokens"], "labels": parts["targets"].masked_fill(~parts["hidden"], -100)}
    return {"input_ids": parts["tokens"], "labels": parts["targets"], "shift_labels": parts["targets"]}


def build(job: Job) -> Subject:
    """The stock class that computes the shape: LlamaForCausalLM, Qwen3ForCausalLM with QK-norm, GPT2LMHeadModel, ..."""
    import transformers

    shape = ModelConfig(**job.model)
    stock = stock_of(shape)
    assert stock is not None, "train_step.py leaves transformers out of shapes that it has no class for"
    # T5's own first weights are fifty times those of all other classes.
    small: dict[str, Any] = {"initializer_factor": 0.02} if stock.model_type == "t5" else {}
    small |= {"pad_token_id": 0} if stock.model_type == "modernbert" else {}  # its default is beyond a small vocabulary
    config = transformers.AutoConfig.for_model(stock.model_type, **stock.settings(shape), use_cache=False, **small)
    torch.manual_seed(0)
    model = getattr(transformers, stock.architecture)(config).to(job.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True, **job.adamw)

    def step(ids: torch.Tensor) -> torch.Tensor:
        passes = ids.split(job.micro_rows)
        total = torch.zeros((), device=job.device)
        for part in passes:
            with torch.autocast(model.device.type, torch.bfloat16) if job.precision == "bf16" else nullcontext():
                loss = model(**inputs(job, part)).loss
            loss = loss * (len(part) / len(ids))
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), job.clip)
        optimizer.step()
        optimizer.zero_grad()
        return total

    return Subject(sum(p.numel() for p in model.parameters()), step, ("transformers",))


if __name__ == "__main__":
    serve(build)

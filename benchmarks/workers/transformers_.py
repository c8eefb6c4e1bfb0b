"""transformers, as its user trains: the stock class, eager, its own loss, the Trainer's default AdamW (fused)."""

from contextlib import nullcontext

import torch

from lilliput.model.config import ModelConfig
from lilliput.model.huggingface import stock_of
from protocol import Job, Subject, serve


def build(job: Job) -> Subject:
    """The stock class that computes the shape: LlamaForCausalLM, Qwen3ForCausalLM with QK-norm, GPT2LMHeadModel, ..."""
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = ModelConfig(**job.model)
    stock = stock_of(shape)
    assert stock is not None, "train_step.py leaves transformers out of shapes that it has no class for"
    config = AutoConfig.for_model(stock.model_type, **stock.settings(shape), use_cache=False)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).to(job.device).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True, **job.adamw)

    def step(ids: torch.Tensor) -> torch.Tensor:
        passes = ids.to(job.device).split(job.micro_rows)
        total = torch.zeros((), device=job.device)
        for part in passes:
            targets = part[:, 1:].contiguous()
            with torch.autocast(model.device.type, torch.bfloat16) if job.precision == "bf16" else nullcontext():
                loss = model(part[:, :-1], labels=targets, shift_labels=targets).loss
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

"""transformers, as its user trains: the stock class, eager, its own loss, the Trainer's default AdamW (fused)."""

from contextlib import nullcontext

import torch
from protocol import Job, Subject, serve


def build(job: Job) -> Subject:
    """LlamaForCausalLM, or Qwen3ForCausalLM where heads have QK-norm."""
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = job.model
    config = AutoConfig.for_model(
        "qwen3" if shape["qk_norm"] else "llama",
        vocab_size=shape["vocab_size"],
        hidden_size=shape["d_model"],
        intermediate_size=shape["d_mlp"],
        num_hidden_layers=shape["n_layers"],
        num_attention_heads=shape["n_heads"],
        num_key_value_heads=shape["n_kv_heads"],
        head_dim=shape["d_head"],
        max_position_embeddings=job.context,
        rms_norm_eps=shape["norm_eps"],
        rope_theta=shape["rope_theta"],
        tie_word_embeddings=shape["tied_embeddings"],
        use_cache=False,
    )
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

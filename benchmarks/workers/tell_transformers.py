"""transformers, as its user generates: the stock class, `generate`, its cache, fp32."""

from typing import Any

import torch

from protocol import Subject, TellingJob, serve


def build(job: TellingJob) -> Subject:
    """AutoModelForCausalLM on the folder, without an end of text, so that it generates as many ids as the others."""
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(job.model)
    model = model.to(job.device).eval()
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0

    def step(ids: torch.Tensor) -> float:
        ids = ids.to(job.device)
        with torch.inference_mode():
            told = model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=job.new_tokens
            )
        return float(told[:, ids.shape[1] :].double().mean())

    return Subject(sum(p.numel() for p in model.parameters()), step, ("transformers",))


if __name__ == "__main__":
    serve(build, TellingJob)

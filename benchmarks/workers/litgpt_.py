"""LitGPT's step, as `litgpt pretrain` has it: its GPT, first weights, loss and AdamW, through Fabric, compiled."""

# pyright: reportMissingImports=false

import torch

from litgpt_config import litgpt_config
from protocol import Job, Subject, serve


def build(job: Job) -> Subject:
    """The step that `litgpt.pretrain.main` builds. LitGPT ships with bf16-mixed. For fp32 the same step runs in
    32-true."""
    from lightning import Fabric
    from litgpt.model import GPT
    from litgpt.pretrain import initialize_weights
    from litgpt.utils import chunked_cross_entropy, instantiate_torch_optimizer, num_parameters

    config = litgpt_config(job.model, job.context)
    precision = "bf16-mixed" if job.precision == "bf16" else "32-true"
    device = torch.device(job.device)
    fabric = Fabric(accelerator=device.type, devices=1 if device.index is None else [device.index], precision=precision)
    fabric.seed_everything(0)
    with fabric.init_module(empty_init=True):
        model = GPT(config)
    initialize_weights(fabric, model, n_layer=config.n_layer, n_embd=config.n_embd)
    if job.model["tied_embeddings"]:
        model.transformer.wte.weight = model.lm_head.weight
    parameters = num_parameters(model)
    model = fabric.setup(torch.compile(model))
    adamw = {"class_path": "torch.optim.AdamW", "init_args": dict(job.adamw)}
    optimizer = instantiate_torch_optimizer(adamw, model.parameters(), fused=fabric.device.type == "cuda")
    optimizer = fabric.setup_optimizers(optimizer)

    def step(ids: torch.Tensor) -> torch.Tensor:
        passes = ids.to(fabric.device).split(job.micro_rows)
        total = torch.zeros((), device=fabric.device)
        for number, part in enumerate(passes, 1):
            with fabric.no_backward_sync(model, enabled=number < len(passes)):
                logits = model(part[:, :-1].contiguous())
                loss = chunked_cross_entropy(logits, part[:, 1:].contiguous()) * (len(part) / len(ids))
                fabric.backward(loss)
            total += loss.detach()
        fabric.clip_gradients(model, optimizer, max_norm=job.clip)
        optimizer.step()
        optimizer.zero_grad()
        return total

    return Subject(parameters, step, ("litgpt", "lightning"))


if __name__ == "__main__":
    serve(build)

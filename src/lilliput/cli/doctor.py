"""`lilliput doctor`: report this machine, its ceilings, the choices of a run here, and packages that make it faster."""

from __future__ import annotations

from lilliput.cli.options import Device, Json


def doctor(
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Report this machine's speed, the choices of a run on it, and packages that would make it faster."""
    from lilliput import api
    from lilliput.base import console

    console.use_json(json)
    found = api.doctor(device)
    if json:
        console.emit(found.as_dict())
        return
    lines = {
        "machine": f"{found.machine}, {console.size(found.memory_bytes)} of memory",
        "cores": f"{found.physical_cores}; {found.cores} with hyper-threads",
        "instructions": ", ".join(found.instructions) or "unknown",
        "products": f"{found.fp32_flops_per_second / 1e9:,.0f} GFLOP/s in fp32, "
        f"{found.bf16_flops_per_second / 1e9:,.0f} in bf16, with train.threads={found.threads}, on {found.device}",
        **({"kernels": found.kernels} if found.kernels else {}),
        **({"training": found.training} if found.training else {}),
        **({"by PyTorch": found.falls_back} if found.falls_back else {}),
        **({"rollouts": found.rollouts} if found.rollouts else {}),
        "precision": found.precision,
        "allocator": found.allocator,
        "compiler": "found: generation is compiled, training where it repays"
        if found.compiler
        else "none to compile with",
        "threads wait": found.waiting,
        **({"runtime": found.runtime} if found.runtime else {}),
        "cache": found.cache,
        "software": f"torch {found.torch}, Python {found.python}",
    }
    for name, text in lines.items():
        console.print_line(f"{name:<13} {text}")
    console.print_line()
    for sentence in found.advice or ["no advice: nothing known would make this machine faster"]:
        console.print_line(f"- {sentence}")

"""llama.cpp, by the wheel xllamacpp: its server in this process, asked for all rows of a batch at once."""

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import numpy as np
import torch

from protocol import Subject, TellingJob, serve


def build(job: TellingJob) -> Subject:
    """A server with a slot a row, its own attention and cache types, and no prompt kept from one batch to the next."""
    xllamacpp: Any = import_module("xllamacpp")  # it declares none of its names
    from gguf import GGUFReader

    rows, prompt = np.load(job.batches, mmap_mode="r").shape[1:]
    params = xllamacpp.CommonParams()
    params.model.path = job.model
    params.n_ctx, params.n_parallel, params.verbosity = rows * (prompt + job.new_tokens + 8), rows, -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = job.threads
    server = xllamacpp.Server(params)
    pool = ThreadPoolExecutor(rows)

    def tell(ids: list[int]) -> list[int]:
        values: dict[str, Any] = {"prompt": ids, "n_predict": job.new_tokens, "temperature": 0}
        values |= {"ignore_eos": True, "return_tokens": True, "cache_prompt": False}
        request = urllib.request.Request(
            server.listening_address + "/completion", json.dumps(values).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]

    def step(ids: torch.Tensor) -> float:
        told = [number for said in pool.map(tell, ids.tolist()) for number in said]
        if len(told) != rows * job.new_tokens:
            raise SystemExit(f"llama.cpp said {len(told)} tokens, not {rows * job.new_tokens}")
        return sum(told) / len(told)

    tensors = GGUFReader(job.model).tensors
    return Subject(sum(int(tensor.n_elements) for tensor in tensors), step, ("xllamacpp",))


if __name__ == "__main__":
    serve(build, TellingJob)

"""Lilliput's decoding: an Engine that keeps its slots from one batch to the next, as a server's does."""

import torch

from lilliput.decoding.engine import Engine, Job, Request
from lilliput.decoding.int8 import quantised
from lilliput.decoding.native import native
from lilliput.decoding.sampling import SamplingConfig
from lilliput.model.huggingface import from_huggingface
from protocol import Subject, TellingJob, serve


def build(job: TellingJob) -> Subject:
    """The model in fp32 or int8, with native steps (as `lilliput generate` has them) or PyTorch's."""
    plain = from_huggingface(job.model).to(job.device).eval()
    model = quantised(plain) if job.weights == "int8" else plain
    model = native(model) if job.compile else model
    greedy = SamplingConfig(temperature=0, max_tokens=job.new_tokens)
    engines: dict[int, Engine] = {}

    def step(ids: torch.Tensor) -> float:
        engine = engines.setdefault(len(ids), Engine(model, slots=len(ids)))
        told: dict[Job, list[int]] = {engine.submit(Request(tuple(row), greedy)): [] for row in ids.tolist()}
        while not engine.idle:
            for which, token in engine.step():
                told[which].append(token.id or 0)
        said = [number for each in told.values() for number in each]
        return sum(said) / len(said)

    return Subject(sum(p.numel() for p in plain.parameters()), step, ("lilliput",))


if __name__ == "__main__":
    serve(build, TellingJob)

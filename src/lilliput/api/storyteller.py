"""Storyteller: a trained model with its tokenizer and its direction, ready to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lilliput.api.run import model_folder
from lilliput.base.config import validate
from lilliput.base.files import read_json
from lilliput.base.machine import choose_device
from lilliput.base.registered import OneOf
from lilliput.data.tokenizer import Tokenizer
from lilliput.generate.decode import Step, stream
from lilliput.generate.decode import generate as decode
from lilliput.generate.sampling import SamplingConfig
from lilliput.model.huggingface import from_huggingface
from lilliput.objective.objective import OBJECTIVES, Objective

if TYPE_CHECKING:
    from lilliput.model.transformer import Model


class Storyteller:
    """Tells texts with `model`; `objective` knows in which direction the model reads."""

    def __init__(self, model: Model, tokenizer: Tokenizer, objective: Objective):
        self.model, self.tokenizer, self.objective = model, tokenizer, objective

    def tell(
        self, opening: str | None = None, ending: str | None = None, window: bool = False, **sampling: Any
    ) -> list[str]:
        """`n` whole texts that start with `opening` or end with `ending`; `sampling` as in SamplingConfig.
        Raises ConfigError on a value out of range or a prompt longer than the context."""
        config = validate(SamplingConfig, sampling, "sampling")
        prompt = self.objective.prompt(self.tokenizer, opening, ending)
        stops = {self.tokenizer.eos_id}
        rows = decode(self.model, [prompt.ids], config, stops, prompt.forbidden, window)
        return [self.objective.told(self.tokenizer, opening, ending, ids) for ids in rows]

    def tell_each(self, prompts: Sequence[str], window: bool = False, **sampling: Any) -> list[str]:
        """One text from each opening (to each ending, for a reversed model), told side by side in one batch."""
        config = validate(SamplingConfig, {**sampling, "n": 1}, "sampling")
        sides = [(text, None) if self.objective.reads_forwards else (None, text) for text in prompts]
        made = [self.objective.prompt(self.tokenizer, *side) for side in sides]
        forbidden = sorted({number for prompt in made for number in prompt.forbidden})
        ids = [prompt.ids for prompt in made]
        rows = decode(self.model, ids, config, {self.tokenizer.eos_id}, forbidden, window)
        return [self.objective.told(self.tokenizer, *side, row) for side, row in zip(sides, rows, strict=True)]

    def stream(
        self, opening: str | None = None, ending: str | None = None, window: bool = False, **sampling: Any
    ) -> Iterator[str]:
        """What follows the opening, piece by piece, as soon as bytes make characters (models that read forwards)."""
        config = validate(SamplingConfig, {**sampling, "n": 1}, "sampling")
        prompt = self.objective.prompt(self.tokenizer, opening, ending)
        steps = stream(self.model, [prompt.ids], config, {self.tokenizer.eos_id}, prompt.forbidden, window)
        return self._pieces(steps, continuing=bool(opening))

    def _pieces(self, steps: Iterator[Step], continuing: bool) -> Iterator[str]:
        decoder = self.tokenizer.stream(continuing)
        for step in steps:
            for number in step.said(0):
                yield decoder.push(number)
        yield decoder.flush()


def load(path: str | Path, device: str = "auto", say: Callable[[str], None] = print) -> Storyteller:
    """A Storyteller from a run's name or folder, a checkpoint, or a Hugging Face folder of a supported class.
    A damaged checkpoint is reported through `say` and the one before it is used. Raises CheckpointError or
    ModelError."""
    folder = model_folder(path, say)
    model = from_huggingface(folder).to(choose_device(device)).eval()
    kept = read_json(folder / "config.json").get("lilliput", {})
    objective = cast(Objective, OneOf(OBJECTIVES).build(kept.get("objective", "causal")))
    return Storyteller(model, Tokenizer.load(folder), objective)


def generate(
    path: str | Path,
    opening: str | None = None,
    ending: str | None = None,
    device: str = "auto",
    **sampling: Any,
) -> list[str]:
    """Texts told by the model at `path`; a short form of `load(path).tell(...)`."""
    return load(path, device).tell(opening, ending, **sampling)

"""Loading: a text generator from a run, a checkpoint or a Hugging Face folder, and the short forms over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lilliput.base.errors import ConfigError, ModelError
from lilliput.base.machine import can_compile, choose_device
from lilliput.base.reading import inner, read_object
from lilliput.base.registered import OneOf
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.compiled import compiled
from lilliput.decoding.ends import ends_of, not_taken
from lilliput.decoding.int8 import quantised
from lilliput.decoding.native import native, unnamed, why_not
from lilliput.generation.text_generator import Faster, TextGenerator
from lilliput.model.huggingface import OWN, from_huggingface, read_config
from lilliput.model.stock_heads import has_head, read_head
from lilliput.objectives.objective import OBJECTIVES, ObjectiveConfig
from lilliput.runs.finding import model_folder

if TYPE_CHECKING:
    from lilliput.model.transformer import Model


def load(
    path: str | Path,
    device: str = "auto",
    notify: Callable[[str], None] = print,
    int8: bool = False,
    compile: bool | None = None,
) -> TextGenerator:
    """A TextGenerator from a run's name or folder, a checkpoint, or a Hugging Face folder of a supported class.

    `int8` makes its matrices int8 (CPU only; a text may differ). `compile` is about the steps of generation: True
    compiles them, in C++ on a CPU and by torch.compile elsewhere, where the first text then takes a minute; False
    leaves them to PyTorch; None takes C++ where that can be. A damaged checkpoint is reported through `notify`, and
    the checkpoint before it is used. Raises CheckpointError, ModelError, or ConfigError where it cannot compile."""
    folder = model_folder(path, notify)
    generator = load_folder(folder, device, notify, int8, compile)
    if asked := not_taken(folder):
        notify(f"generation_config.json asks for {', '.join(asked)}; give these as options to have them")
    return generator


def load_folder(
    folder: Path,
    device: str = "auto",
    notify: Callable[[str], None] = lambda text: None,
    int8: bool = False,
    compile: bool | None = None,
) -> TextGenerator:
    """`load` of a model folder that was found already; nothing is printed unless `notify` is given."""
    model = from_huggingface(folder, notify).to(choose_device(device)).eval()
    objective = objective_of(folder)
    model = quantised(model) if int8 else model
    tokenizer = Tokenizer.load(folder)
    return TextGenerator(model, tokenizer, objective, faster(model, notify, compile), ends_of(folder, tokenizer))


def objective_of(folder: Path) -> ObjectiveConfig:
    """The objective that trained the model in a folder. Where config.json names none it is "causal", or the objective
    of the folder's head. Raises ModelError."""
    raw = read_object(folder / "config.json")
    try:
        values = inner(raw, OWN).get("objective") or _objective_of_head(folder, raw)
        return cast(ObjectiveConfig, OneOf(OBJECTIVES).build(values))
    except ValueError as error:
        raise ModelError(f"{folder / 'config.json'}: its objective cannot be used: {error}") from None


def _objective_of_head(folder: Path, raw: Mapping[str, Any]) -> Any:
    """The objective of a folder that names none."""
    head = read_head(folder, read_config(folder)[0]) if has_head(raw) else None
    if head is None:
        return "causal"
    return "reward" if head.outputs == 1 else {"kind": "classify", "labels": head.labels}


def faster(model: Model, notify: Callable[[str], None], compile: bool | None = None) -> Faster | None:
    """How `compile` is done for this model on its device. Raises ConfigError where it cannot be."""
    reason = why_not(model)
    if compile and reason and not can_compile(next(model.parameters()).device):
        raise ConfigError(f"this machine cannot compile: {reason}", "install g++, or leave --compile out")
    if compile is False or (reason and not compile):
        if compile is None and (why := unnamed(model)):
            notify(f"native steps step aside, and PyTorch's operators compute: {'; '.join(why)}")
        return None
    if reason:
        return compiled
    return native if compile else partial(_native_or_not, notify)


def _native_or_not(notify: Callable[[str], None], model: Model) -> Model:
    try:
        return native(model)
    except ConfigError as error:
        notify(f"{error.message}; PyTorch's steps are used")
        return model


def generate(
    path: str | Path,
    opening: str | None = None,
    ending: str | None = None,
    device: str = "auto",
    **options: Any,
) -> list[str]:
    """Generate texts with the model at `path`; a short form of `load(path).generate(...)`."""
    return load(path, device).generate(opening, ending, **options)


def chat(
    path: str | Path,
    messages: Sequence[Mapping[str, str]],
    *,
    device: str = "auto",
    notify: Callable[[str], None] = print,
    **options: Any,
) -> str:
    """The reply of the model at `path` to a conversation; a short form of `load(path).chat(...)`.

    >>> lilliput.chat("my-chat-model", [{"role": "user", "content": "Who are you?"}], temperature=0)

    Raises ConfigError for a model without a chat template, and for messages that the template does not take."""
    return load(path, device, notify).chat(messages, **options)

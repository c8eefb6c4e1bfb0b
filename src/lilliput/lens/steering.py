"""Steering: add a multiple of a direction, such as a feature's, to an activation while a model generates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from lilliput.base.errors import ConfigError, LilliputError, ModelError
from lilliput.lens.intervene import Hook, intervene
from lilliput.lens.names import hook_names
from lilliput.lens.sparse_files import load_features
from lilliput.model.transformer import Model

FORM = "FOLDER:FEATURE=STRENGTH, such as --steer runs/story/lens/features:17=4"


@dataclass(frozen=True)
class Push:
    """A direction (d,) that is added at a hook point, times `strength`. The direction of a feature has the length 1, so
    that the strength is in the scale of the activation."""

    hook: str
    direction: torch.Tensor
    strength: float


@contextmanager
def steer(model: Model, *pushes: Push) -> Iterator[None]:
    """Add directions to activations, at every position, while the body runs the model. Native and compiled steps step
    aside. Pushes at one hook point add up. Raises ModelError for an unknown hook point, and for a direction whose
    length is not the activation's.

    >>> with steer(generator.model, Push(coder.writes, coder.direction(17), 4)):
    ...     generator.generate("Once upon a time")
    """
    with ExitStack() as stack:
        for push in pushes:
            if len(hook_names(model, push.hook)) != 1:
                raise ModelError(f"'{push.hook}' names more than one hook point", "give one name without *")
            stack.enter_context(intervene(model, {push.hook: partial(_pushed, push)}))
        yield


def _pushed(push: Push, activation: torch.Tensor, hook: Hook) -> torch.Tensor:
    width, flat = push.direction.shape[0], activation.flatten(2)
    if flat.shape[2] != width:
        raise ModelError(
            f"the direction has {width} numbers, and {hook.name} has {flat.shape[2]} at each position",
            "use features that were trained on this model",
        )
    added = (push.strength * push.direction).to(flat.device, flat.dtype)
    return (flat + added).view_as(activation)


def read_push(text: str) -> Push:
    """Read 'FOLDER:FEATURE=STRENGTH', the option --steer: a feature of a saved autoencoder or transcoder. Raises
    ConfigError for another form, ModelError for a number that no feature has, CheckpointError for a bad folder."""
    place, equals, strength = text.rpartition("=")
    folder, colon, feature = place.rpartition(":")
    try:
        number, factor = int(feature), float(strength)
    except ValueError:
        number, factor = -1, float("nan")
    if not (folder and colon and equals) or factor != factor or abs(factor) == float("inf"):
        raise ConfigError(f"'{text}' is no feature to steer with", f"write {FORM}")
    coder = load_features(Path(folder))
    return Push(coder.writes, coder.direction(number), factor)


@contextmanager
def steered(model: Model, texts: Sequence[str]) -> Iterator[None]:
    """`steer` by texts as `read_push` reads them. Raises ConfigError for a direction that does not fit the model."""
    pushes = [read_push(text) for text in texts]
    for text, push in zip(texts, pushes, strict=True):
        try:
            hook_names(model, push.hook)
        except LilliputError as error:
            raise ConfigError(
                f"--steer {text}: {error.message}", "use features that were trained on this model"
            ) from None
    with steer(model, *pushes):
        yield

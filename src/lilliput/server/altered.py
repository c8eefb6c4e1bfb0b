"""Generation with parts of a served model off: heads or neurons, for the texts of one request alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lilliput.base.errors import LilliputError
from lilliput.decoding.engine import Engine
from lilliput.lens.ablation import ablated
from lilliput.lens.components import Component, head, neurons
from lilliput.server.errors import Refused
from lilliput.server.schemas import AblatedPart

if TYPE_CHECKING:
    from lilliput.decoding.engine import Job, Token
    from lilliput.server.served import Served

ALTERED_SLOTS = 4
"""Texts that are generated at once with the same parts off."""


@dataclass(frozen=True)
class Off:
    """The parts that are off for a request, and what stands in their place: zero, or the mean of their output."""

    parts: frozenset[Component]
    how: Literal["zero", "mean"]


def off(served: Served, parts: Sequence[AblatedPart] | None, how: Literal["zero", "mean"] | None) -> Off | None:
    """Return the parts that a request turns off; None where it turns off none. Raises Refused for a part that the model
    lacks."""
    if not parts:
        if how is not None:
            raise Refused("ablation says how parts are turned off, and ablate names none", param="ablation")
        return None
    model, found = served.generator.model, set()
    for part in parts:
        try:
            if part.head is not None and part.neuron is None:
                found.add(head(model, part.layer, part.head))
            elif part.neuron is not None and part.head is None:
                found.add(neurons(model, part.layer, [part.neuron]))
            else:
                raise Refused("a part is a head or a neuron", 'such as {"layer": 0, "head": 1}', param="ablate")
        except LilliputError as error:
            raise Refused(error.message, error.hint, param="ablate") from None
    return Off(frozenset(found), how or "mean")


class AlteredEngine(Engine):
    """Generates with parts of the model off. They are off while a step of this engine runs, and at no other time: one
    thread runs the steps of all engines of a model one after another, so no other text is changed."""

    def __init__(self, served: Served, off: Off):
        super().__init__(served.generator.model, ALTERED_SLOTS, fair=True)
        self._off = sorted(off.parts, key=lambda part: part.name)
        self._how: Literal["zero", "mean"] = off.how
        self._reference = None if off.how == "zero" else served.reference

    def step(self) -> list[tuple[Job, Token]]:
        """Generate one more token in every running job, with the parts off."""
        with ablated(self.model, self._off, self._how, self._reference):
            return super().step()

"""What every instrument answers in the same way: which models it does not fit, and why."""

from dataclasses import replace

import pytest
from torch import nn

from lilliput.lens.instrument import INSTRUMENTS
from lilliput.objectives.masked import Masked
from tests.lens.story_subject import generator, subject

ANY_MODEL = {"embeddings"}
"""Instruments that need no next token."""
HEADS = {"attention", "heads", "matters", "decided", "attribution", "patching", "walkthrough", "forming", "matched"}
"""Instruments that need heads whose outputs add up."""


@pytest.mark.parametrize("name", [*INSTRUMENTS])
def test_a_model_that_generates_no_text_is_refused_with_one_reason(name: str) -> None:
    masked = replace(subject(), generator=generator(objective=Masked()))
    wanted = "" if name in ANY_MODEL else "a model of the objective 'masked' generates no text"
    assert INSTRUMENTS[name]().refuses(masked) == wanted


@pytest.mark.parametrize("name", [*INSTRUMENTS])
def test_attention_of_another_kind_is_refused_by_instruments_of_heads(name: str) -> None:
    made = subject()
    made.generator.model.blocks[1].attn = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    assert INSTRUMENTS[name].heads == (name in HEADS)
    if name in HEADS:
        assert INSTRUMENTS[name]().refuses(made) == "its attention has no heads of the usual kind"

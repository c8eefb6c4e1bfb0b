"""explain: the tokens that a model considered at each place, as a table for people and as plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from lilliput.data.tokenizer import Tokenizer
    from lilliput.decoding.engine import Token


def spelled(tokenizer: Tokenizer, number: int) -> str:
    """Return a token in readable form: its text in quotes, or the name of a special token."""
    text = tokenizer.decode([number], continuing=True)
    return repr(text) if text else tokenizer.token(number)


def as_plain(tokens: Sequence[Token], tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """Return the id, text and log-probability (nats) of each token and of its alternatives, where it has
    alternatives."""

    def entry(number: int, score: float) -> dict[str, Any]:
        return {"id": number, "text": tokenizer.decode([number], continuing=True), "log_probability": score}

    plain = []
    for token in tokens:
        if token.id is None:
            continue
        others = [entry(number, score) for number, score in token.alternatives]
        plain.append(entry(token.id, token.log_probability) | ({"alternatives": others} if others else {}))
    return plain


def table(tokens: Sequence[Token], tokenizer: Tokenizer) -> Table:
    """Return a table with one row for each token: its probability and rank among the candidates, its surprise in bits,
    and the candidates with their probabilities. The generated token is bold."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    made.add_column("step", justify="right")
    made.add_column("token")
    made.add_column("probability", justify="right")
    made.add_column("bits", justify="right")
    if any(token.alternatives for token in tokens):
        made.add_column("candidates")
    for step, token in enumerate(tokens, start=1):
        if token.id is None:
            continue
        candidates = Text()
        for number, score in token.alternatives:
            style = "bold" if number == token.id else "dim"
            candidates.append(f"{spelled(tokenizer, number)} {math.exp(score):.1%}  ", style)
        cells = [str(step), Text(spelled(tokenizer, token.id)), f"{math.exp(token.log_probability):.1%}"]
        cells.append(f"{abs(token.log_probability) / math.log(2):.2f}")
        made.add_row(*cells, *([candidates] if len(made.columns) > 4 else []))
    return made

"""The section of `decided`: the words of a text as buttons, and a panel on the word that was tapped (decided.js)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lilliput.base.html import escape, table

STYLE = """
.decided-words { display: flex; flex-wrap: wrap; gap: 3px; margin: 10px 0 14px; }
.decided-words button {
  font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line); border-radius: 5px;
  padding: 2px 6px; min-height: 30px; min-width: 24px; white-space: pre; cursor: pointer;
}
.decided-words button:disabled { color: var(--muted); cursor: default; border-style: dashed; }
.decided-words button[aria-pressed="true"] { outline: 2px solid var(--s0); background: var(--soft); }
.decided-words button.seen { border-bottom: 3px solid var(--s1); }
.decided .bar.minus { background: var(--s3); }
.decided .bar.plus { background: var(--s0); }
"""


def draw(found: Mapping[str, Any]) -> str:
    """Return the section as HTML. Without its script it shows the panel of one word."""
    first = shown_first(found)
    buttons = "".join(_button(found, place, first) for place in found["order"])
    direction = (
        "The model reads from left to right."
        if found["forwards"]
        else "The model reads from right to left: each word was predicted from the words on its right."
    )
    data = json.dumps(found, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f"<style>{STYLE}</style>"
        f"<p>Each word below was predicted from the words that the model had read before. {direction} Tap a word, or "
        "move with the arrow keys, to see the prediction after each layer and the parts of the model that decided on "
        "it.</p>"
        f'<div class="decided"><div class="decided-words" id="decided-words">{buttons}</div>'
        f'<div id="decided-panel" aria-live="polite">{panel(found, first)}</div></div>'
        '<p class="quiet">Shares are in logits: how much each part raises the word above its rival. They sum to the '
        f"difference. The final norm is {escape(found['norm']['layers'])} to each layer's stream, and its scale is "
        f"{escape(found['norm']['parts'])} for the shares. A large head looks most at an underlined word.</p>"
        f'<script type="application/json" id="decided-data">{data}</script>'
    )


def shown_first(found: Mapping[str, Any]) -> int:
    """Return the place of the word that is shown first: the word that the model prefers most clearly to its rival,
    among the words that were not first after the embeddings."""
    places = [place for place, token in enumerate(found["tokens"]) if token is not None]
    late = [place for place in places if found["tokens"][place]["rank"][0] > 0]
    return max(late or places, key=lambda place: found["tokens"][place]["total"])


def panel(found: Mapping[str, Any], place: int) -> str:
    """Return the panel of one word as HTML, as decided.js draws it."""
    token = found["tokens"][place]
    layers = {
        stage: {
            "likeliest": ", ".join(f"{_shown(word)} {share:.0%}" for word, share in token["layers"][number]),
            "this word": f"{token['probability'][number]:.1%}",
            "rank": token["rank"][number] + 1,
        }
        for number, stage in enumerate(found["stages"])
    }
    shares = {name: {"share": f"{value:+.2f}"} for name, value in parts_of(token, found["words"])}
    word, rival = (escape(_shown(token[key])) for key in ("truth", "rival"))
    return f"<h4>“{word}” rather than “{rival}”: {token['total']:+.2f} logits</h4>{table(layers)}{table(shares)}"


def parts_of(token: Mapping[str, Any], words: Sequence[str]) -> list[tuple[str, float]]:
    """Return the parts of one token with their shares, which sum to its total: the token's embedding, its position, the
    largest heads, the other heads, the MLPs, the biases. Parts that write nothing are left out."""
    rows: list[tuple[str, float]] = [("embedding of the word before", token["embedding"])]
    rows += [("position", token["position"])]
    rows += [
        (f"head {layer}.{head}, looks at “{_shown(words[int(look)])}”", share)
        for layer, head, share, look, _ in token["heads"]
    ]
    rows += [("other heads", token["other_heads"])]
    rows += [(f"MLP, layer {layer}", share) for layer, share in enumerate(token["mlps"])]
    return [(name, value) for name, value in [*rows, ("biases", token["biases"])] if value]


def _shown(word: str) -> str:
    """Return a token without the spaces around it; a token of spaces alone as a dot."""
    return word.strip() or "·"


def _button(found: Mapping[str, Any], place: int, first: int) -> str:
    word = escape(_shown(found["words"][place]))
    if found["tokens"][place] is None:
        return f'<button type="button" disabled data-place="{place}">{word}</button>'
    pressed, focus = ("true", "0") if place == first else ("false", "-1")
    return f'<button type="button" data-place="{place}" aria-pressed="{pressed}" tabindex="{focus}">{word}</button>'

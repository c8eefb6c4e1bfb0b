"""The instrument of embeddings: whether words of one kind are near each other, beside untrained weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from lilliput.base.chart import COLOURS
from lilliput.base.html import escape, table
from lilliput.base.statistics import wilson
from lilliput.generation.text_generator import TextGenerator
from lilliput.lens.embeddings import (
    FAMILIES,
    NEIGHBOURS,
    Words,
    analogies,
    answer,
    class_purity,
    neighbours,
    project,
    shuffled_classes,
    token_of,
    word_ids,
    words_in,
)
from lilliput.lens.figures import mean_figure, share_text
from lilliput.lens.findings import beats, compared
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.texts import controls_of, piece

SHOWN = ("Lily", "Tom", "she", "happy", "red", "bird", "went", "park", "three", "mother")
"""Words whose neighbours are listed."""
DRAWN = 8
"""The most words of a class on the map."""
LETTER = 7.4
"""The width of a wide letter of a name on the map, in pixels."""
NARROW = 4
"""The most words of a class on the map of a narrow screen."""


def near_words(generator: TextGenerator, among: torch.Tensor) -> dict[str, list[str]]:
    """Return the nearest neighbours of the shown words that are one token, nearest first."""
    found = {word: token_of(generator.tokenizer, word) for word in SHOWN}
    known = {word: number for word, number in found.items() if number is not None}
    matrix = generator.model.embed.weight.detach()
    ids = torch.tensor(list(known.values()), dtype=torch.long, device=matrix.device)
    near = neighbours(matrix, ids, among.to(matrix.device)).tolist()
    return {word: [piece(generator, number).strip() for number in line] for word, line in zip(known, near, strict=True)}


def analogy_figures(generator: TextGenerator, among: torch.Tensor, seed: int) -> dict[str, dict[str, Any]]:
    """Return for each family of pairs the share of right answers of each way of answering, with its interval (Wilson)
    and one example."""
    matrix, found = generator.model.embed.weight.detach(), {}
    for name, pairs in FAMILIES.items():
        asked = analogies(generator.tokenizer, pairs)
        if not asked:
            continue
        among_these = torch.cat([among, torch.tensor([each.ids[3] for each in asked])]).unique().to(matrix.device)
        answers = answer(matrix, asked, among_these, seed)
        right = torch.tensor([each.ids[3] for each in asked], device=matrix.device)
        ways = {"offset": answers.offset, "near b": answers.near_b, "near c": answers.near_c, "random": answers.random}
        first = asked[0]
        found[name] = {
            **{way: _share(int((given == right).sum()), len(asked)) for way, given in ways.items()},
            "example": [*first.words[:3], piece(generator, int(answers.offset[0])).strip(), first.words[3]],
        }
    return found


@INSTRUMENTS.add("embeddings")
class Embeddings(Instrument):
    """Whether the model has put words of one kind near each other."""

    title = "Words as points (embeddings)"
    part = "embeddings"

    def refuses(self, subject: Subject) -> str:
        words = words_in(subject.generator.tokenizer, subject.generator.model.embed.weight)
        if len(set(words.classes)) < 2 or len(words.words) <= NEIGHBOURS:
            return "its tokenizer has too few common English words that are one token each"
        return ""

    def measure(self, subject: Subject) -> dict[str, Any]:
        models = {"model": subject.generator, **controls_of(subject)}
        tokenizer = subject.generator.tokenizer
        among = word_ids(tokenizer)
        words = {name: words_in(tokenizer, one.model.embed.weight) for name, one in models.items()}
        purity = {name: mean_figure(class_purity(found), subject.seed) for name, found in words.items()}
        mixed = shuffled_classes(words["model"], subject.seed)
        purity["shuffled classes"] = mean_figure(class_purity(words["model"], mixed), subject.seed)
        return {
            "words": len(words["model"].words),
            "candidates": len(among),
            "purity": purity,
            "neighbours": {name: near_words(one, among) for name, one in models.items()},
            "analogies": {name: analogy_figures(one, among, subject.seed) for name, one in models.items()},
            "map": _map(words["model"]),
            "untrained_variance": _map(words["untrained"])["variance"],
        }

    def section(self, found: Mapping[str, Any]) -> str:
        near = found["neighbours"]
        listed = {
            word: {_column(name): ", ".join(lists.get(word, [])) for name, lists in near.items()}
            for word in near["model"]
        }
        purity = {
            _column(name): {"neighbours of the same class": share_text(one)} for name, one in found["purity"].items()
        }
        return (
            f"<p>The model holds each token as a vector. Words are neighbours where their vectors point the same way "
            f"(cosine).</p>{table(listed)}"
            f"<p>{found['words']} common words have a class, such as colours. The table shows the share of a word's "
            f"{NEIGHBOURS} nearest neighbours that are of its class.</p>{table(purity)}"
            f"{_analogies(found['analogies'])}{_drawn(found)}"
        )

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        purity = found["purity"]
        own, control = purity["model"], purity["untrained"]
        if not (beats(own, control) and beats(own, purity["shuffled classes"])):
            return []
        return [
            f"Words of one kind are neighbours: {share_text(own)} of a word's nearest words are of its kind, "
            f"and with untrained weights {share_text(control)}."
        ]

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        purity = found["purity"]
        return {"share of nearest words of the same kind": compared(purity["model"], purity["untrained"])}


def _column(name: str) -> str:
    return "this model" if name == "model" else name


def _share(right: int, asked: int) -> dict[str, Any]:
    low, high = wilson(right, asked)
    return {"mean": round(right / asked, 6), "low": round(low, 6), "high": round(high, 6), "count": asked}


def _map(words: Words) -> dict[str, Any]:
    """Return the words of the map with their places on the two principal axes, and the share of the variance kept."""
    kept: list[int] = []
    for name in dict.fromkeys(words.classes):
        kept += [place for place, own in enumerate(words.classes) if own == name][:DRAWN]
    places, variance = project(words.vectors[kept])
    points = [
        {"word": words.words[place], "class": words.classes[place], "x": round(x, 4), "y": round(y, 4)}
        for place, (x, y) in zip(kept, places.tolist(), strict=True)
    ]
    return {"points": points, "variance": round(variance, 4)}


def _analogies(found: Mapping[str, Mapping[str, Any]]) -> str:
    rows = {}
    for name, own in found["model"].items():
        a, b, c, given, right = own["example"]
        rows[name] = {
            "analogies": own["offset"]["count"],
            "right by b - a + c": share_text(own["offset"]),
            "right by the word nearest to c": share_text(own["near c"]),
            "right by the word nearest to b": share_text(own["near b"]),
            "at random": share_text(own["random"]),
            "untrained": share_text(found["untrained"][name]["offset"]),
            "example": f"{a} : {b} = {c} : {given} ({right} is right)",
        }
    if not rows:
        return ""
    return (
        "<p>An analogy asks for a word: a is to b as c is to which word? The answer is the word whose vector is "
        f"nearest to b - a + c. The words a, b and c are no answers.</p>{table(rows)}"
        '<p class="quiet">95% intervals by Wilson; the analogies of a row share words, so the true intervals are '
        "wider. The word nearest to c is often right without any analogy, so it stands beside as a control.</p>"
    )


def _drawn(found: Mapping[str, Any]) -> str:
    points, variance = found["map"]["points"], found["map"]["variance"]
    drawn = word_map(points, "wide", 720, 460) + word_map(_fewer(points), "narrow", 340, 420)
    return (
        f"<figure>{drawn}<figcaption>Common words on the two directions in which their vectors differ most (principal "
        "components). A word without room for its name is a dot. A flat map keeps "
        f"{variance:.0%} of the variance, so near on the map is not always near in the model. Untrained vectors: "
        f"{found['untrained_variance']:.0%}.</figcaption></figure>"
    )


def _fewer(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the first words of each class, for a narrow screen."""
    counts: dict[str, int] = {}
    kept = []
    for point in points:
        counts[point["class"]] = counts.get(point["class"], 0) + 1
        if counts[point["class"]] <= NARROW:
            kept.append(point)
    return kept


def word_map(points: Sequence[Mapping[str, Any]], kind: str, width: int, height: int) -> str:
    """Return words at their places as SVG, coloured by class, with a legend. `kind` is the screen that shows it, wide
    or narrow. Each word has a title with its class. A word whose name would cover another name is a dot."""
    names = list(dict.fromkeys(point["class"] for point in points))
    columns = max(1, width // 170)
    legend = 20 * -(-len(names) // columns)
    across = _scale([point["x"] for point in points], 34, width - 34)
    down = _scale([-point["y"] for point in points], legend + 20, height - 20)
    drawn: list[str] = []
    taken: list[tuple[float, float, float, float]] = []
    for point in points:
        x, y, colour = across(point["x"]), down(-point["y"]), names.index(point["class"])
        word, spot = escape(point["word"]), f'x="{x:.1f}" y="{y + 8:.1f}" text-anchor="middle"'
        name = f'<text class="halo" style="font-size:10px" {spot}>{word}</text>'
        half = LETTER * len(point["word"]) / 2
        box = (x - half, x + half, y - 2, y + 11)
        if any(box[0] < right and left < box[1] and box[2] < low and top < box[3] for left, right, top, low in taken):
            name = ""
        else:
            taken.append(box)
        drawn.append(f"<g><title>{word}: {escape(point['class'])}</title>{_mark(x, y - 4, colour)}{name}</g>")
    keys = []
    for place, name in enumerate(names):
        x, y = 12 + 168 * (place % columns), 12 + 20 * (place // columns)
        keys.append(f'{_mark(x, y, place)}<text x="{x + 8}" y="{y + 4}">{escape(name)}</text>')
    return (
        f'<svg class="chart {kind}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="Words on two principal axes">{"".join(keys)}{"".join(drawn)}</svg>'
    )


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    """Return a function from the range of values to pixels."""
    low, span = min(values), max(values) - min(values) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _mark(x: float, y: float, colour: int) -> str:
    """Return a dot of the class's colour. Classes beyond the colours have a square."""
    if colour < COLOURS:
        return f'<circle class="f{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    return f'<rect class="f{colour % COLOURS}" x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6"/>'

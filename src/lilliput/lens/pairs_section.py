"""The instrument "pairs": how often the model prefers the right word, for each kind of question about a story."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lilliput.base.errors import DataError
from lilliput.base.html import escape, table
from lilliput.lens.instrument import INSTRUMENTS, Compared, Instrument, Subject
from lilliput.lens.probes import PairScore, encode_pairs, encoded_pairs, score_pairs, shuffled_words
from lilliput.lens.texts import controls_of
from lilliput.storybook.minimal_pairs import MAKERS, QUESTIONS

PAIRS, THOROUGH_PAIRS = 32, 256


@INSTRUMENTS.add("pairs")
class Pairs(Instrument):
    """Minimal pairs of the story world, beside shuffled words, untrained weights and another seed."""

    title = "Which questions about a story it answers (minimal pairs)"
    part = "knows"
    order = 1

    def refuses(self, subject: Subject) -> str:
        if reason := super().refuses(subject):
            return reason
        found = pair_scores(subject, 1)
        if all("why" in one for one in found.values()):
            return f"no pair of texts fits: {found['hero']['why']}"
        return ""

    def measure(self, subject: Subject) -> dict[str, Any]:
        return {
            "forwards": subject.generator.objective.reads_forwards,
            "kinds": pair_scores(subject, THOROUGH_PAIRS if subject.thorough else PAIRS),
        }

    def section(self, found: Mapping[str, Any]) -> str:
        asked = {kind: one for kind, one in found["kinds"].items() if "why" not in one}
        rows = {
            f"{QUESTIONS[kind]} ({kind})": {name: score_text(score) for name, score in one["scores"].items()}
            for kind, one in asked.items()
        }
        word = "the next word" if found["forwards"] else "the word before, because this model reads backwards"
        lines = [_example(kind, one["example"], found["forwards"]) for kind, one in asked.items()]
        count = max(one["scores"]["model"]["pairs"] for one in asked.values())
        return (
            f"<p>Two texts differ in one word, and each asks for another word: {word}. A number is the share of "
            "answers in which the right word is likelier than the wrong word. A model that does not see the word that "
            f"differs scores 50%.</p>{table(rows)}"
            f"<details><summary>A pair of each kind</summary><ul>{''.join(lines)}</ul></details>"
            '<p class="quiet">Words in random order show how much the words alone give away: a model that copies a '
            "name does so in any order. The word beside the answer keeps its place. Intervals are Wilson's 95% "
            f"intervals over at most {count} pairs of each kind.{_left_out(found['kinds'])}</p>"
        )

    def findings(self, found: Mapping[str, Any]) -> list[str]:
        lines = []
        for kind, one in found["kinds"].items():
            scores = one.get("scores", {})
            if scores and scores["model"]["low"] > scores["untrained"]["high"]:
                lines.append(
                    f"{QUESTIONS[kind]} The model prefers the right word in {score_text(scores['model'])} of answers, "
                    f"and with untrained weights in {score_text(scores['untrained'])}."
                )
        return lines

    def comparable(self, found: Mapping[str, Any]) -> dict[str, Compared]:
        return {
            f"right answers: {QUESTIONS[kind]} ({kind})": Compared(
                one["scores"]["model"]["share"],
                one["scores"]["untrained"]["share"],
                one["scores"]["model"]["low"],
                one["scores"]["model"]["high"],
            )
            for kind, one in found["kinds"].items()
            if "why" not in one
        }


def pair_scores(subject: Subject, count: int) -> dict[str, dict[str, Any]]:
    """Return for each kind of pair an example, and the scores of the model, of the same model with shuffled words, of
    untrained weights, and of the sibling where there is one: {kind: {"example": {...}, "scores": {"model": {...}}}}. A
    kind that the tokenizer has too few words for has {"why": ...} instead."""
    generator, found = subject.generator, {}
    for kind in MAKERS:
        try:
            pairs = encoded_pairs(generator, kind, count, subject.seed)
            mixed = encode_pairs(generator, [shuffled_words(pair, subject.seed) for pair in pairs.pairs])
        except DataError as error:
            found[kind] = {"why": error.message}
            continue
        scores = {
            "model": score_pairs(generator.model, pairs),
            "words in random order": score_pairs(generator.model, mixed),
            **{name: score_pairs(one.model, pairs) for name, one in controls_of(subject).items()},
        }
        rounded = {name: _rounded(score) for name, score in scores.items()}
        found[kind] = {"example": asdict(pairs.pairs[0]), "scores": rounded}
    return found


def score_text(score: Mapping[str, Any]) -> str:
    """Return a score as percent with its interval: '97% (84% to 99%)'."""
    return f"{score['share']:.0%} ({score['low']:.0%} to {score['high']:.0%})"


def _rounded(score: PairScore) -> dict[str, float]:
    return {field: round(value, 4) for field, value in asdict(score).items()}


def _example(kind: str, pair: Mapping[str, str], forwards: bool) -> str:
    """Return the two texts of a pair as a line, with the word that each asks for."""
    both = []
    for text, word in ((pair["text"], pair["right"]), (pair["twin"], pair["wrong"])):
        asked = f"<b>{escape(word)}</b>"
        both.append(f"“{escape(text)} {asked}”" if forwards else f"“{asked} {escape(text)}”")
    return f"<li>{escape(QUESTIONS[kind])} {' and '.join(both)}</li>"


def _left_out(kinds: Mapping[str, Any]) -> str:
    return "".join(
        f" Not asked: {QUESTIONS[kind]} {escape(one['why'])}." for kind, one in kinds.items() if "why" in one
    )

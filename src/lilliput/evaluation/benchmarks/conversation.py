"""MT-Bench: 80 conversations of two turns, marked 1 to 10 by a judge."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from lilliput.base.errors import ConfigError, DataError
from lilliput.evaluation.benchmarks.loading import read_rows
from lilliput.evaluation.benchmarks.task import TASKS, Generate, Generation, Record, Tools

RATING = re.compile(r"\[\[(\d+(?:\.\d+)?)\]\]")
REFERENCED = ("math", "reasoning", "coding")
"""The judge sees a reference answer for questions of these categories."""


@TASKS.add("mt_bench")
class MtBench(Generation):
    """Multi-turn questions marked one by one (Zheng et al. 2023) with the authors' prompts, which lie beside the
    questions (`judge_prompts.jsonl`, `reference_answer*.jsonl`). The model sees 'User:' and 'Assistant:' lines. The
    chance score is 1, the lowest mark."""

    files = ("mt_bench/question*.jsonl", "*mt_bench*question*", "question.jsonl")
    fields = ("category", "turns", "prompts", "references")
    metrics = ("score", "turn_1", "turn_2")
    graded = metrics
    stops: ClassVar[tuple[str, ...]] = ("\nUser:",)
    guessing = 1.0
    best = 10.0

    def record(self, raw: Mapping[str, Any], file: Path | None) -> Record:
        if file is None:
            raise ValueError("MT-Bench is read from a folder")
        references = _references(file.parent).get(raw["question_id"], [])
        return {**raw, "prompts": _prompts(file.parent), "references": references}

    def group(self, record: Record) -> str:
        return record["category"]

    def check(self, tools: Tools) -> None:
        if tools.judge is None:
            raise ConfigError(
                "MT-Bench is marked by a judge, and none is given", "name one: --judge URL --judge-model NAME"
            )

    def prompt(self, record: Record) -> str:
        return f"User: {record['turns'][0]}\nAssistant:"

    def answers(self, records: Sequence[Record], generate: Generate) -> list[Any]:
        first = super().answers(records, generate)
        again = [
            f"{self.prompt(record)}{answer}\nUser: {record['turns'][1]}\nAssistant:"
            for record, answer in zip(records, first, strict=True)
        ]
        return list(zip(first, generate(again, self.stops, self.max_tokens), strict=True))

    def marks(self, record: Record, answer: Any, tools: Tools) -> dict[str, float]:
        assert tools.judge is not None
        kind = "single-math-v1" if record["category"] in REFERENCED and record["references"] else "single-v1"
        references = (*record["references"], "", "")
        values = {
            "question": record["turns"][0],
            "question_1": record["turns"][0],
            "question_2": record["turns"][1],
            "answer": answer[0].strip(),
            "answer_1": answer[0].strip(),
            "answer_2": answer[1].strip(),
            "ref_answer_1": references[0],
            "ref_answer_2": references[1],
        }
        first, second = (
            tools.judge.ask(
                [
                    {"role": "system", "content": template["system_prompt"]},
                    {"role": "user", "content": filled(template["prompt_template"], values)},
                ],
                rating,
            )
            for template in (record["prompts"][kind], record["prompts"][f"{kind}-multi-turn"])
        )
        return {"score": (first + second) / 2, "turn_1": first, "turn_2": second}


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return the template with each {name} replaced. Braces inside the values are not replaced."""
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)


def rating(answer: str) -> float:
    """Return the number in '[[5]]'. Raises ValueError where there is no number from 1 to 10."""
    match = RATING.search(answer)
    if match is None or not 1 <= float(match[1]) <= 10:
        raise ValueError("the answer holds no rating such as [[5]]")
    return float(match[1])


@lru_cache(maxsize=4)
def _prompts(folder: Path) -> dict[str, Mapping[str, Any]]:
    file = folder / "judge_prompts.jsonl"
    if not file.is_file():
        raise DataError(f"there is no {file}", "MT-Bench's judge prompts have to lie beside its questions")
    return {row["name"]: row for _, row in read_rows(file)}


@lru_cache(maxsize=4)
def _references(folder: Path) -> dict[Any, list[str]]:
    rows = (row for file in sorted(folder.glob("reference_answer*.jsonl")) for _, row in read_rows(file))
    return {row["question_id"]: row["choices"][0]["turns"] for row in rows}

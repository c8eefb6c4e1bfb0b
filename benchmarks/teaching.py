"""What the studies of teaching share: rates of fine-tuning, a control's mismatched rows, pairs of own replies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lilliput.assembly.recipe import load
from lilliput.base.files import write_text
from lilliput.data.source import Source
from lilliput.data.story_tasks import StoryPrompts
from lilliput.decoding.sampling import SamplingConfig
from lilliput.evaluation.instructions import drawn
from lilliput.generation.text_generator import TextGenerator
from lilliput.objectives.turns import encode_prompt
from lilliput.storybook.rules import RULES

QUICK = ("evaluate.sample_tokens=4", "evaluate.baselines=[]", "evaluate.tokens=256", "evaluate.final_tokens=256")
"""Overrides of a run that only shows that a study works."""
TINY = (
    *("model.d_model=64", "model.n_layers=2", "model.n_heads=2", "data.sources.0.stories=400"),
    *("train.steps=30", "evaluate.heroes=0", "evaluate.final_heroes=0", *QUICK),
)
"""The same of a base, which trains in seconds."""
REPLIES = 4
"""Replies to a prompt, of which the best and the worst become a pair."""
GAP = 0.25
"""Least difference of score between the replies of a pair. A smaller one is mostly chance."""
PROMPTS = 16
"""Prompts that are replied to side by side."""


def rates() -> list[str]:
    """Return overrides that give a recipe the optimiser of the recipe chat, for a student with the same weights."""
    return [f"train.optimizer={json.dumps(load('chat').train.optimizer.model_dump(mode='json'))}"]


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as JSONL. Returns the file."""
    write_text(file, "".join(json.dumps(row) + "\n" for row in rows))
    return file


def mismatched(source: Source, file: Path) -> Path:
    """Write a source's conversations with each last reply under the request of its neighbour. A model of these rows
    learns the form of a reply, and nothing of doing what is asked."""
    rows = [document.example for document in source.documents()]
    turns = [list(row.row["messages"]) for row in rows if row is not None]
    pairs = zip(turns, [*turns[1:], turns[0]], strict=True)
    return write_rows(file, [{"messages": [*asked[:-1], replied[-1]]} for asked, replied in pairs])


def own_pairs(model: TextGenerator, count: int, seed: int, file: Path) -> Path:
    """Write pairs of a model's own replies to `count` prompts: the best and the worst of REPLIES by the rule `overall`.
    A prompt whose replies score nearly the same gives no pair."""
    documents = list(StoryPrompts(count=count, seed=seed).documents())
    rows: list[dict[str, Any]] = []
    for start in range(0, count, PROMPTS):
        examples = [document.example for document in documents[start : start + PROMPTS] if document.example is not None]
        prompts = [encode_prompt(example.row["prompt"], model.tokenizer) for example in examples]
        sampling = SamplingConfig(temperature=1.0, max_tokens=112, seed=seed + start)
        _, texts = drawn(model, prompts, sampling, REPLIES)
        for place, example in enumerate(examples):
            replies = texts[place * REPLIES : (place + 1) * REPLIES]
            scored = sorted((RULES["overall"](text, example.columns), text) for text in replies)
            (low, rejected), (high, chosen) = scored[0], scored[-1]
            if high - low >= GAP:
                rows.append({"prompt": example.row["prompt"], "chosen": chosen, "rejected": rejected})
    return write_rows(file, rows)

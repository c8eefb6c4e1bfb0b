"""Heads are watched where every layer has a pattern, and a run that asks for more is refused by name."""

from types import SimpleNamespace
from typing import Any

import pytest

from lilliput.assembly.assembly import Assembly
from lilliput.base.errors import ConfigError
from tests.lens.subjects import story_tokenizer
from tests.model.families import stirred


def run(family: str, watch: int | None) -> Any:
    """The parts of a run that decide on its watch."""
    evaluate, objective = SimpleNamespace(watch=watch), SimpleNamespace(generates=True)
    recipe = SimpleNamespace(evaluate=evaluate)
    return SimpleNamespace(recipe=recipe, objective=objective, model=stirred(family), tokenizer=story_tokenizer())


def test_a_run_without_patterns_watches_no_heads() -> None:
    assert len(Assembly._watched(run("story", None))) == 1
    assert Assembly._watched(run("own_hybrid", 0)) == []
    for watch in (None, 5):
        wanted = rf"evaluate.watch={'null' if watch is None else watch} .*layers 0 \(attention=gated_delta\) have none"
        with pytest.raises(ConfigError, match=wanted) as caught:
            Assembly._watched(run("own_hybrid", watch))
        assert caught.value.hint == "leave it out: evaluate.watch=0"

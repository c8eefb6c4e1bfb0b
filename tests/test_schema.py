"""The JSON schema of a recipe: every key is described, those of every registered source, step and objective too."""

from collections.abc import Iterator
from typing import Any

import pytest

from lilliput.assembly.recipe import Recipe
from lilliput.data.source import SOURCES
from lilliput.data.steps import STEPS
from lilliput.decoding.sampling import SamplingConfig
from lilliput.evaluation.benchmarks.task import TASKS
from lilliput.model.parts import ATTENTIONS, MLPS, NORMS, POSITIONS
from lilliput.objectives.objective import OBJECTIVES
from lilliput.training.trackers import TRACKERS

LONGEST = 320


def keys(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, schema) of every property at whatever depth."""
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items():
            yield f"{place}.{name}", value
        for name, value in node.items():
            yield from keys(value, f"{place}.{name}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from keys(value, f"{place}.{number}")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return Recipe.model_json_schema()


def test_every_key_is_described(schema: dict[str, Any]) -> None:
    found = [*keys(schema), *keys(SamplingConfig.model_json_schema())]
    assert len(found) > 140
    assert [place for place, key in found if not key.get("description")] == []
    assert [place for place, key in found if len(key["description"]) > LONGEST] == []


def test_a_key_without_a_description_is_found(schema: dict[str, Any]) -> None:
    bare = {"$defs": {"Part": {"anyOf": [{"properties": {"inner": {"type": "integer"}}}]}}}
    assert [place for place, key in keys(bare) if "description" not in key] == [".$defs.Part.anyOf.0.inner"]


def test_the_classes_of_every_registry_are_in_it(schema: dict[str, Any]) -> None:
    kinds = {key["const"] for place, key in keys(schema) if place.endswith(".kind") and "const" in key}
    assert kinds >= {*SOURCES, *STEPS, *OBJECTIVES}


def test_known_names_can_be_completed(schema: dict[str, Any]) -> None:
    sections = schema["$defs"]
    for name, registry in {"norm": NORMS, "position": POSITIONS, "mlp": MLPS, "attention": ATTENTIONS}.items():
        assert sections["ModelConfig"]["properties"][name]["enum"] == list(registry)
    assert sections["TrainConfig"]["properties"]["trackers"]["items"]["enum"] == list(TRACKERS)
    assert sections["EvaluateConfig"]["properties"]["tasks"]["items"]["enum"] == list(TASKS)

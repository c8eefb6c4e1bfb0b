"""Stories that are labelled by their plans."""

import pytest

from lilliput.base.config import read_yaml
from lilliput.base.shipped import shipped
from lilliput.data.story_labels import StoryLabels
from lilliput.storybook import story


@pytest.mark.parametrize("field", ["plot", "ending"])
def test_labels_are_those_of_the_plan(field: str) -> None:
    source = StoryLabels.model_validate({"stories": 40, "seed": 3, "field": field})
    documents = list(source.documents())
    assert len(documents) == 40
    for number, document in enumerate(documents):
        made = story(3, number)
        assert document.example is not None
        assert dict(document.example.row) == {"text": made.text, "pair": None, "label": getattr(made.plan, field)}
        assert (document.text, document.kind) == (made.text, "labelled")
    assert len({document.id for document in documents}) == 40


def test_the_fingerprint_names_what_is_read() -> None:
    prints = {
        StoryLabels.model_validate(values).fingerprint()
        for values in ({}, {"stories": 10}, {"seed": 1}, {"field": "ending"})
    }
    assert len(prints) == 4
    assert StoryLabels().fingerprint()[:12] in StoryLabels().describe()


def test_the_recipe_names_every_plot() -> None:
    named = read_yaml(shipped()["classify"])["objective"]["labels"]
    assert sorted(named) == sorted({story(0, number).plan.plot for number in range(400)})

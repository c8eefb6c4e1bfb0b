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


def test_answers_are_right_or_wrong_by_the_story() -> None:
    documents = list(StoryLabels.model_validate({"stories": 300, "seed": 3, "field": "answer"}).documents())
    rows = [document.example.row for document in documents if document.example is not None]
    assert 0.4 < sum(row["label"] == "right" for row in rows) / 300 < 0.6
    answers = [row for row in rows if str(row["pair"]).startswith("Who is the hero")]
    assert {row["label"] for row in answers} == {"right", "wrong"}
    for row in answers:
        named = str(row["pair"]).removesuffix(".").split()[-1]
        assert named in row["text"]  # right or wrong, it is somebody of the story
        assert (f"named {named}." in row["text"] or f"name was {named}." in row["text"]) == (row["label"] == "right")
    weather = [row for row in rows if "the weather" in str(row["pair"])]
    assert len(weather) > 20
    for row in weather:
        named = str(row["pair"]).removesuffix(".").split("was ")[-1]
        assert (f" {named} " in row["text"]) == (row["label"] == "right")


def test_a_wrong_owner_has_the_thing_of_another() -> None:
    documents = list(StoryLabels.model_validate({"stories": 200, "seed": 3, "field": "owner"}).documents())
    rows = [document.example.row for document in documents if document.example is not None]
    assert 0.4 < sum(row["label"] == "right" for row in rows) / 200 < 0.6
    for row in rows:
        who, thing = str(row["pair"]).removesuffix(".").split(" has ")
        (told,) = [sentence for sentence in row["text"].split(". ") if sentence.startswith(f"{who} ")]
        assert thing in row["text"]
        assert (thing in told) == (row["label"] == "right")


def test_the_fingerprint_names_what_is_read() -> None:
    prints = {
        StoryLabels.model_validate(values).fingerprint()
        for values in ({}, {"stories": 10}, {"seed": 1}, {"field": "ending"}, {"field": "answer"}, {"field": "owner"})
    }
    assert len(prints) == 6
    assert StoryLabels().fingerprint()[:12] in StoryLabels().describe()


def test_the_recipe_names_every_plot() -> None:
    named = read_yaml(shipped()["classify"])["objective"]["labels"]
    assert sorted(named) == sorted({story(0, number).plan.plot for number in range(400)})

"""Rewards: what a function gets, and what it does not judge."""

from typing import Any

from lilliput.objectives.rewards.reward import scored
from lilliput.objectives.rewards.texts import Answer
from tests.objectives.teaching import tiny, workshop


def test_a_reward_that_changes_its_arguments_changes_them_for_itself_alone() -> None:
    def careless(prompts: list[Any], completions: list[Any], wanted: list[Any], **columns: Any) -> list[float]:
        for prompt, completion in zip(prompts, completions, strict=True):
            prompt += completion
        wanted.sort()
        return [float(len(prompt)) for prompt in prompts]

    prompt = [{"role": "user", "content": "a"}]
    completions = [[{"role": "assistant", "content": "b"}], [{"role": "assistant", "content": "c"}]]
    columns = {"wanted": [2, 1]}
    assert scored("careless", careless, [prompt, prompt], completions, columns) == [2.0, 2.0]
    assert columns == {"wanted": [2, 1]}
    assert len(prompt) == 1


def test_a_row_without_an_answer_is_not_judged() -> None:
    score = Answer().build(workshop(tiny()))
    assert score(prompts=["", ""], completions=["it is 4", "it is 4"], answer=[4, None]) == [1.0, None]

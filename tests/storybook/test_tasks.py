"""Tasks: every reply satisfies its request, by plan and by rule, over thousands of them."""

import re
from collections import Counter

import pytest

from lilliput.storybook.arithmetic import MOST, arithmetic, arithmetic_text, problem
from lilliput.storybook.instructions import FITS, SHARES, instruction, request
from lilliput.storybook.preferences import DAMAGES, MARGIN, preference, rating, story_prompt
from lilliput.storybook.questions import ANSWERS, ASK, UNKNOWN, question
from lilliput.storybook.refusals import refusal_or_answer
from lilliput.storybook.rules import RULES, refuses
from lilliput.storybook.tasks import NO_COLUMNS, columns

CHECKED = ("words", "ending", "hero", "feature", "begins", "length", "complete")


@pytest.mark.parametrize("full", [False, True])
def test_every_story_satisfies_its_request(full: bool) -> None:
    sorts: Counter[str] = Counter()
    for number in range(400 if full else 2_500):
        asked = request(7, number, "all", full=full)
        sorts[asked.columns["task"]] += 1
        for name in CHECKED:
            assert RULES[name](asked.reply, asked.columns) == 1, (name, asked)
        assert asked.columns["ending"] in (None, asked.plan.ending)
        assert asked.columns["hero"] in (None, asked.plan.hero.name)
        assert set(asked.columns["words"] or ()) <= {*asked.plan.words, asked.plan.thing}
        for word in asked.columns["words"] or ():
            assert word in asked.prompt or asked.columns["task"] == "summary", asked
        assert not re.search(r"[{}\[\]|]|  ", asked.prompt)
    assert set(sorts) == set(SHARES) - ({"summary"} if full else set())
    assert set(FITS) < set(SHARES)


def test_requests_are_the_same_for_a_seed_and_number_and_phrasings_are_many() -> None:
    later = request(3, 8)
    assert [request(3, number) for number in (9, 8)][1] == later
    prompts = {request(3, number).prompt for number in range(300)}
    assert len(prompts) > 210


def test_held_out_phrasings_are_marked_and_kept_from_training() -> None:
    def starts(phrasings: str) -> set[str]:
        made = [request(5, number, phrasings, sort="words") for number in range(300)]  # type: ignore[arg-type]
        assert {each.columns["held_out"] for each in made} == {phrasings == "held_out"}
        return {" ".join(each.prompt.split()[:3]) for each in made}

    assert not starts("train") & starts("held_out")
    marks = Counter(request(5, number, "all").columns["held_out"] for number in range(500))
    assert 20 < marks[True] < 90


def test_a_second_turn_changes_the_ending_goes_on_or_asks_for_the_hero() -> None:
    tasks: Counter[str] = Counter()
    for number in range(400):
        made = instruction(9, number, "all", turns=1.0)
        turns = made.row["messages"]
        tasks[made.columns["task"]] += 1
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
        first, last = turns[1]["content"], turns[3]["content"]
        if made.columns["task"] == "change_ending":
            assert RULES["ending"](last, made.columns) == RULES["hero"](last, made.columns) == 1
            assert made.columns["ending"] in turns[2]["content"]
            assert RULES["ending"](first, made.columns) < 1
        elif made.columns["task"] == "go_on":
            assert RULES["complete"](f"{first} {last}", {}) == 1
        else:
            assert made.columns["hero"] in last
            assert made.columns["hero"] in first
    assert set(tasks) == {"change_ending", "go_on", "who"}
    assert not any(len(instruction(9, number, turns=0).row["messages"]) > 2 for number in range(50))


def test_questions_are_answered_from_the_story() -> None:
    unknown = 0
    for number in range(3_000):
        made = question(11, number, "all")
        (asked, answered) = (turn["content"] for turn in made.row["messages"])
        assert not re.search(r"[{}\[\]|]|  |\.\.", answered), answered
        assert RULES["words"](answered, made.columns) == 1
        unknown += answered == UNKNOWN
        if answered == UNKNOWN:
            assert made.columns["task"] == "unanswerable"
        elif made.columns["words"]:
            assert RULES["words"](asked, made.columns) == 1 or made.columns["words"][0].startswith(("a ", "an "))
    assert 0.1 < unknown / 3_000 < 0.2
    assert ASK.keys() == ANSWERS.keys()


def test_harmful_requests_are_refused_and_look_alikes_answered() -> None:
    harmful = 0
    for number in range(2_000):
        made = refusal_or_answer(13, number, "all")
        reply = made.row["messages"][1]["content"]
        assert refuses(reply) == made.columns["harmful"]
        assert RULES["refusal"](reply, made.columns) == 1
        harmful += made.columns["harmful"]
    assert 0.45 < harmful / 2_000 < 0.55
    prompts = {bad: set[str]() for bad in (True, False)}
    for number in range(2_000):
        made = refusal_or_answer(13, number)
        prompts[made.columns["harmful"]].add(made.row["messages"][0]["content"])
    assert not prompts[True] & prompts[False]
    assert min(map(len, prompts.values())) > 150


def test_arithmetic_is_right_in_both_orders() -> None:
    for number in range(2_000):
        made = problem(17, number)
        reached = None
        for step in made.steps:
            left, sign, right, total = re.fullmatch(r"(\d+) ([-+x]) (\d+) = (\d+)", step).groups()  # type: ignore[union-attr]
            assert reached in (None, int(left))
            reached = {"+": int(left) + int(right), "-": int(left) - int(right), "x": int(left) * int(right)}[sign]
            assert reached == int(total)
            assert 0 < reached <= MOST
        assert reached == made.answer
        replies = [arithmetic(17, number, order) for order in ("answer", "reason")]
        assert replies[0].row["messages"][0] == replies[1].row["messages"][0]
        for task in replies:
            assert RULES["answer"](task.row["messages"][1]["content"], task.columns) == 1
        first, last = (task.row["messages"][1]["content"] for task in replies)
        assert first.startswith("The answer is")
        assert last.endswith(f"The answer is {made.answer}.")
    assert [len(problem(17, number, steps).steps) for number in range(5) for steps in (1, 2, 3)] == [1, 2, 3] * 5


def test_the_three_forms_of_arithmetic_text() -> None:
    worked, practice = (arithmetic_text(19, 4, form).row["text"] for form in ("worked", "practice"))
    assert worked.split("\n")[0] == practice.split("\n")[0] == problem(19, 4).text
    assert practice.split("\n")[1] == f"The answer is {problem(19, 4).answer}."
    assert problem(19, 4).steps[0] in worked
    for number in range(300):
        text = arithmetic_text(19, number, "exposition").row["text"]
        left, sign, right, total = re.search(r"(\d+) ([-+x]) (\d+) = (\d+)", text).groups()  # type: ignore[union-attr]
        assert {"+": int(left) + int(right), "-": int(left) - int(right), "x": int(left) * int(right)}[sign] == int(
            total
        )


def test_preferences_have_a_better_and_a_worse_reply() -> None:
    damages: Counter[str] = Counter()
    for number in range(200):
        made = preference(23, number)
        assert made.row["chosen"] != made.row["rejected"]
        assert made.columns["chosen_score"] >= made.columns["rejected_score"] + MARGIN
        for name in CHECKED:
            assert RULES[name](made.row["chosen"][0]["content"], made.columns) == 1
        damages[made.columns["damage"]] += 1
    assert set(damages) == set(DAMAGES)
    assert preference(23, 5) == preference(23, 5)


def test_ratings_are_true_of_their_completions() -> None:
    made = [rating(29, number) for number in range(100)]
    assert 30 < sum(task.row["label"] for task in made) < 70
    for task in made:
        good = all(RULES[name](task.row["completion"][0]["content"], task.columns) == 1 for name in CHECKED)
        assert good or not task.row["label"]
        assert bool(task.columns["damage"]) != task.row["label"]
    assert all(rating(29, number, good=1.0).row["label"] for number in range(20))


def test_prompts_all_have_the_same_columns() -> None:
    shares = {"story": 1, "arithmetic": 1, "refusal": 1}
    made = [story_prompt(31, number, shares=shares) for number in range(200)]
    assert all(task.columns.keys() == NO_COLUMNS.keys() for task in made)
    assert all([turn["role"] for turn in task.row["prompt"]] == ["user"] for task in made)
    assert sum(task.columns["answer"] is not None for task in made) > 40
    assert sum(task.columns["harmful"] is not None for task in made) > 40
    with pytest.raises(KeyError, match="rhyme"):
        columns("words", rhyme=True)

"""Exercises from seed texts: only verified drafts are kept, and nothing is asked twice."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from lilliput.base.errors import DataError, LilliputError
from lilliput.cli.app import app
from lilliput.data.document import Document
from lilliput.evaluation.sandbox import SandboxMissing, check_sandbox
from lilliput.worlds.exercises import EXERCISES, Drafter, Made, Refused, make

TEXT = (
    "One day Tom saw a small red fox by the river. The fox was cold and wet, so Tom gave it his blue coat. In 1999 the "
    "fox came back to Tom with a golden key and they opened the old door together."
)


def made_of(kind: str, answer: str, check: str = "", **settings: object) -> dict[str, object]:
    """The row of one answer."""
    exercise = EXERCISES[kind](kind=kind, **settings)
    return exercise.row(exercise.draft(TEXT, Random(1)), answer, lambda question: check)


def refusal(kind: str, answer: str, check: str = "") -> str:
    with pytest.raises(Refused) as error:
        made_of(kind, answer, check)
    return str(error.value)


def test_a_missing_part_has_to_be_the_one_that_was_taken_out() -> None:
    exercise = EXERCISES["fill"].model_validate({"words": 2})
    draft = exercise.draft(TEXT, Random(1))
    missing = draft.known["missing"]
    assert draft.known["context"].replace("____", missing) == TEXT
    assert missing not in draft.question.replace(TEXT.replace(missing, ""), "")
    row = exercise.row(draft, f"The fox needs it.\n**Answer:** {missing.upper()}.", lambda question: "")
    assert row["completion"] == f"The fox needs it.\nAnswer: {missing}"
    assert refusal("fill", "Because.\nAnswer: zebra stripes") == "the answer is not what was taken out"
    assert refusal("fill", "zebra stripes") == "no line begins with answer"
    with pytest.raises(Refused, match="no reasoning"):
        exercise.row(draft, f"Answer: {missing}", lambda question: "")
    with pytest.raises(Refused, match="too short"):
        exercise.draft("Too short.", Random(1))


def test_a_second_reading_has_to_agree() -> None:
    answer = "Question: What colour was the coat?\nAnswer: It was blue"
    assert made_of("question", answer, "The coat was blue.", least=0.4)["completion"] == "It was blue"
    assert refusal("question", answer, "red") == "a second reading answers otherwise"
    assert refusal("question", "Question: What?\nAnswer: quantum") == "the answer has no word of the text"
    assert refusal("question", "Question: Tell me.\nAnswer: blue") == "the question has no question mark"
    assert refusal("question", "Question: What?\nAnswer: " + "blue " * 20) == "the answer is empty or too long"


def test_other_words_keep_the_facts() -> None:
    good = (
        "Tom met a little red fox at the water one day. It shivered, and its fur was soaked, so he put his blue jacket "
        "around it. The animal returned to Tom in 1999, carrying a key of gold, and both went through the ancient door."
    )
    assert made_of("rephrase", good) == {"text": good}
    assert refusal("rephrase", TEXT) == "the new text is a copy"
    assert refusal("rephrase", good.replace("1999", "that year")) == "a name or a number is missing"
    assert refusal("rephrase", "Tom saw a fox.") == "the new text is much longer or shorter"


PROGRAM = '''```python
def coats(foxes):
    """Return how many coats the foxes need."""
    return foxes

assert coats(2) == 2
assert coats(0) == 0
```'''


def test_code_has_to_run_and_its_checks_to_check() -> None:
    try:
        check_sandbox()
    except SandboxMissing as error:
        pytest.skip(str(error))
    row = made_of("code", PROGRAM)
    assert str(row["completion"]).startswith("def coats(foxes):")
    assert row["checks"] == "assert coats(2) == 2\nassert coats(0) == 0"
    assert refusal("code", PROGRAM.replace("return foxes", "return 7")) == "the program does not run"
    vain = PROGRAM.replace("coats(2) == 2", "True").replace("coats(0) == 0", "1")
    assert refusal("code", vain) == "the checks pass whatever the function returns"
    assert refusal("code", "no code") == "there is no block of code"


def drafter(answer: Callable[[str, int], str]) -> Drafter:
    return Drafter("a test", answer, parallel=2)


def fill_in(question: str, sample: int) -> str:
    """An answer that is right for every second text, and there at the second try alone."""
    context = re.search(r"(\S+) ____", question)
    assert context is not None
    number = int(re.search(r"number(\d+)", question)[1])  # type: ignore[index]
    missing = "odd" if number % 2 else f"w{number}"
    return f"It is so.\nAnswer: {missing}" if sample else "no answer"


def test_seeds_are_done_once_and_costs_are_counted(tmp_path: Path) -> None:
    texts = [f"number{number} " + f"w{number} " * 40 for number in range(6)]
    seeds = [Document(text, str(number)) for number, text in enumerate(texts)]
    exercise = EXERCISES["fill"].model_validate({"words": 1})
    out, asked = tmp_path / "fill.jsonl", list[str]()

    def ask(question: str, sample: int) -> str:
        asked.append(question)
        return fill_in(question, sample)

    one = drafter(ask)
    made: Made = make(exercise, seeds[:4], one, one, out, price_in=1.0, price_out=2.0)
    assert (made.kept, made.seeds, sum(made.refused.values())) == (2, 4, 2)
    assert made.cost["questions_a_row"] == len(asked) / 2 == 4
    assert made.cost["price_a_row"] > 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["seed_id"] for row in rows] == ["0", "2"]
    with open(out, "a") as file:
        file.write('{"cut": ')  # a process was killed while it wrote
    again = make(exercise, seeds, one, one, out)
    assert (again.kept, again.seeds, len(asked)) == (3, 6, 12)
    assert len(out.read_text().splitlines()) == 3
    out.write_text("something else\n")
    with pytest.raises(DataError, match="no row of exercises"):
        make(exercise, seeds, one, one, out)


def test_an_error_of_the_model_ends_the_work(tmp_path: Path) -> None:
    def ask(question: str, sample: int) -> str:
        raise LilliputError("the endpoint is away")

    one = drafter(ask)
    with pytest.raises(LilliputError, match="away"):
        make(EXERCISES["rephrase"](), [Document(TEXT, "1")], one, one, tmp_path / "r.jsonl")


def test_the_command_drafts_with_a_run(chatty: Path, tmp_path: Path) -> None:
    """The tiny model has learned two conversations, so that no draft of it is kept: the reasons say why."""
    (tmp_path / "seeds.txt").write_text(f"{TEXT}\n\nToo short.")
    options = ["--data", str(tmp_path / "seeds.txt"), "--run", str(chatty), "--kind", "rephrase"]
    result = CliRunner().invoke(app, ["data", "synthesize", *options, "--out", str(tmp_path / "r.jsonl"), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["seeds"], found["kept"]) == (2, 0)
    assert found["refused"]["the seed text is too short"] == 1
    assert len((tmp_path / "r.refused.jsonl").read_text().splitlines()) == 2
    wrong = CliRunner().invoke(app, ["data", "synthesize", "--data", str(tmp_path / "seeds.txt")])
    assert wrong.exit_code != 0

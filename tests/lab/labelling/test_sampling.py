"""Samples: different, repeatable, generated ahead; and the prompts that they follow."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput.base.errors import ConfigError, DataError
from lilliput.data.config import TokenizerConfig
from lilliput.data.tokenizer import Tokenizer
from lilliput.generation.text_generator import TextGenerator
from lilliput.lab.labelling.prompts import prompt_text, read_prompts
from lilliput.lab.labelling.record import Candidate, Prompt
from lilliput.lab.labelling.sampling import Ahead, Sampler, Unusable
from lilliput.lab.labelling.session import joined
from lilliput.model.config import resolve
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal
from lilliput.storybook import OPENINGS
from tests.generation.conftest import TEMPLATE
from tests.lab.labelling.conftest import replies

CHAT = ({"role": "user", "content": "hello there"},)


@pytest.fixture(scope="module")
def generator() -> TextGenerator:
    tokenizer = Tokenizer.train(
        ["One day Tom saw a ball. hello there, Tell tales."] * 9, TokenizerConfig(vocab_size=300)
    )
    shape = {"d_model": 32, "n_layers": 1, "n_heads": 4, "context_length": 64}
    torch.manual_seed(0)
    model = Model(resolve("story_1m", **shape, vocab_size=tokenizer.vocab_size)).eval()
    return TextGenerator(model, tokenizer.with_template(TEMPLATE), Causal())


def sampler(generator: TextGenerator, samples: int = 3, **sampling: float) -> Sampler:
    return Sampler(generator, "tiny", "abc", samples, 5, {"temperature": 1.0, "max_tokens": 8, **sampling})


@pytest.mark.parametrize("prompt", ["One day", CHAT], ids=["text", "chat"])
def test_samples_differ_and_are_drawn_again_alike(generator: TextGenerator, prompt: Prompt) -> None:
    first, again = (sampler(generator)(prompt) for _ in range(2))
    assert first == again
    assert len({each.text for each in first}) == 3
    assert all((each.model, each.sha256) == ("tiny", "abc") for each in first)
    other = Sampler(generator, "tiny", "abc", 3, 6, {"temperature": 1.0, "max_tokens": 8})(prompt)
    assert {each.text for each in other} != {each.text for each in first}


def test_the_recorded_sampling_gives_the_recorded_reply(generator: TextGenerator) -> None:
    for candidate in sampler(generator)("One day"):
        options: dict[str, Any] = dict(candidate.sampling)
        sample = int(options.pop("sample"))
        found = generator.generate("One day", None, **options, n=sample + 1)[sample]
        assert found == "One day" + candidate.text
    for candidate in sampler(generator)(CHAT):
        assert generator.chat(list(CHAT), **candidate.sampling) == candidate.text  # type: ignore[arg-type]


def test_replies_that_cannot_differ_are_unusable(generator: TextGenerator) -> None:
    with pytest.raises(Unusable, match="gave 1 different replies, and 3 are compared"):
        sampler(generator, temperature=0)("One day")


def test_a_prompt_longer_than_the_context_is_unusable(generator: TextGenerator) -> None:
    with pytest.raises(Unusable, match="context"):
        sampler(generator)("One day " * 100)


# ------------------------------------------------------------------------------------------------ ahead


def test_replies_are_made_ahead_and_not_all_at_once() -> None:
    made: list[str] = []

    def make(prompt: Prompt) -> tuple[Candidate, ...]:
        made.append(str(prompt))
        return replies(prompt, 2)

    ahead = Ahead(make, [f"{n}" for n in range(9)], ahead=3)
    try:
        until(lambda: len(made) == 3)
        time.sleep(0.05)
        assert made == ["0", "1", "2"]
        assert ahead.get("0") == replies("0", 2)
        until(lambda: len(made) == 4)
        assert ahead.get("7") is not None  # out of its turn
        assert made.index("7") <= 5
        assert ahead.get("0") == replies("0", 2)  # as often as it is asked for
    finally:
        ahead.close()


def until(done: object) -> None:
    deadline = time.monotonic() + 10
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_errors_come_where_the_replies_are_asked_for() -> None:
    def make(prompt: Prompt) -> tuple[Candidate, ...]:
        raise (Unusable("too long") if prompt == "a" else ZeroDivisionError("broken"))

    ahead = Ahead(make, ["a", "b"])
    try:
        with pytest.raises(Unusable, match="too long"):
            ahead.get("a")
        with pytest.raises(ZeroDivisionError):
            ahead.get("b")
    finally:
        ahead.close()


def test_a_timeout_gives_none_and_the_end_does_not_hang() -> None:
    go = threading.Event()

    def make(prompt: Prompt) -> tuple[Candidate, ...]:
        go.wait(10)
        return replies(prompt, 2)

    ahead = Ahead(make, ["a", "b"])
    assert ahead.get("a", timeout=0.01) is None
    go.set()
    assert ahead.get("a", timeout=10) is not None
    ahead.close()
    assert ahead.get("c", timeout=10) is None


# ------------------------------------------------------------------------------------------------ prompts


def test_prompts_of_every_form(tmp_path: Path) -> None:
    story = read_prompts("story", chat=False)
    assert len(set(map(str, story))) == len(story) == 40
    assert story[: len(OPENINGS)] == list(OPENINGS)
    assert all(str(prompt)[-1] in ".!?" for prompt in story[len(OPENINGS) :])
    assert read_prompts("story", chat=False, limit=100)[:40] == story
    assert read_prompts("story", chat=False, limit=3) == list(OPENINGS[:3])
    text = tmp_path / "prompts.txt"
    text.write_text("One day\n\nA fox\nOne day\n")
    assert read_prompts(text, chat=False) == ["One day", "A fox"]
    assert read_prompts(text, chat=False, limit=1) == ["One day"]
    assert read_prompts(text, chat=True) == [({"role": "user", "content": each},) for each in ("One day", "A fox")]
    (tmp_path / "prompts.yaml").write_text("- One day\n- |\n  A fox\n  ran\n")
    assert read_prompts(tmp_path / "prompts.yaml", chat=False) == ["One day", "A fox\nran\n"]
    rows = tmp_path / "prompts.jsonl"
    rows.write_text('{"prompt": "One day", "words": ["a"]}\n\n{"prompt": [{"role": "user", "content": "Hello"}]}\n')
    assert read_prompts(rows, chat=True)[1] == ({"role": "user", "content": "Hello"},)
    with pytest.raises(DataError, match="not trained to chat"):
        read_prompts(rows, chat=False)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "x"}', "line 1: there is no column 'prompt'"),
        ("a.jsonl", '{"prompt": "x"}\n{"prompt": " "}', "line 2: there is no column 'prompt'"),
        ("a.jsonl", '{"prompt": [{"role": "assistant", "content": "x"}]}', "line 1: there is no column"),
        ("a.jsonl", '{"prompt": [{"role": "robot", "content": "x"}]}', "line 1: there is no column"),
        ("a.jsonl", '{"prompt": [{"role": "user", "content": "x", "name": "y"}]}', "line 1: there is no column"),
        ("a.jsonl", "{", "is not valid JSON"),
        ("a.yaml", "a: 1", "is no list of texts"),
        ("a.txt", "\n\n", "holds no prompt"),
        ("b.txt", None, "cannot read prompts"),
    ],
)
def test_bad_prompts_are_refused(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_prompts(tmp_path / name, chat=True)


def test_a_prompt_as_a_person_reads_it() -> None:
    assert prompt_text("One day") == "One day"
    assert prompt_text(CHAT) == "hello there"
    turns: Any = ({"role": "system", "content": "Be brief."}, *CHAT)
    assert prompt_text(turns) == "system: Be brief.\n\nuser: hello there"


@pytest.mark.parametrize(
    ("prompt", "completion", "expected"),
    [
        ("One day", "Tom ran.\n", " Tom ran."),
        ("One day", ", Tom ran.", ", Tom ran."),
        ("One day", '"No," he said.', ' "No," he said.'),
        ("One day", "\nTom ran.", "\nTom ran."),
        ("One day ", "Tom ran.", "Tom ran."),
        (CHAT, "  Hello.\n", "Hello."),
    ],
)
def test_a_completion_joins_its_prompt(prompt: Prompt, completion: str, expected: str) -> None:
    assert joined(prompt, completion) == expected


def test_a_task_names_items_alike_for_all_labellers() -> None:
    from lilliput.lab.labelling.session import Task

    tasks = {
        name: Task("rank", name, samples, "tiny", 0, {"temperature": heat})
        for name, samples, heat in (("ada", 2, 0.8), ("ben", 2, 0.8), ("eve", 3, 0.8), ("fay", 2, 1.0))
    }
    ada, ben, eve, fay = (task.items(["One day", CHAT]) for task in tasks.values())
    assert ada == ben
    assert len({item.key for items in (ada, eve, fay) for item in items}) == 6
    rated = Task("rate", "ada", 3, "tiny", 0, {}).items(["One day"])
    assert [item.sample for item in rated] == [0, 1, 2]
    assert len({item.key for item in rated}) == 3


def test_an_unusable_name_is_refused() -> None:
    from lilliput.lab.labelling.labelling import _labeller

    for name in ("", " ada", "a\nb", "x" * 65, "a\x1b[1m"):
        with pytest.raises(ConfigError, match="no labeller's name"):
            _labeller(name, print)
    assert _labeller("Zoë B.", print) == "Zoë B."

"""TextGenerator: the one class that generates, its old names, answers to prompts, and chat."""

import warnings
from pathlib import Path
from typing import Any

import pytest

import lilliput
from lilliput.base.errors import ConfigError
from lilliput.data.tokenizer import Tokenizer
from lilliput.decoding.decode import generate
from lilliput.decoding.sampling import SamplingConfig
from lilliput.formats.source import Source
from lilliput.generation.loading import load, load_folder
from lilliput.generation.run import Run
from lilliput.generation.text_generator import TextGenerator
from lilliput.model.huggingface import to_huggingface
from lilliput.model.transformer import Model
from lilliput.objectives.causal import Causal
from lilliput.objectives.reversed import Reversed
from tests.generation.conftest import TEMPLATE

GREEDY: dict[str, Any] = {"temperature": 0.0, "max_tokens": 8}
QUESTION = [{"role": "user", "content": "One day Tom?"}]


@pytest.fixture(scope="module")
def generator(model: Model, tokenizer: Tokenizer) -> TextGenerator:
    return TextGenerator(model, tokenizer, Causal())


@pytest.fixture(scope="module")
def folder(model: Model, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as a Hugging Face folder with a chat template."""
    made = tmp_path_factory.mktemp("chatty")
    to_huggingface(model, made, extra=None, **tokenizer.marks)
    tokenizer.save(made)
    (made / "chat_template.jinja").write_text(TEMPLATE)
    return made


@pytest.mark.parametrize(
    ("old", "new", "given"),
    [
        ("tell", "generate", ("One day",)),
        ("tell_in_detail", "generate_detailed", ("One day",)),
        ("tell_each", "generate_batch", (["One day", "Tom"],)),
    ],
)
def test_old_names_do_the_same_and_warn(generator: TextGenerator, old: str, new: str, given: tuple[Any, ...]) -> None:
    with pytest.warns(DeprecationWarning, match=rf"TextGenerator\.{old} is called TextGenerator\.{new} now") as caught:
        found = getattr(generator, old)(*given, **GREEDY)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found == getattr(generator, new)(*given, **GREEDY)


def test_a_run_generates_and_its_old_names_warn(folder: Path) -> None:
    run = Run(folder)
    text = run.generate("One day", **GREEDY)
    assert text.startswith("One day")
    assert text == run.text_generator.generate("One day", **GREEDY)[0]
    with pytest.warns(DeprecationWarning, match=r"Run\.tell is called Run\.generate"):
        assert run.tell("One day", **GREEDY) == text
    with pytest.warns(DeprecationWarning, match=r"Run\.storyteller is called Run\.text_generator"):
        assert run.storyteller is run.text_generator


def test_ways_to_generate_agree(generator: TextGenerator) -> None:
    (whole,) = generator.generate("One day", **GREEDY)
    assert generator.generate_batch(["One day", "Tom"], **GREEDY)[0] == whole
    assert "One day" + "".join(generator.stream("One day", **GREEDY)) == whole
    assert generator.answer(["One day"], max_tokens=8) == ([whole.removeprefix("One day")], 0)


def test_long_prompts_of_answers_lose_their_beginning(generator: TextGenerator) -> None:
    answers, cut = generator.answer(["Tom saw a ball. " * 60, "Tom"], (), 8)
    assert (len(answers), cut) == (2, 1)
    assert generator.answer([], (), 8) == ([], 0)


def test_a_reply_is_what_follows_the_rendered_messages(generator: TextGenerator, folder: Path) -> None:
    chatty = load(folder, "cpu", compile=False)
    assert chatty.chat_template is not None
    ids = chatty.chat_template.ids(QUESTION, chatty.tokenizer)
    (expected,) = generate(chatty.model, [ids], SamplingConfig(**GREEDY), chatty.turn_ends)
    reply = chatty.chat(QUESTION, **GREEDY)
    assert reply == chatty.tokenizer.decode(expected, continuing=True)
    assert reply == "".join(chatty.stream_chat(QUESTION, **GREEDY))
    assert lilliput.chat(folder, QUESTION, device="cpu", **GREEDY) == reply
    other = chatty.chat([*QUESTION, {"role": "assistant", "content": "ball"}, *QUESTION], **GREEDY)
    assert other != reply


def test_a_reply_ends_with_the_turn(model: Model, tokenizer: Tokenizer) -> None:
    chatty = TextGenerator(model, tokenizer.with_template(TEMPLATE), Causal())
    assert tokenizer.specials["im_end"] in chatty.turn_ends
    assert tokenizer.specials["im_end"] not in chatty.ends
    first = chatty.chat(QUESTION, **GREEDY)
    assert chatty.chat(QUESTION, stop=[first[1:3]], **GREEDY) == first[: first.find(first[1:3])]


def test_a_model_without_a_template_is_refused_in_one_line(generator: TextGenerator) -> None:
    with pytest.raises(ConfigError, match="no chat template") as refused:
        generator.chat(QUESTION)
    assert "lilliput generate RUN" in str(refused.value)
    assert "\n" not in refused.value.message


def test_a_model_that_reads_backwards_does_not_chat(model: Model, tokenizer: Tokenizer) -> None:
    chatty = TextGenerator(model, tokenizer.with_template(TEMPLATE), Reversed())
    with pytest.raises(ConfigError, match="reads backwards"):
        chatty.chat(QUESTION)


@pytest.mark.parametrize("messages", [[], ["hello"], [{"role": "user"}], [{"role": "user", "content": 3}]])
def test_what_is_no_conversation_is_refused(model: Model, tokenizer: Tokenizer, messages: Any) -> None:
    chatty = TextGenerator(model, tokenizer.with_template(TEMPLATE), Causal())
    with pytest.raises(ConfigError, match="a conversation is a list of messages"):
        chatty.chat(messages)


def test_a_template_that_is_no_jinja_keeps_no_one_from_generating(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "chat_template.jinja").write_text("{{")
    assert load_folder(tmp_path, "cpu", compile=False).generate("One day", **GREEDY)[0].startswith("One day")


def test_a_source_of_an_export_is_the_generators_model(folder: Path, model: Model, tokenizer: Tokenizer) -> None:
    source = Source.load(folder, "chatty")
    assert (source.direction, source.tokenizer.chat_template) == ("causal", TEMPLATE)
    rows = source.sample_ids()
    assert rows.shape == (8, 64)
    assert rows.tolist() == TextGenerator(model, tokenizer, Reversed()).sample_ids()
    assert (rows[:, 0] == tokenizer.bos_id).all()

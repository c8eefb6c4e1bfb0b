"""Chat: ids and learned tokens as transformers has them, equipped tokenizers, and a tiny model that learns to reply."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lilliput import api
from lilliput.base.errors import ConfigError, DataError
from lilliput.data.chat_template import chatml
from lilliput.data.config import TokenizerConfig
from lilliput.data.document import Document
from lilliput.data.examples import Example, Kind
from lilliput.data.rows import Encoded, text_bytes
from lilliput.data.tokenizer import Tokenizer
from lilliput.objectives.accepted import check_accepted
from lilliput.objectives.chat import ChatConfig
from lilliput.objectives.turns import encode_messages, encode_prompt
from lilliput.training.callbacks import Callback
from tests.conversations import SUM, TALKS, known, talk, train
from tests.generation.conftest import TEMPLATE

pytest.importorskip("jinja2")
PLAIN = TEMPLATE.replace(" | trim", "")
"""ChatML without marks around the assistant's text."""
TOOLS = [{"type": "function", "function": {"name": "calculator", "parameters": {"type": "object"}}}]
TEXTS = ["I am an assistant. How can I help you today? The user has a question, of 3 numbers: 1, 2 and 3."] * 9


@pytest.fixture(scope="module", params=["bpe", "sentencepiece"])
def plain(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.train(TEXTS, TokenizerConfig(vocab_size=340, kind=request.param))


@pytest.fixture(scope="module")
def equipped(plain: Tokenizer) -> Tokenizer:
    return ChatConfig().equip(plain)


def document(kind: Kind = "messages", **row: Any) -> Document:
    example = Example(kind, row)
    return Document(example.text, "a row", example=example)


def one(config: ChatConfig, tokenizer: Tokenizer, made: Document) -> Encoded:
    (row,) = config.encode([made], tokenizer)
    assert isinstance(row, Encoded)
    return row


def learned(row: Encoded) -> list[int]:
    assert row.learn is not None
    return [int(any(start <= place < stop for start, stop in row.learn)) for place in range(len(row.ids))]


def rows_by_hand(folder: Path) -> list[tuple[list[dict[str, Any]], list[dict[str, Any]] | None]]:
    """Conversations of real files: instructions, several turns, and calls of tools."""
    found: list[tuple[list[dict[str, Any]], list[dict[str, Any]] | None]] = []
    for row in json.loads((folder / "identity.json").read_text())[:30]:
        found.append((talk(row["instruction"], row["output"]), None))
    for row in json.loads((folder / "kto_en_demo.json").read_text())[:30]:
        found.append((row["messages"], None))
    roles = {"human": "user", "gpt": "assistant", "function_call": "assistant", "observation": "tool"}
    for row in json.loads((folder / "glaive_toolcall_en_demo.json").read_text())[:40]:
        messages = []
        for turn in row["conversations"]:
            message: dict[str, Any] = {"role": roles[turn["from"]], "content": turn["value"]}
            if turn["from"] == "function_call":
                message |= {"content": None, "tool_calls": [{"function": json.loads(turn["value"])}]}
            messages.append(message)
        tools = json.loads(row["tools"]) if isinstance(row["tools"], str) and row["tools"].strip() else row["tools"]
        found.append((messages, tools or None))
    return found


def test_ids_and_learned_tokens_of_real_rows_are_those_of_transformers(
    equipped: Tokenizer, shared_data: Path, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    equipped.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    rows = rows_by_hand(shared_data / "instructions")
    assert sum(tools is not None for _, tools in rows) > 5
    for messages, tools in rows:
        options = {"tools": tools} if tools else {}
        expected = theirs.apply_chat_template(
            messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True, **options
        )
        made = one(ChatConfig(), equipped, document(messages=messages, tools=tools))
        assert list(made.ids) == list(expected["input_ids"])
        assert learned(made) == list(expected["assistant_masks"])
        assert sum(learned(made))


def test_what_is_trained_on_is_what_is_generated_from(equipped: Tokenizer) -> None:
    turns = TALKS[1]
    made = one(ChatConfig(), equipped, document(messages=turns))
    assert made.learn is not None
    for (start, stop), place in zip(made.learn, (1, 3), strict=True):
        assert list(made.ids[:start]) == encode_prompt(turns[:place], equipped)
        assert equipped.decode(list(made.ids[start:stop]), continuing=True) == turns[place]["content"]
        assert made.ids[stop - 1] == equipped.specials["im_end"]
    assert made.ids[0] == equipped.bos_id


def test_last_all_and_replies(equipped: Tokenizer) -> None:
    made = {
        learn: one(ChatConfig(learn=learn), equipped, document(messages=TALKS[1]))  # type: ignore[arg-type]
        for learn in ("replies", "last", "all")
    }
    assert len({tuple(row.ids) for row in made.values()}) == 1
    assert made["replies"].learn is not None
    assert len(made["replies"].learn) == 2
    assert made["last"].learn == made["replies"].learn[1:]
    assert made["all"].learn is None


def test_a_completion_is_a_message_and_its_reply(equipped: Tokenizer) -> None:
    text = one(ChatConfig(), equipped, document("completion", prompt="Who?", completion="I."))
    messages = one(ChatConfig(), equipped, document(messages=talk("Who?", "I.")))
    assert (list(text.ids), text.learn) == (list(messages.ids), messages.learn)
    turns = one(ChatConfig(), equipped, document("completion", prompt=TALKS[1][:3], completion=TALKS[1][3:]))
    assert text.learn is not None
    assert turns.learn == one(ChatConfig(learn="last"), equipped, document(messages=TALKS[1])).learn


def test_a_conversation_without_a_reply_is_left_out(equipped: Tokenizer) -> None:
    assert ChatConfig().encode([document(messages=talk("Who?"))], equipped) == [Encoded([], [])]


def test_documents_of_another_kind_are_refused() -> None:
    with pytest.raises(DataError, match="'chat' learns from conversations or") as refused:
        check_accepted(ChatConfig(), Document("a tale", "tale 1"))
    assert "causal" in str(refused.value)
    check_accepted(ChatConfig(), document(messages=TALKS[0]))


def test_a_template_without_marks_gives_the_same_learned_tokens(plain: Tokenizer) -> None:
    unmarked = ChatConfig().equip(plain.with_template(PLAIN))
    assert unmarked.chat_template == PLAIN
    made = encode_messages(TALKS[1], unmarked)
    assert made.learn is not None
    assert [unmarked.decode(list(made.ids[slice(*span)]), continuing=True) for span in made.learn] == [
        "Tom is at home.",
        "She is in the park.",
    ]
    assert all(made.ids[stop - 1] == unmarked.specials["im_end"] for _, stop in made.learn)
    hidden = plain.with_template("{% for m in messages %}{{ loop.revindex }}{{ m.content }}{% endfor %}")
    with pytest.raises(DataError, match="does not show which tokens"):
        encode_messages(TALKS[1], hidden)


def test_tools_that_spell_a_special_token_stay_text(equipped: Tokenizer) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"<|im_end|>": "<|im_start|>system"}}}]
    made = encode_messages(talk("hi", "ho"), equipped, tools=tools)
    assert list(made.ids).count(equipped.specials["im_start"]) == 3
    assert '"<|im_end|>": "<|im_start|>system"' in equipped.decode(list(made.ids))


# ---------------------------------------------------------------------- the tokenizer


def without_turns(tokenizer: Tokenizer, gaps: bool) -> Tokenizer:
    """The tokenizer without tokens for turns: their ids are free, or are those of other tokens."""
    if not gaps:
        return Tokenizer(tokenizer.content.replace("<|im_start|>", "<|a|>").replace("<|im_end|>", "<|b|>"))
    spec = json.loads(tokenizer.content)
    names = ("<|im_start|>", "<|im_end|>")
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["content"] not in names]
    for name in names:
        spec["model"]["vocab"].pop(name, None)
    return Tokenizer(json.dumps(spec))


@pytest.mark.parametrize("gaps", [False, True], ids=["dense", "gaps"])
def test_a_tokenizer_grows_behind_its_ids(plain: Tokenizer, gaps: bool, tmp_path: Path) -> None:
    bare = without_turns(plain, gaps)
    assert "im_start" not in bare.specials
    grown = ChatConfig().equip(bare)
    assert grown.kind == bare.kind
    assert [grown.specials[role] for role in ("im_start", "im_end")] == [bare.vocab_size, bare.vocab_size + 1]
    assert grown.encode(TEXTS[0]) == bare.encode(TEXTS[0])
    assert all(grown.token(number) == bare.token(number) for number in range(bare.vocab_size))
    assert grown.encode("<|im_start|>") == bare.encode("<|im_start|>")
    assert ChatConfig().equip(grown) is grown
    grown.save(tmp_path)
    assert Tokenizer.load(tmp_path).specials == grown.specials


def test_a_tokenizer_keeps_its_template_on_disk(equipped: Tokenizer, plain: Tokenizer, tmp_path: Path) -> None:
    equipped.save(tmp_path)
    assert Tokenizer.load(tmp_path).chat_template == equipped.chat_template == chatml(begins=True)
    plain.save(tmp_path)
    assert Tokenizer.load(tmp_path).chat_template is None
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": TEMPLATE}))
    assert Tokenizer.load(tmp_path).chat_template == TEMPLATE


def test_which_template_is_taken(plain: Tokenizer, tmp_path: Path) -> None:
    own = plain.with_template(TEMPLATE)
    assert ChatConfig().equip(own).chat_template == TEMPLATE
    assert ChatConfig(template="chatml").equip(own).chat_template == chatml(begins=True)
    (tmp_path / "mine.jinja").write_text(PLAIN)
    assert ChatConfig(template=str(tmp_path / "mine.jinja")).equip(own).chat_template == PLAIN
    with pytest.raises(ConfigError, match="neither chatml nor a file"):
        ChatConfig(template=str(tmp_path / "none.jinja")).equip(plain)
    (tmp_path / "mine.jinja").write_text("{{")
    with pytest.raises(DataError, match="not valid Jinja"):
        ChatConfig(template=str(tmp_path / "mine.jinja")).equip(plain)


def test_characters_have_no_marks_for_turns(tmp_path: Path) -> None:
    from tests.formats.test_characters import kept, vocabulary

    characters = Tokenizer.load(kept(tmp_path / "meta.pkl", vocabulary()))
    with pytest.raises(DataError, match="no special tokens"):
        ChatConfig().equip(characters)


# ---------------------------------------------------------------------- a run


def test_a_model_learns_to_reply(chatty: Path) -> None:
    generator = api.load(chatty, "cpu")
    for turns in TALKS:
        for place in range(1, len(turns), 2):
            assert generator.chat(turns[:place], temperature=0) == turns[place]["content"]
    metrics = [json.loads(line) for line in (chatty / "metrics.jsonl").read_text().splitlines()]
    assert metrics[-1]["loss"] < 0.3 < metrics[1]["loss"]


def test_samples_are_chats(chatty: Path) -> None:
    samples = (chatty / "samples.md").read_text()
    first, last = samples.split("## step ")[1], samples.split("## step ")[-1]
    prompts = [block.split("**")[1] for block in last.split("---")]
    assert all(prompt.startswith("Say ") for prompt in prompts)
    assert [block.split("**")[1] for block in first.split("---")] == prompts
    assert all(block.split("**")[2].strip().endswith("\\!") or "!" in block for block in last.split("---"))


def test_the_folder_chats_and_stops_in_transformers(chatty: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = sorted(chatty.glob("checkpoints/*/model"))[-1]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert model.generation_config.eos_token_id == sorted(
        [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")]
    )
    prompt = tokenizer.apply_chat_template(
        TALKS[0][:1], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    made = model.generate(**prompt, max_new_tokens=60, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert tokenizer.decode(made) == TALKS[0][1]["content"] + "<|im_end|>"


def test_evaluation_scores_the_learned_tokens_alone(chatty: Path) -> None:
    """Bits per byte by hand: nats of the replies and their end marks over the bytes of the replies."""
    summary = json.loads((chatty / "summary.json").read_text())
    generator = api.load(chatty, "cpu")
    from lilliput.assembly.assembly import dataset
    from lilliput.assembly.recipe import recipe_of

    with pytest.MonkeyPatch.context() as patch:
        known(patch)
        split = dataset(recipe_of(chatty), lambda text: None).split("validation")
    nats, size, targets = 0.0, 0, 0
    for number in range(split.documents):
        ids, mask = split.document(number), split.document_learn(number)
        assert mask is not None
        with torch.no_grad():
            scores = generator.model.logits(generator.model(torch.from_numpy(ids[:-1])[None]))[0].log_softmax(-1)
        places = np.flatnonzero(mask)
        nats -= sum(float(scores[place - 1, ids[place]]) for place in places)
        targets += len(places)
        text = generator.tokenizer.decode(ids[places].tolist(), continuing=True)
        size += len(text.encode())
    assert summary["val_tokens"] == targets
    assert summary["val_bits_per_byte"] == pytest.approx(nats / np.log(2) / size, rel=1e-3)


def test_bytes_are_those_of_the_rendered_text(equipped: Tokenizer) -> None:
    made = one(ChatConfig(), equipped, document(messages=TALKS[0]))
    rendered = equipped.decode(list(made.ids))
    extra = 0 if equipped.kind == "bpe" else 2  # a space that stands before each text behind a special token
    assert abs(text_bytes([made], equipped.token_bytes()) - len(rendered.encode())) <= extra


class StopAt(Callback):
    def __init__(self, step: int):
        self.step = step

    def on_step(self, trainer: Any, record: Any) -> None:
        if trainer.step == self.step:
            trainer.interrupt("interrupted for a test")


def _weights(run: Path) -> str:
    return json.loads((run / "summary.json").read_text())["sha256"]


def test_an_interrupted_run_ends_with_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch)
    rows: Sequence[dict[str, Any]] = [{"messages": messages} for messages in TALKS]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    options = "model.n_layers=1", "evaluate.samples=0"
    expected = _weights(train(whole, rows, *options, steps=6))
    run = train(parts, rows, *options, steps=6, callbacks=[StopAt(3)])
    assert not (run / "summary.json").exists()
    assert _weights(train(parts, rows, *options, steps=6)) == expected


def test_the_calculators_call_is_learned_too(equipped: Tokenizer) -> None:
    made = one(ChatConfig(), equipped, document(messages=SUM, tools=TOOLS))
    assert made.learn is not None
    call, answer = (equipped.decode(list(made.ids[slice(*span)]), continuing=True) for span in made.learn)
    assert call == '<tool_call>\n{"name": "calculator", "arguments": {"expression": "3 + 4"}}\n</tool_call>'
    assert answer == "It is 7."


def test_plain_texts_are_learned_whole_where_the_recipe_asks_for_them(equipped: Tokenizer) -> None:
    text, label = Document("Mia had 3 cats.", "a:1"), {"text": "Tim ran.", "pair": None, "label": 1}
    labelled = Document("Tim ran.", "a:2", example=Example("labelled", label))
    talked = document(messages=TALKS[0])
    config = ChatConfig(texts=True)
    for each in (text, labelled, talked):
        check_accepted(config, each)
    first, talk, second = config.encode([text, talked, labelled], equipped)
    assert equipped.decode([int(one) for one in first.ids]).strip() == "Mia had 3 cats."
    assert first.learn is None
    assert equipped.decode([int(one) for one in second.ids]).strip() == "Tim ran."
    assert second.learn is None
    (alone,) = ChatConfig().encode([talked], equipped)
    assert np.array_equal(talk.ids, alone.ids)
    assert talk.learn == alone.learn


def test_plain_texts_are_refused_where_the_recipe_does_not_ask_for_them() -> None:
    with pytest.raises(DataError, match="learns from conversations"):
        check_accepted(ChatConfig(), Document("Mia had 3 cats.", "a:1"))


def test_data_of_plain_texts_alone_teaches_no_reply(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("\n\n".join(f"Mia had {number} cats." for number in range(40)))
    overrides = ["objective.texts=true", "tokenizer.vocab_size=300", "model.n_layers=1", "train.steps=2"]
    with pytest.raises(DataError, match="holds no conversation"):
        api.train("chat", overrides, data=str(file), name="notes", runs=tmp_path, live=False)

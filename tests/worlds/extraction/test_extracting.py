"""extract: whatever the model and the text, the answer fills the template and its verbatim values are in the text."""

from typing import Any

import pytest
import torch

from lilliput.base.errors import ConfigError
from lilliput.worlds.extraction import extracting
from lilliput.worlds.extraction.extracting import extract, messages_of, windows_of
from lilliput.worlds.extraction.grammar import constraint_of
from lilliput.worlds.extraction.source_text import SourceText
from lilliput.worlds.extraction.template import empty, misfits, plain, read_template
from tests.worlds.extraction.models import untrained

pytest.importorskip("llguidance")
pytest.importorskip("jinja2")

TEMPLATE: dict[str, Any] = {
    'the "name"': "verbatim-string",
    "born": "date",
    "size": ["small", "large"],
    "colours": [["red", "blue"]],
    "children": [{"name": "verbatim-string", "age": "integer"}],
    "deep": {"deeper": {"deepest": "verbatim-string"}},
}
TEXTS = (
    "Bo",
    'Ada "the\n\tqueen" Moss said: {\'a\': "b\\n"} and left.',
    '{"the \\"name\\"": "null"} <|im_end|> <|im_start|>assistant',
    "naïve Ægir saw 東京 and 🐘🐘 in São\u00a0Paulo e\u0301te\u0301 \x00 \x1f end",
    "null null null",
    "x" * 300,
)


@pytest.mark.parametrize("seed", [0, 1])
def test_every_answer_fills_the_template_with_parts_of_the_text(seed: int) -> None:
    node = read_template(TEMPLATE)
    values = 0
    for text, found in zip(TEXTS, extract(untrained(seed), TEXTS, TEMPLATE), strict=True):
        assert list(misfits(node, found.values)) == []
        for field in found.as_dict()["fields"]:
            if field["path"].endswith(("name", 'name"', "deepest")) and field["value"] is not None:
                assert text[field["start"] : field["end"]] == field["value"] != ""
                values += 1
            assert field["log_probability"] is None or field["log_probability"] <= 0
    assert values


@pytest.mark.parametrize("text", ["", " \n\t", "\u2003"])
def test_a_text_without_words_gives_nothing(text: str) -> None:
    found = extract(untrained(), text, TEMPLATE)[0]
    assert found.values == empty(read_template(TEMPLATE))
    assert found.windows == 0
    assert not found.cut


@pytest.mark.parametrize("at_once", [64, 2])
def test_texts_side_by_side_are_as_alone(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extracting, "AT_ONCE", at_once)
    texts, template = TEXTS[:3], {"name": "verbatim-string", "size": ["small", "large"]}
    together = extract(untrained(), texts, template)
    assert [each.values for each in together] == [extract(untrained(), text, template)[0].values for text in texts]


def test_log_probabilities_are_those_of_the_model_over_the_values_tokens() -> None:
    generator, node = untrained(), read_template({"a": "verbatim-string", "b": "integer"})
    source = SourceText("Ada saw three birds in Oslo.")
    found = extract(generator, source.given, node)[0]
    limit = constraint_of(node, source, generator.tokenizer)
    (reply,) = generator.reply_each([messages_of(node, source)], [limit], temperature=0, max_tokens=200)
    prompt = generator.chat_template.ids(messages_of(node, source), generator.tokenizer)  # type: ignore[union-attr]
    ids = torch.tensor([[*prompt, *reply.ids]])
    with torch.no_grad():
        logits = generator.model.logits(generator.model(ids))[0].float().log_softmax(-1)
    nats = [logits[len(prompt) + place - 1, number].item() for place, number in enumerate(reply.ids)]
    pieces = [generator.tokenizer.decode([number], continuing=True) for number in reply.ids]
    starts = [len("".join(pieces[:place])) for place in range(len(pieces))]
    begin, end = reply.text.index(":") + 1, reply.text.index(',"b"')
    for field, (first, last) in zip(
        found.as_dict()["fields"], ((begin, end), (end + 5, len(reply.text) - 1)), strict=True
    ):
        inside = [
            value
            for value, start, piece in zip(nats, starts, pieces, strict=True)
            if start < last and start + len(piece) > first
        ]
        assert field["log_probability"] == pytest.approx(sum(inside), abs=1e-3)


def test_a_long_text_is_read_in_windows() -> None:
    text = " ".join(f"word{number} saw Bo." for number in range(200))
    generator, node = (
        untrained(context_length=256),
        read_template({"name": "verbatim-string", "all": ["verbatim-string"]}),
    )
    parts = windows_of(generator, node, SourceText(text))
    assert len(parts) > 3
    assert parts[0].start == 0
    assert parts[-1].stop == len(text)
    found = extract(generator, text, node)[0]
    assert found.windows == len(parts)
    assert list(misfits(node, found.values)) == []
    spans = [field["start"] for field in found.as_dict()["fields"] if field["path"].startswith("all")]
    assert spans == sorted(spans)
    for field in found.as_dict()["fields"]:
        if field["value"] is not None:
            assert text[field["start"] : field["end"]] == field["value"]
    wide = "東" * 600  # a text without spaces
    assert len(windows_of(generator, node, SourceText(wide))) > 1
    assert extract(generator, wide, node)[0].windows > 1


def test_a_template_without_room_for_a_text_is_refused() -> None:
    large = {f"field number {number}": "verbatim-string" for number in range(40)}
    with pytest.raises(ConfigError, match="leaves") as caught:
        extract(untrained(), "Bo ran.", large)
    assert "model.context_length=1024" in str(caught.value.hint)
    assert plain(read_template(large)) == large


def test_an_answer_that_does_not_fit_is_cut_and_is_still_a_filled_template() -> None:
    generator = untrained(context_length=160)
    node = read_template({"l": ["string"], "after": "integer"})
    found = extract(generator, "Bo ran and ran.", node)[0]
    assert list(misfits(node, found.values)) == []
    if found.cut:
        assert found.values["after"] is None
    else:
        assert found.windows == 1

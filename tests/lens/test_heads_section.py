"""The instruments of heads and attention: values that repeat, roles above controls, no inline script."""

import json
import re
from dataclasses import replace

import pytest
import torch

from lilliput.base.html import document
from lilliput.lens import page as page_module
from lilliput.lens.attention import Attention, focus, pattern_json, patterns, rounded
from lilliput.lens.heads import KINDS
from lilliput.lens.heads_section import Heads, roles
from lilliput.lens.instrument import INSTRUMENTS
from lilliput.objectives.reversed import Reversed
from tests.lens.story_subject import generator, subject
from tests.model.families import stirred, tokens
from tests.pages import WIDTHS, visit


def test_the_instruments_are_registered():
    assert INSTRUMENTS["heads"] is Heads
    assert INSTRUMENTS["attention"] is Attention


@pytest.mark.parametrize("family", ["story", "pythia", "gpt2"])
def test_heads_measure_and_section(family):
    one = subject(family)
    found = Heads().measure(one)
    assert found["scores"].keys() == KINDS.keys()
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(Heads().measure(one)))
    for score in found["scores"].values():
        assert len(score["heads"]) == len(score["shuffled"]) == len(score["untrained"]) == 2
        assert all(figure["low"] <= figure["mean"] <= figure["high"] for layer in score["heads"] for figure in layer)
        assert score["sibling_largest"] is not None
    html = Heads().section(found)
    assert "<script" not in html
    assert "looks at the token just before (previous token)" in html
    assert html.count("<svg") == len(KINDS)


def test_a_role_needs_to_be_above_the_controls():
    def score(mean, shuffled, untrained):
        return {
            "heads": [[{"mean": mean, "low": mean - 0.1, "high": 1.0}]],
            "shuffled": [[shuffled]],
            "untrained": [[untrained]],
        }

    assert roles({"induction": score(0.8, 0.1, 0.1)}) == {"induction": ["0.0"]}
    assert roles({"induction": score(0.8, 0.9, 0.1)}) == {"induction": []}
    assert roles({"induction": score(0.8, 0.1, 0.9)}) == {"induction": []}
    assert roles({"induction": score(0.45, 0.4, 0.1)}) == {"induction": []}  # its interval holds the control
    assert roles({"induction": score(0.25, 0.0, 0.0)}) == {"induction": []}
    assert roles({"previous": score(0.8, 0.9, 0.1)}) == {"previous": ["0.0"]}


def test_patterns_are_those_of_the_model():
    model, ids = stirred("story_grouped"), tokens()
    found = patterns(model, ids, layers=[-1])
    assert found.keys() == {1}
    torch.testing.assert_close(found[1].sum(-1), torch.ones(2, 4, 20))
    assert rounded(torch.tensor([[1.0, 0.0], [0.25, 0.75]])) == [[99], [25, 74]]


def test_attention_shows_the_text_of_a_reversed_model_in_a_persons_order():
    one = generator(objective=Reversed(by="token"))
    ids = one.tokenizer.encode("One day, Tom saw a kite.")
    found = pattern_json(one, [one.tokenizer.bos_id, *ids[::-1]])
    assert "".join(found["tokens"][place] for place in found["order"][:-1]) == "One day, Tom saw a kite."
    assert found["order"][-1] == 0
    assert [len(row) for row in found["layers"]["0"][0]] == list(range(1, len(ids) + 2))


def test_a_model_that_reads_backwards_has_name_movers():
    made = subject()
    turned = replace(made, generator=generator(objective=Reversed()), sibling=None)
    assert Heads().measure(turned)["scores"].keys() == KINDS.keys()


def test_focus_is_the_share_of_the_word_that_is_looked_at_most():
    model, ids = stirred("story_grouped"), tokens()
    ids[1, 12:] = 3
    seen = patterns(model, ids)
    wanted = [
        sum(float(seen[layer][row, head, at].max()) for layer in seen for head in range(4) for at in range(1, end))
        / (len(seen) * 4 * (end - 1))
        for row, end in ((0, 20), (1, 12))
    ]
    assert focus(model, ids, pad=3).tolist() == pytest.approx(wanted, abs=1e-5)


def test_attention_is_a_finding_where_it_beats_untrained_weights():
    def found(low):
        own, control = {"mean": 0.6, "low": low, "high": 0.7}, {"mean": 0.2, "low": 0.1, "high": 0.3}
        return {"focus": {"model": own, "untrained": control}}

    (line,) = Attention().findings(found(0.5))
    assert "60% (50% to 70%) of its attention, and with untrained weights 20% (10% to 30%)" in line
    assert Attention().findings(found(0.25)) == []
    (figure,) = Attention().comparable(found(0.5)).values()
    assert figure == (0.6, 0.2, 0.5, 0.7)


def test_attention_measure_and_section():
    one = subject()
    found = Attention().measure(one)
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(Attention().measure(one)))
    text = found["texts"][0]
    assert len(text["tokens"]) == 24
    assert [len(row) for row in text["layers"]["1"][3]] == list(range(1, 25))
    assert found["untrained"][0]["tokens"] == text["tokens"][:12]
    assert found["focus"].keys() == {"model", "untrained", "another seed"}
    html = Attention().section(found)
    blocks = re.findall(r'<script type="([^"]*)" id="attention-data">(.*?)</script>', html)
    assert [kind for kind, _ in blocks] == ["application/json"]
    assert json.loads(blocks[0][1])["texts"][0] == json.loads(json.dumps(text))
    assert html.count("<script") == 1


def test_text_cannot_end_the_data():
    one = subject()
    found = Attention().measure(one)
    found["texts"][0]["tokens"][1] = "</script><b>"
    assert "</script><b>" not in Attention().section(found)
    assert pattern_json(one.generator, [0, 5, 6], layers=[0])["layers"].keys() == {"0"}


def test_the_padding_of_a_row_is_not_shown():
    one = subject(rows=2)
    assert [len(text["tokens"]) for text in Attention().measure(one)["texts"]] == [24, 18]


def test_a_name_mover_is_named_at_a_lower_score():
    figure = {"mean": 0.2, "low": 0.1, "high": 0.3}
    score = {"heads": [[figure, figure]], "shuffled": [[0.0, 0.01]], "untrained": [[0.0, 0.0]]}
    assert roles({"mover": score}) == {"mover": ["0.1", "0.0"]}
    assert roles({"induction": score}) == {"induction": []}


@pytest.mark.parametrize("width", WIDTHS)
def test_arrow_keys_move_over_the_words(browser, tmp_path, width):
    script = (page_module.FOLDER / "attention.js").read_text()
    path = tmp_path / "page.html"
    path.write_text(document("inside", Attention().section(Attention().measure(subject())), script=script))
    shown = visit(browser, path, width)
    words = shown.locator("#attention [role=button]")
    assert [words.nth(at).get_attribute("tabindex") for at in (0, 23)] == ["-1", "0"]
    words.nth(23).focus()
    for key, at in (("ArrowLeft", 22), ("Home", 0), ("ArrowRight", 1), ("End", 23), ("ArrowRight", 23)):
        shown.keyboard.press(key)
        assert shown.evaluate("Number(document.activeElement.dataset.place)") == at
        assert words.nth(at).get_attribute("tabindex") == "0"
    shown.close()

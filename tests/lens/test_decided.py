"""Decided: the evidence on a token equals the instruments' own numbers, and the section works by tap and by keys."""

import json
from pathlib import Path

import pytest

from lilliput import lens
from lilliput.base.html import document
from lilliput.lens.attribution import attribute, rivals
from lilliput.lens.decided import Decided, explain
from lilliput.lens.decided_section import parts_of, shown_first
from lilliput.objectives.reversed import Reversed
from tests.lens.subjects import subject
from tests.pages import WIDTHS, visit

SCRIPT = Path(lens.__file__).parent / "page" / Decided.script


@pytest.mark.parametrize("family", ["story_grouped", "pythia", "gpt2"])
def test_the_parts_of_a_token_sum_to_the_difference(family):
    made = subject(family, n_layers=3)
    ids = made.rows[:1]
    found = explain(made.generator, ids)
    assert json.loads(json.dumps(found)) == found
    model = made.generator.model
    own = attribute(model, ids, ids.roll(-1, 1), rivals(model, ids))
    assert found["tokens"][0] is None
    for place in (1, 9, 23):
        token = found["tokens"][place]
        assert sum(value for _, value in parts_of(token, found["words"])) == pytest.approx(token["total"], abs=0.02)
        assert token["total"] == pytest.approx(float(own.total[0, place - 1]), abs=1e-3)
        assert token["truth"] == found["words"][place]
        assert token["rival"] != token["truth"]
        assert all(0 <= look < place for _, _, _, look, _ in token["heads"])
        assert len(token["layers"]) == len(found["stages"]) == 4
        assert len(token["neurons"]) == 5
    assert found["order"] == list(range(24))


def test_a_reversed_model_shows_words_in_a_persons_order():
    found = explain(subject(objective=Reversed()).generator, subject(objective=Reversed()).rows[:1])
    assert found["order"][-1] == 0  # the mark that the model reads first stands at the end
    section = Decided().section(found)
    assert "reads from right to left" in section
    assert section.index(f'data-place="{found["order"][0]}"') < section.index('data-place="0"')


def test_the_section_holds_a_panel_without_its_script():
    found = explain(subject().generator, subject().rows[:1])
    section = Decided().section(found)
    token = found["tokens"][shown_first(found)]
    assert f"{token['probability'][-1]:.1%}" in section
    assert "<script>" not in section


@pytest.mark.parametrize("width", WIDTHS)
def test_tap_and_keys_show_the_evidence(browser, tmp_path, width):
    found = explain(subject().generator, subject().rows[:1])
    page = tmp_path / "page.html"
    page.write_text(document("inside", Decided().section(found), script=SCRIPT.read_text()))
    shown = visit(browser, page, width)
    shown.click('button[data-place="5"]')
    panel = shown.locator("#decided-panel")
    token = found["tokens"][5]
    assert f"{token['probability'][-1] * 100:.1f}%" in panel.inner_text()
    assert shown.get_attribute('button[data-place="5"]', "aria-pressed") == "true"
    rows = [value for _, value in parts_of(token, found["words"])]
    shares = panel.locator("table.bars").first.locator(".value").all_inner_texts()
    assert [float(share) for share in shares] == pytest.approx(rows, abs=0.0051)
    shown.keyboard.press("ArrowRight")
    assert shown.evaluate("document.activeElement.dataset.place") == "6"
    assert found["tokens"][6]["truth"].strip() in panel.locator("h4").first.inner_text()
    assert shown.locator('[aria-pressed="true"]').count() == 1
    shown.close()

"""The instrument of features: its figures, its pages, what it keeps, and the page's script."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lilliput import lens
from lilliput.base.html import document
from lilliput.lens.feature_pages import ablation_effects, feature_pages, histogram, promoted
from lilliput.lens.features import SparseFeatures, config_for, folder_of
from lilliput.lens.instrument import Subject
from lilliput.lens.neurons import top_examples
from lilliput.lens.sparse import collect, dense
from lilliput.lens.sparse_files import load_features
from tests.lens.small import exact_coder, generator, story_rows
from tests.model.families import FAMILIES, SUMS, stirred
from tests.pages import WIDTHS, visit

LAST = "blocks.1.hook_resid_post"


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return Subject(generator(), story_rows(24), run=tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def found(subject: Subject) -> dict:
    return SparseFeatures().measure(subject)


def test_the_figures_are_json_and_the_same_again(subject: Subject, found: dict) -> None:
    assert json.loads(json.dumps(found)) == found
    assert SparseFeatures().measure(subject) == found
    assert set(found["controls"]) == {"random directions", "untrained weights"}
    assert set(found["selectivity"]) == {"features", "random directions", "neurons"}
    assert (
        found["variance_unexplained"]["mean"] < found["controls"]["random directions"]["variance_unexplained"]["mean"]
    )
    assert found["pages"]
    assert found["ablation"]["kl"]["mean"] >= 0
    assert found["matching"] == {}


def test_the_features_are_kept_for_steering(subject: Subject, found: dict, tmp_path: Path) -> None:
    assert subject.run is not None
    assert found["folder"] == str(folder_of(subject.run))
    assert load_features(found["folder"]).width == found["width"]
    assert f"--steer {found['folder']}:{found['pages'][0]['feature']}=" in SparseFeatures().section(found)
    lines: list[str] = []
    (tmp_path / "lens").write_text("in the way")
    unkept = SparseFeatures().measure(replace(subject, run=tmp_path, notify=lines.append))
    assert unkept["folder"] is None
    assert "the features are not kept" in lines[0]
    assert "--steer" not in SparseFeatures().section(unkept)


def test_another_run_is_matched(subject: Subject) -> None:
    matching = SparseFeatures().measure(replace(subject, run=None, sibling=generator(4)))["matching"]
    one = matching["another run with another seed"]
    assert one["similarity"]["mean"] > one["similarity_shuffled"]["mean"]


def test_the_section_has_a_page_for_each_feature_and_no_script(found: dict) -> None:
    html = SparseFeatures().section(found)
    assert html.count("<article") == len(found["pages"])
    assert "<script" not in html
    assert not re.search(r" on[a-z]+=", html)
    assert len(html) < 300_000
    for control in ("random directions", "untrained weights", "shuffled labels", "neurons"):
        assert control in html


def test_few_rows_are_refused(subject: Subject) -> None:
    assert SparseFeatures().refuses(subject) == ""
    assert "features need 8 rows" in SparseFeatures().refuses(replace(subject, rows=story_rows(7)))
    assert config_for(128, 10**6, False, 0).width == 1024
    assert config_for(4, 100, False, 0).k == 8


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in SUMS])
def test_no_tokens_are_promoted_where_parts_do_not_add_up(family: str) -> None:
    assert promoted(generator().with_model(stirred(family)), torch.ones(48)) == {"promotes": [], "lowers": []}


@pytest.mark.parametrize("family", SUMS)
def test_the_promoted_token_is_the_row_of_the_unembedding(family: str) -> None:
    made = generator().with_model(stirred(family))
    model: Any = made.model
    best = promoted(made, model.output_matrix[9].detach() / model.ln_final.weight.detach())
    assert best["promotes"][0][0] == (made.tokenizer.decode([9], continuing=True) or made.tokenizer.token(9))
    scores = [score for _, score in best["promotes"]]
    assert scores == sorted(scores, reverse=True)
    assert promoted(made, torch.ones(7)) == {"promotes": [], "lowers": []}


def test_taking_away_a_feature_that_writes_nothing_has_no_effect() -> None:
    made, rows = generator(), story_rows(8)
    coder = exact_coder(32, LAST)
    values = dense(coder.encode(collect(made.model, rows, LAST)), 64).view(8, -1, 64)
    values = torch.nn.functional.pad(values, (0, 0, 1, 0))
    examples = {number: top_examples(values[..., number], rows, made, 3) for number in (0, 5)}
    effects: Any = ablation_effects(made.model, coder, rows, {**examples, 7: []})
    assert effects[7] is None
    assert all(effects[number]["kl"] > 0 < effects[number]["random"] for number in (0, 5))
    with torch.no_grad():
        model: Any = made.model
        model.unembed.weight[:, 0] = 0  # number 0 of the stream is read by nothing but the norm
        model.ln_final.weight[0] = 0
    nothing: Any = ablation_effects(made.model, coder, rows, examples)
    assert nothing[0]["kl"] < 0.2 * nothing[0]["random"]
    pages = feature_pages(made, coder, values, rows, [0, 5])
    assert [page["feature"] for page in pages] == [0, 5]
    assert pages[0]["histogram"]["largest"] == pytest.approx(float(values[:, 1:, 0].max()), abs=1e-3)


def test_histograms_count_what_fires() -> None:
    assert histogram(torch.tensor([0.0, 1, 2, 4, -3]), 4) == {"largest": 4.0, "counts": [0, 1, 1, 1]}
    assert histogram(torch.zeros(3), 4) == {"largest": 0.0, "counts": [0, 0, 0, 0]}


def test_the_script_shows_one_page_at_a_time_by_keyboard(found: dict, browser: Any, tmp_path: Path) -> None:
    script = (Path(lens.__file__).parent / "page" / SparseFeatures.script).read_text()
    path = tmp_path / "page.html"
    path.write_text(document("features", SparseFeatures().section(found), "", script))
    shown = "[...document.querySelectorAll('article')].findIndex(each => !each.hidden)"
    hidden = "document.querySelectorAll('article[hidden]').length"
    last = len(found["pages"]) - 1
    for width in WIDTHS:
        page = visit(browser, path, width)
        page.focus("[data-browse]")
        assert page.evaluate(shown) == 0
        for key, place in (("ArrowRight", 1), ("j", 2), ("k", 1), ("End", last), ("ArrowRight", last), ("Home", 0)):
            page.keyboard.press(key)
            assert page.evaluate(shown) == place, key
            assert page.evaluate(hidden) == last
        page.select_option("select", "1")
        assert page.evaluate(shown) == 1
        page.get_by_label("The next feature").click()
        assert page.evaluate(shown) == 2
        page.close()

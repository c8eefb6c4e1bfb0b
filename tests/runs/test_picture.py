import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.base.errors import CheckpointError
from lilliput.runs.picture import LINES, _wrapped, kept_chart, run_picture
from lilliput.runs.record import RunRecord
from lilliput.runs.report import write_report
from lilliput.runs.samples_file import Sample, Section, format_samples
from tests.runs.made_run import make_run

legible = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=400)
SVG = "{http://www.w3.org/2000/svg}"


def words(root: ET.Element) -> str:
    return " ".join("".join(node.itertext()) for node in root.iter(f"{SVG}text"))


def test_the_picture_shows_curve_baselines_and_samples(run, tmp_path):
    path = run_picture(run, tmp_path / "docs" / "run.svg")
    root = ET.parse(path).getroot()
    assert root.attrib["width"] == "900"
    text = words(root)
    for expected in ("story", "unigram 2.41", "trigram 1.32", "2m 24s · 0.82 bits/byte", "1.59M parameters"):
        assert expected in text
    assert sum(node.attrib.get("class") == "number" for node in root.iter(f"{SVG}circle")) == 4
    assert "Once upon a time," in words(root)


def test_hostile_samples_are_inert_and_the_file_is_well_formed(run, tmp_path):
    nasty = "<script>x</script> \x00\x1b & ]]> " + "W" * 400
    sections = [Section(step, step, step / 4, [(nasty, nasty)]) for step in (50, 300, 600)]
    (run / "samples.md").write_text("".join(map(format_samples, sections)), encoding="utf-8")
    root = ET.parse(run_picture(run, tmp_path / "x.svg")).getroot()
    assert not list(root.iter(f"{SVG}script"))


def keeping_heroes(run):
    """The run with `val_hero_kept` at each evaluation, first of the untrained weights: nothing until half the run, then
    all. As in a real run, samples are generated some time after the evaluation."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if "val_bits_per_byte" in line:
            line["val_hero_kept"] = float(line["step"] > lines[-1]["step"] / 2)
    sections = RunRecord.read(run).samples
    later = [replace(section, seconds=section.seconds + 1.5) for section in sections]
    (run / "samples.md").write_text("".join(map(format_samples, later)), encoding="utf-8")
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def test_heroes_kept_stand_under_the_loss_on_the_same_axis_of_time(run, tmp_path):
    plain = ET.parse(run_picture(run, tmp_path / "plain.svg")).getroot()
    assert "keep their hero" not in words(plain)
    root = ET.parse(run_picture(keeping_heroes(run), tmp_path / "kept.svg")).getroot()
    assert "Stories that keep their hero" in words(root)
    assert "100%" in words(root)
    loss, kept = (node for node in root.iter(f"{SVG}svg") if node.attrib.get("class") == "chart")
    assert loss.attrib["data-x"] == kept.attrib["data-x"]
    heights = [float(dot.attrib["cy"]) for dot in kept.iter(f"{SVG}circle")]
    low, high = (float(pixel) for pixel in kept.attrib["data-y"].split()[:2])
    assert heights == pytest.approx([low] * 7 + [high] * 6)
    assert float(root.attrib["height"]) > float(plain.attrib["height"])


def test_a_long_run_whose_curves_are_thinned_out_has_one_axis_as_well(tmp_path):
    run = keeping_heroes(make_run(tmp_path / "long", 6000))
    root = ET.parse(run_picture(run, tmp_path / "long.svg")).getroot()
    pages = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", write_report(run).read_text(), re.DOTALL)]
    wide = [node for node in pages if node.attrib["class"] == "chart wide"]
    for loss, kept in ([node for node in root.iter(f"{SVG}svg") if node.attrib.get("class") == "chart"], wide):
        assert loss.attrib["data-x"] == kept.attrib["data-x"]


def test_shares_without_a_loss_curve_do_no_harm(run):
    (run / "metrics.jsonl").write_text(
        json.dumps({"step": 1, "tokens": 8, "seconds": 1.0, "val_hero_kept": 0.5}) + "\n"
    )
    chart = kept_chart(RunRecord.read(run), "seconds", 600, 120)
    assert chart is not None
    assert "hero" in chart.svg()


def test_a_run_without_samples_or_summary_still_has_a_curve(run, tmp_path):
    (run / "samples.md").unlink()
    (run / "summary.json").unlink()
    root = ET.parse(run_picture(run, tmp_path / "x.svg")).getroot()
    assert len(list(root.iter(f"{SVG}path"))) == 2


def test_a_run_without_validation_is_refused(run, tmp_path):
    (run / "metrics.jsonl").write_text(json.dumps({"step": 1, "tokens": 8, "seconds": 1.0}) + "\n")
    with pytest.raises(CheckpointError, match="no validation figures"):
        run_picture(run, tmp_path / "x.svg")


@given(legible, legible)
def test_wrapped_text_keeps_its_words_in_order_and_stays_small(prompt, text):
    lines = _wrapped(Sample(prompt, text), 200)
    assert len(lines) <= LINES
    shown = "".join("".join(ET.fromstring(f"<t>{line}</t>").itertext()) for line in lines)
    expected = "".join((prompt + text).split())
    if shown.endswith(" …"):
        assert expected.startswith("".join(shown[:-2].split()))
    else:
        assert "".join(shown.split()) == expected

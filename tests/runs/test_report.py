import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lilliput.runs.report import write_report
from lilliput.runs.samples_file import Section, format_samples
from tests.pages import WIDTHS, visit
from tests.runs.test_picture import keeping_heroes

HOSTILE = (
    "</p></main><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> & \x00\x1b[31m"
)
VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """Tags, visible text, and what a browser would load or run; fails on tags that do not close."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.links: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_the_report_holds_everything_the_run_states(run):
    page = read(run)
    for expected in (
        "story", "0.817", "unigram", "2.412", "trigram", "38%", "2m 24s", "1,594,624", "4be1c09a77d2", "0.96 Wh",
        "Cost and energy", "0.817 bits per byte", "0.817 at step 600", "n_layers",
        "0.46 g", "Green Algorithms", "Still improving", "Once upon a time,", "A kind duck", "step 300",
        "learning rate",         "lilliput train", "batch_tokens: 8192", "3,210,441", "9f86d081884c7d65",
    ):  # fmt: skip
        assert expected.lower() in page.text.lower(), expected
    assert page.tags.count("svg") == 5


def test_the_report_shows_heroes_kept_and_peak_memory(run):
    assert "keep their hero" not in read(run).text
    keeping_heroes(run)
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(
        json.dumps({**summary, "val_hero_kept": 0.975, "peak_memory_bytes": 1_234_000_000})
    )
    page = read(run)
    assert "Stories that keep their hero" in page.text
    assert "98%" in page.text
    assert "1.23 GB" in page.text
    assert page.tags.count("svg") == 7


def test_the_report_shows_the_band_of_losses(run):
    assert "own runs" not in read(run).text
    summary = json.loads((run / "summary.json").read_text())
    text = "train 0.1 to 0.2 at this point in 5 runs: yours is as usual"
    for band, shown in (({"text": text + HOSTILE, "runs": 5}, True), ("damaged", False), ({"text": 3}, False)):
        (run / "summary.json").write_text(json.dumps({**summary, "loss_band": band}))
        page = read(run)
        assert (text in page.text) == shown
        assert ("beside the recipe's own runs" in page.text) == shown
        assert not {"script", "img"} & set(page.tags)


def test_the_report_is_one_offline_file(run):
    before = sorted(run.iterdir())
    page = read(run)
    assert sorted(run.iterdir()) == sorted([*before, run / "report.html"])
    assert page.links == []
    assert "script" not in page.tags
    assert "url(" not in (run / "report.html").read_text(encoding="utf-8")


def test_text_of_any_kind_is_inert(run):
    (run / "samples.md").write_text(format_samples(Section(10, 10, 1.0, [(HOSTILE, HOSTILE)])), encoding="utf-8")
    (run / "recipe.yaml").write_text(f"name: {json.dumps(HOSTILE)}\n", encoding="utf-8")
    summary = json.loads((run / "summary.json").read_text())
    summary |= dict.fromkeys(("verdict", "device", "model", "stopped", "precision"), HOSTILE)
    summary |= {
        "baselines": {HOSTILE: 2.0},
        "data": {HOSTILE: [HOSTILE]},
        "story": {"prompt": HOSTILE, "text": HOSTILE},
    }
    summary["cost"]["basis"] = HOSTILE
    (run / "summary.json").write_text(json.dumps(summary))
    page = read(run)
    assert not {"script", "img"} & set(page.tags)
    assert page.text.count("document.title='owned'") >= 20
    assert "\x00" not in page.text


@pytest.mark.parametrize("kept", [["metrics.jsonl"], ["recipe.yaml"], ["samples.md"], ["summary.json"]])
def test_a_partial_run_still_gets_a_report(run, kept):
    for name in {"metrics.jsonl", "recipe.yaml", "samples.md", "summary.json"} - set(kept):
        (run / name).unlink()
    page = read(run)
    assert "story" in page.text
    assert ("summary.json is missing" in page.text) == ("summary.json" not in kept)


def test_a_run_killed_in_the_middle_of_a_line_gets_a_report(run):
    (run / "summary.json").unlink()
    for name in ("metrics.jsonl", "samples.md"):
        content = (run / name).read_bytes()
        (run / name).write_bytes(content[: len(content) // 2 - 3])
    page = read(run)
    assert "How it learnt" in page.text
    assert "Samples through time" in page.text


def test_values_of_unforeseen_kinds_do_no_harm(run):
    odd = {"val_bits_per_byte": "?", "baselines": [1], "cost": 3, "story": "text", "data": 7, "parameters": {"a": 1}}
    (run / "summary.json").write_text(json.dumps({**odd, "seconds": None, "tokens": True, "utilisation": "x"}))
    assert "How it learnt" in read(run).text


def test_a_model_worse_than_a_trigram_is_not_praised(run):
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "val_bits_per_byte": 1.5}))
    text = read(run).text
    assert "above a trigram" in text
    assert "below a trigram" not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_a_browser_fits_it_on_a_phone_and_a_desk_and_runs_nothing(run, browser, width):
    section = Section(700, 10, 200.0, [(HOSTILE, HOSTILE + "x" * 500)])
    with open(run / "samples.md", "a", encoding="utf-8") as file:
        file.write(format_samples(section))
    page = visit(browser, write_report(run), width)
    assert page.title() == "story - Lilliput"
    shown = [kind for kind in ("wide", "narrow") if page.locator(f"svg.chart.{kind}").first.is_visible()]
    assert shown == ["narrow" if width == 390 else "wide"]
    page.close()

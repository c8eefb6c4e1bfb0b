import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lilliput.lab.report import write_report
from lilliput.train.samples_file import Section, format_samples

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


def test_the_report_holds_everything_the_run_says(run):
    page = read(run)
    for expected in (
        "story", "0.817", "unigram", "2.412", "trigram", "38%", "2m 24s", "1,594,624", "4be1c09a77d2", "0.96 Wh",
        "0.46 g", "Green Algorithms", "Still improving", "Once upon a time,", "A kind duck", "step 300",
        "learning rate",         "lilliput train", "batch_tokens: 8192", "3,210,441", "9f86d081884c7d65",
    ):  # fmt: skip
        assert expected.lower() in page.text.lower(), expected
    assert page.tags.count("svg") == 5


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


def chromium_dom(page: str, tmp_path: Path) -> str:
    """The page's DOM after a headless browser has run it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    flags = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --dump-dom"
    )
    command = [browser, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}", f"file://{tmp_path / 'page.html'}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_browser_fits_it_on_a_phone_and_a_desk_and_runs_nothing(run, tmp_path):
    section = Section(700, 10, 200.0, [(HOSTILE, HOSTILE + "x" * 500)])
    with open(run / "samples.md", "a", encoding="utf-8") as file:
        file.write(format_samples(section))
    report = json.dumps(write_report(run).read_text(encoding="utf-8")).replace("</", "<\\/")
    measure = """<body><script>
        const found = [];
        for (const width of [390, 1200]) {
            const frame = document.createElement("iframe");
            frame.style.width = width + "px";
            frame.srcdoc = REPORT;
            frame.onload = () => {
                const page = frame.contentDocument;
                found.push([page.title.includes("owned"), page.documentElement.scrollWidth <= width]);
                if (found.length === 2) document.body.innerHTML = "<p id=found>" + JSON.stringify(found) + "<\\/p>";
            };
            document.body.append(frame);
        }
    </script>""".replace("REPORT", report)
    dom = chromium_dom(measure, tmp_path)
    found = re.search(r'<p id="found">(.*?)</p>', dom)
    assert found is not None
    assert json.loads(found[1]) == [[False, True], [False, True]]

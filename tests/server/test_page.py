"""The page in a real browser: generating, looking, branching, two models, runs, chat; by mouse, keys and touch."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lilliput import api
from lilliput.server.served import Served
from tests.conversations import SUM
from tests.runs.made_run import make_masked, make_run
from tests.server.conftest import CONTEXT, Address, serving

pytest.importorskip("playwright.sync_api", reason="Playwright, which drives the browser, is not installed")

from playwright.sync_api import Browser, Page, Route, expect


@pytest.fixture
def complaints() -> list[str]:
    """The lines of the browser's console: errors, and anything that the Content-Security-Policy refused."""
    return []


@pytest.fixture
def page(browser: Browser, server: Address, complaints: list[str]) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    outside: list[str] = []
    context.on("request", lambda request: None if request.url.startswith(server.url) else outside.append(request.url))
    page = context.new_page()
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(server.url)
    expect(page.locator("#model option")).to_have_count(3)
    yield page
    context.close()
    assert [url for url in outside if not url.startswith("data:")] == []
    assert complaints == []


def generate_on(page: Page, **fields: str) -> None:
    """Ask for a story, and wait until it is complete."""
    for name, value in {"tokens": "20", **fields}.items():
        page.fill(f"#{name}", value)
    page.click("#generate")
    texts(page)


def texts(page: Page) -> None:
    expect(page.locator(".status").last).to_contain_text(re.compile("by itself|its length|stopped"))
    expect(page.locator("#stop")).to_be_hidden()


def text_of(server: Address, **body: object) -> str:
    return (
        server.client.completions.create(**{"prompt": None, "max_tokens": 20, "temperature": 0.8, **body})
        .choices[0]
        .text
    )  # type: ignore[call-overload]


def test_a_story_is_generated_and_coloured_by_surprise(page: Page, server: Address) -> None:
    generate_on(page, opening="One day Tom", seed="3")
    flow = page.locator(".flow")
    expected = "One day Tom" + text_of(server, model="forwards", prompt="One day Tom", seed=3)
    assert flow.evaluate("flow => flow.textContent") == expected
    heats = page.locator(".token").evaluate_all("all => all.map(one => +one.style.getPropertyValue('--heat'))")
    assert len(heats) > 5
    assert min(heats) >= 0
    assert len(set(heats)) > 3
    colour = "all => all.map(one => getComputedStyle(one).backgroundColor)"
    assert len(set(page.locator(".ink").evaluate_all(colour))) > 3
    page.uncheck("#heat")
    assert len(set(page.locator(".ink").evaluate_all(colour))) == 1


def test_pointing_shows_alternatives_and_one_of_them_branches(page: Page) -> None:
    generate_on(page, seed="1")
    before = page.locator(".token").all_text_contents()
    token = page.locator(".token").nth(6)
    token.hover()
    card = page.locator("#choices")
    expect(card).to_be_visible()
    expect(card).to_contain_text("bits of surprise")
    other = card.locator(".choice:not(.generated)").first
    share = float(other.evaluate("one => one.style.getPropertyValue('--share')"))
    assert 0 < share < 1
    other.click()
    expect(card).to_be_hidden()
    texts(page)
    expect(page.locator(".token.branch")).to_have_count(1)
    after = page.locator(".token").all_text_contents()
    assert after[:6] == before[:6]
    assert after != before
    page.click("#undo")
    texts(page)
    assert page.locator(".token").all_text_contents() == before
    expect(page.locator("#undo")).to_be_hidden()


def test_a_story_is_generated_to_its_end_unless_asked_otherwise(page: Page, server: Address) -> None:
    assert page.input_value("#tokens") == str(CONTEXT)
    page.click("#generate")
    texts(page)
    expected = text_of(server, model="forwards", prompt="Once upon a time", seed=0, max_tokens=CONTEXT)
    assert page.locator(".flow").evaluate("flow => flow.textContent") == "Once upon a time" + expected


BASELINES = """
all => all.flatMap(choice => [...choice.querySelectorAll("span")].map(span => {
  const mark = document.createElement("i");
  mark.style.display = "inline-block";
  span.append(mark);
  const bottom = mark.getBoundingClientRect().bottom;
  mark.remove();
  return bottom - choice.getBoundingClientRect().top;
}))
"""


def test_a_token_and_its_share_stand_on_one_line(page: Page) -> None:
    generate_on(page, seed="1")
    page.locator(".token").nth(6).hover()
    expect(page.locator("#choices")).to_be_visible()
    bottoms = page.locator(".choice").evaluate_all(BASELINES)
    assert len(bottoms) >= 12
    assert max(abs(a - b) for a, b in zip(bottoms[::2], bottoms[1::2], strict=True)) < 0.6


def test_keys_alone_generate_walk_and_branch(page: Page) -> None:
    page.fill("#tokens", "12")
    page.focus("#opening")
    page.keyboard.press("Control+Enter")
    texts(page)
    page.focus(".flow")
    for key in ("Home", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator(".token.open")).to_have_count(1)
    opened = page.locator(".token.open").text_content()
    assert opened == page.locator(".token").nth(2).text_content()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#choices .choice:focus")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#choices")).to_be_hidden()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    texts(page)
    expect(page.locator(".token.branch")).to_have_count(1)
    page.focus("#tab-read")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-chat")).to_have_attribute("aria-selected", "true")


def test_another_is_the_next_seed_and_the_same_seed_the_same_story(page: Page) -> None:
    generate_on(page, seed="5")
    first = page.locator(".flow").text_content()
    page.click("#again")
    texts(page)
    assert page.input_value("#seed") == "6"
    assert page.locator(".flow").text_content() != first
    generate_on(page, seed="5")
    assert page.locator(".flow").text_content() == first


def test_two_models_side_by_side_in_both_directions(page: Page, server: Address) -> None:
    expect(page.locator("#ending")).to_be_hidden()
    page.select_option("#beside", "backwards")
    generate_on(page, opening="One day", ending="They were happy.", seed="2")
    expect(page.locator(".story")).to_have_count(2)
    expect(page.locator(".status").first).to_contain_text("20 tokens")
    forwards, backwards = page.locator(".flow").evaluate_all("all => all.map(one => one.textContent)")
    assert forwards == "One day" + text_of(server, model="forwards", prompt="One day", seed=2)
    ending = {"ending": "They were happy."}
    assert backwards == text_of(server, model="backwards", seed=2, extra_body=ending) + "They were happy."
    page.locator(".backwards .token").first.dispatch_event("click")
    page.locator("#choices .choice:not(.generated)").first.click()
    texts(page)
    expect(page.locator(".backwards .flow")).to_contain_text("They were happy.")
    expect(page.locator(".backwards .branch")).to_have_count(1)


def test_stop_keeps_what_was_generated(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    from lilliput.decoding.engine import Engine

    step = Engine.step
    monkeypatch.setattr(Engine, "step", lambda self: (page_sleep(), step(self))[1])
    page.fill("#tokens", "90")
    page.click("#generate")
    expect(page.locator(".token").nth(3)).to_be_attached()
    page.keyboard.press("Escape")
    texts(page)
    expect(page.locator(".status")).to_contain_text("stopped")
    assert 3 < page.locator(".token").count() < 80


def page_sleep() -> None:
    import time

    time.sleep(0.03)


def test_the_curl_command_generates_the_same_story(page: Page) -> None:
    generate_on(page, opening='Tom\'s "kite"', seed="8")
    story = page.locator(".flow").evaluate("flow => flow.textContent")
    page.click("#curl")
    command = page.locator("#command-text").text_content() or ""
    assert page.evaluate("navigator.clipboard.readText()") == command
    assert "Copied" in (page.locator("#copied").text_content() or "")
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert 'Tom\'s "kite"' + json.loads(done.stdout)["choices"][0]["text"] == story


def test_an_error_is_shown_in_the_servers_words(page: Page, complaints: list[str]) -> None:
    page.fill("#tokens", "5")
    page.fill("#opening", "zq " * 200)
    page.click("#generate")
    expect(page.locator(".status .error")).to_contain_text("the model's context holds 96")
    complaints[:] = [text for text in complaints if "status of 400" not in text]  # the browser's own line


def test_runs_show_curve_progress_and_samples(page: Page) -> None:
    page.click("#tab-runs")
    page.click("#run-list button:has-text('story')")
    expect(page.locator("path.validation")).to_have_attribute("d", re.compile(r"^M[\d.]+ [\d.]+L"))
    expect(page.locator("progress")).to_have_attribute("value", "1")
    expect(page.locator("#run")).to_contain_text("Samples at step 600")
    expect(page.locator(".sample").first).to_contain_text("Once upon a time,")
    assert page.url.endswith("#runs")


def test_heads_of_a_watched_run_have_an_axis_and_words(page: Page, runs_folder: Path) -> None:
    folder = make_run(runs_folder / "watched")
    lines = [{"step": step, "previous": [[0.1, step / 100]]} for step in (0, 50, 100)]
    (folder / "heads.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    try:
        page.click("#tab-runs")
        page.click("#run-list button:has-text('watched')")
        expect(page.locator("#run .heads figcaption")).to_have_text(re.compile(r"Head 0\.1 .*: 1\.00"))
        expect(page.locator("#run")).to_contain_text("The share of attention, from 0 to 1")
        figure = page.locator("#run .heads svg")
        assert figure.locator("text").all_text_contents() == ["0", "1"]
        ends = figure.locator(".grid").evaluate_all("lines => lines.map((line) => line.getAttribute('y1'))")
        drawn = figure.locator("path").get_attribute("d") or ""
        assert float(drawn.split("L")[-1].split()[1]) == float(ends[1])  # a share of 1 is at the line of 1
    finally:
        shutil.rmtree(folder)
        page.click("#run-list button:has-text('story')")


def test_a_run_of_another_objective_shows_its_own_unit(page: Page, runs_folder: Path) -> None:
    folder = make_masked(runs_folder / "filled")
    try:
        page.click("#tab-runs")
        page.click("#run-list button:has-text('filled')")
        expect(page.locator("#run .facts")).to_contain_text(re.compile(r"bits a masked byte0\.\d\d\d"))
        expect(page.locator("svg.curve")).to_contain_text("bits a masked byte; thin: training")
        expect(page.locator("path.validation")).to_have_attribute("d", re.compile(r"^M[\d.]+ [\d.]+L"))
    finally:
        page.click("#run-list button:has-text('story')")
        shutil.rmtree(folder)


def test_chat_answers_and_answers_anew(page: Page) -> None:
    page.click("#tab-chat")
    page.fill("#message", "One day?")
    page.click("#send")
    answer = page.locator(".message.assistant")
    expect(page.locator("#retry")).to_be_enabled()
    first = answer.text_content()
    assert first
    page.click("#retry")
    expect(page.locator("#retry")).to_be_enabled()
    expect(answer).to_have_count(1)
    assert answer.text_content() != first
    page.click("#clear")
    expect(page.locator(".message")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_screen_in_every_light(browser: Browser, server: Address, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, has_touch=width < 500)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(server.url)
    expect(page.locator("#model option")).to_have_count(3)
    generate_on(page)
    token = page.locator(".token").nth(9)
    token.tap() if width < 500 else token.hover()
    expect(page.locator("#choices")).to_be_visible()
    box, screen = page.locator("#choices").bounding_box(), page.viewport_size
    assert box is not None
    assert screen is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= screen["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert (brightness(ink) > brightness(paper)) == (scheme == "dark")
    assert abs(brightness(ink) - brightness(paper)) > 150
    context.close()


def brightness(colour: str) -> float:
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


def test_the_page_asks_for_a_key_once(browser: Browser, models: dict) -> None:
    with serving(models["forwards"], api_key="s3cret") as server:
        page = browser.new_page()
        page.goto(server.url)
        page.fill("#key", "s3cret")
        page.click("#ask-key button")
        expect(page.locator("#model option")).to_have_count(1)
        expect(page.locator("#beside-field")).to_be_hidden()
        expect(page.locator("#tab-chat")).to_be_hidden()
        generate_on(page)
        page.click("#curl")
        command = page.locator("#command-text").text_content() or ""
        assert "s3cret" not in command
        assert '-H "' not in command  # the variable's value would be a part of curl's command line
        answer = subprocess.run(
            command, shell=True, env={**os.environ, "LILLIPUT_API_KEY": "s3cret"}, capture_output=True, text=True
        )
        assert json.loads(answer.stdout)["choices"][0]["text"], answer.stderr
        page.close()


def without_chance(route: Route) -> None:
    """Send a request of the page on, greedy: the page samples."""
    route.continue_(post_data=json.dumps({**(route.request.post_data_json or {}), "temperature": 0}))


def test_chat_runs_the_calculator(browser: Browser, chatty: Path) -> None:
    with serving(Served("caller", api.load(chatty, "cpu", compile=False))) as address:
        page = browser.new_page()
        page.route("**/v1/chat/completions", without_chance)
        page.goto(f"{address.url}/#chat")
        expect(page.locator("#tool-names")).to_have_text("Tools: calculator")
        page.check("#use-tools")
        page.fill("#message", SUM[0]["content"])
        page.click("#send")
        expect(page.locator(".message.tool")).to_have_text('calculator {"expression": "3 + 4"} = 7')
        expect(page.locator(".message.assistant")).to_contain_text(re.compile("."))
        expect(page.locator("#send")).to_be_enabled()
        page.click("#retry")
        expect(page.locator("#send")).to_be_enabled()
        expect(page.locator(".message.user")).to_have_count(1)
        expect(page.locator(".error")).to_have_count(0)
        page.close()


def test_a_click_shows_the_parts_that_wrote_a_token_and_a_part_can_be_off(page: Page) -> None:
    generate_on(page, seed="1")
    before = page.locator(".flow").text_content()
    page.locator(".token").nth(4).click()
    inside = page.locator("#inside")
    expect(inside).to_contain_text("Which parts wrote")
    page.keyboard.press("Escape")
    rows = inside.locator("table").first.locator("tr")
    assert rows.count() > 5
    button = inside.locator("button[data-part^='head']").first
    name = button.get_attribute("data-part")
    button.click()
    expect(inside).to_contain_text(f"Off now: {name}")
    texts(page)
    expect(inside.locator("details")).to_contain_text("with all parts on")
    after = page.locator(".flow").text_content()
    page.click("#generate")  # the part stays off for the next story
    texts(page)
    assert page.locator(".flow").text_content() == after
    inside.locator(".chip").click()
    texts(page)
    assert page.locator(".flow").text_content() == before


def test_parts_are_shown_by_keys_alone_and_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    generate_on(page, seed="1")
    page.focus(".flow")
    for key in ("Home", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#inside")).to_contain_text("Which parts wrote")
    page.keyboard.press("Escape")
    page.locator("#inside button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#inside")).to_contain_text("Off now")
    texts(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400

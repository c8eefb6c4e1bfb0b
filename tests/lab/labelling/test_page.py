"""The page in a real browser, by keys alone: rank, rate, demonstrate, undo, help, quit."""

import re
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("starlette")
pytest.importorskip("playwright.sync_api", reason="Playwright, which drives the browser, is not installed")

from playwright.sync_api import Browser, Page, expect

from lilliput.lab.labelling.session import Session
from lilliput.lab.labelling.store import live, read
from tests.lab.labelling.conftest import PROMPTS, Labelling, replies
from tests.lab.labelling.served import Served, serving


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    page = context.new_page()
    page.on("console", lambda one: complaints.append(one.text) if one.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    yield page
    context.close()
    assert complaints == []


def opened(page: Page, served: Served) -> None:
    page.goto(served.page)
    expect(page.locator("#work")).to_be_visible()
    expect(page.locator("#prompt")).to_have_text(PROMPTS[0])


def answered(page: Page, count: int, total: int = 3) -> None:
    expect(page.locator("#progress")).to_contain_text(f"{count} of {total} answered")


def answers(session: Session) -> list[object]:
    return [record.answer for record in live(read(session.store.path))]


def test_rankings_by_keys(page: Page, labelling: Labelling) -> None:
    session = labelling.session(samples=3)
    with serving(session) as served:
        opened(page, served)
        replied = [text[1:] for text in page.locator("button.reply").all_text_contents()]  # without their numbers
        page.keyboard.press("3")
        expect(page.locator(".reply.ranked")).to_have_count(1)
        expect(page.locator("#ranking")).to_have_text("best first: 3 > …")
        page.keyboard.press("Backspace")
        expect(page.locator(".reply.ranked")).to_have_count(0)
        for key in ("2", "2", "9", "x", "1"):
            page.keyboard.press(key)
        answered(page, 1)
        expect(page.locator("#prompt")).to_have_text(PROMPTS[1])
        page.keyboard.press("=")
        answered(page, 2)
        page.keyboard.press("s")
        expect(page.locator("#end-title")).to_have_text("No item is left")
        expect(page.locator("#progress")).to_contain_text("1 skipped (ada)")
    first, tie = (record for record in live(read(labelling.path)))
    texts = [first.texts[group[0]].strip() for group in first.answer]  # type: ignore[union-attr]
    assert texts == [replied[place] for place in (1, 0, 2)]
    assert [sorted(group) for group in tie.answer] == [[0, 1, 2]]  # type: ignore[union-attr]


def test_ratings_undo_help_and_quit(page: Page, labelling: Labelling) -> None:
    session = labelling.session("rate", samples=1)
    with serving(session) as served:
        opened(page, served)
        page.keyboard.press("1")
        answered(page, 1)
        page.keyboard.press("b")
        answered(page, 2)
        page.keyboard.press("u")
        answered(page, 1)
        expect(page.locator("#prompt")).to_have_text(PROMPTS[1])
        page.keyboard.press("?")
        expect(page.locator("dialog")).to_be_visible()
        page.keyboard.press("2")  # while help is open no key answers
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_be_hidden()
        answered(page, 1)
        page.keyboard.press("g")
        answered(page, 2)
        page.keyboard.press("q")
        expect(page.locator("#end-title")).to_have_text("The program has ended")
        served.thread.join(timeout=20)
        assert not served.thread.is_alive()
    assert answers(session) == [True, True]


def test_demonstrations_by_keys(page: Page, labelling: Labelling) -> None:
    session = labelling.session("demonstrate")
    with serving(session) as served:
        opened(page, served)
        expect(page.locator("#text")).to_be_focused()
        page.keyboard.type("squash 1 2 s u q ?")  # keys of the page are letters of the text
        page.keyboard.press("Enter")
        page.keyboard.type("The end.")
        page.keyboard.press("Control+Enter")
        answered(page, 1)
        expect(page.locator("#text")).to_have_value("")
        page.keyboard.press("Control+Enter")
        expect(page.locator("#message")).to_have_text("Nothing is written yet.")
        page.keyboard.press("Escape")
        page.keyboard.press("s")
        expect(page.locator("#prompt")).to_have_text(PROMPTS[2])
        page.keyboard.press("Escape")
        page.keyboard.press("w")
        expect(page.locator("#text")).to_be_focused()
        expect(page.locator("#text")).to_have_value("")
    assert answers(session) == [" squash 1 2 s u q ?\nThe end."]


def test_focus_is_visible_and_tab_reaches_everything(page: Page, labelling: Labelling) -> None:
    with serving(labelling.session(samples=2)) as served:
        opened(page, served)
        reached = []
        for _ in range(8):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
            width = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
            style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert width >= 2
            assert style == "solid"
        assert reached == ["reply", "reply", "equal", "back", "skip", "undo", "quit", "help"]
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")  # a focused button is pressed by Enter
        expect(page.locator("#prompt")).to_have_text(PROMPTS[1])


def test_a_held_key_answers_one_item(page: Page, labelling: Labelling) -> None:
    session = labelling.session("rate", samples=1)
    with serving(session) as served:
        opened(page, served)
        page.keyboard.down("1")
        for _ in range(5):
            page.keyboard.down("1")  # repeats, as a keyboard sends them
        page.keyboard.up("1")
        answered(page, 1)
        page.wait_for_timeout(200)
    assert len(answers(session)) == 1


def test_texts_are_shown_and_never_run(page: Page, labelling: Labelling) -> None:
    nasty = "<img src=x onerror=alert(1)><script>alert(2)</script>"

    def make(prompt: object) -> tuple:
        return tuple(each.model_copy(update={"text": f"{nasty}{n}"}) for n, each in enumerate(replies("a", 2)))

    with serving(labelling.session(make=make, prompts=[nasty])) as served:
        page.goto(served.page)
        expect(page.locator("#prompt")).to_have_text(nasty)
        expect(page.locator(".reply").first).to_contain_text(nasty)
        assert page.locator("#replies img, #replies script").count() == 0


def test_the_page_waits_for_replies(page: Page, labelling: Labelling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lilliput.lab.labelling.web.WAIT_SECONDS", 0.02)
    go = threading.Event()

    def slow(prompt: object) -> tuple:
        go.wait(10)
        return replies("a", 2)

    with serving(labelling.session(make=slow)) as served:
        page.goto(served.page)
        expect(page.locator("#waiting")).to_be_visible()
        go.set()
        expect(page.locator("#prompt")).to_have_text(PROMPTS[0])
        expect(page.locator("#waiting")).to_be_hidden()


def test_two_windows_do_not_answer_for_each_other(browser: Browser, labelling: Labelling) -> None:
    session = labelling.session("rate", samples=1)
    context = browser.new_context()
    with serving(session) as served:
        one, other = context.new_page(), context.new_page()
        for window in (one, other):
            opened(window, served)
        one.keyboard.press("1")
        expect(one.locator("#prompt")).to_have_text(PROMPTS[1])
        other.keyboard.press("2")  # of an item that is answered already
        expect(other.locator("#prompt")).to_have_text(PROMPTS[1])
    context.close()
    assert answers(session) == [True]


def test_a_server_that_has_ended_is_reported(browser: Browser, labelling: Labelling) -> None:
    context = browser.new_context()
    page = context.new_page()
    with serving(labelling.session("rate", samples=1)) as served:
        opened(page, served)
    page.keyboard.press("1")
    expect(page.locator("#message")).to_have_text(re.compile("The program has ended. Every answer up to now is stored"))
    context.close()

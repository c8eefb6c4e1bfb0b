"""Offline pages in a browser."""

from pathlib import Path

WIDTHS = (390, 1280)


def visit(browser, path: Path, width: int):
    """The page at that width, which must fit into it, ask for nothing and print no error."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.resolve().as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert asked == [path.resolve().as_uri()]
    assert errors == []
    return page

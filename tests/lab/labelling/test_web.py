"""The page's server: what it answers, and every request that it refuses."""

import json
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from lilliput.lab.labelling import web
from lilliput.lab.labelling.store import live, read
from tests.lab.labelling.conftest import PROMPTS, Labelling, replies
from tests.lab.labelling.served import TOKEN, Served, serving


@pytest.fixture
def served(labelling: Labelling) -> Iterator[Served]:
    with serving(labelling.session(samples=3)) as address:
        yield address


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labelling]:
    """Labels that no refused request may change."""
    made = Labelling(tmp_path_factory.mktemp("kept") / "labels.jsonl")
    yield made
    for ahead in made.opened:
        ahead.close()


@pytest.fixture(scope="module")
def guarded(kept: Labelling) -> Iterator[Served]:
    """One server for all requests that it has to refuse."""
    with serving(kept.session(samples=3)) as address:
        yield address


def test_an_item_is_shown_answered_skipped_and_undone(served: Served, labelling: Labelling) -> None:
    item = served.get("item").json()
    assert (item["prompt"], item["mode"], item["total"], item["answered"]) == (PROMPTS[0], "rank", 3, 0)
    assert sorted(item["replies"]) == [" saw 0", " saw 1", " saw 2"]
    then = served.post("answer", {"item": item["item"], "answer": [[1], [0, 2]]}).json()
    assert (then["prompt"], then["answered"]) == (PROMPTS[1], 1)
    (record,) = read(labelling.path)
    assert [[record.texts[number] for number in group] for group in record.answer] == [  # type: ignore[union-attr]
        [item["replies"][1]],
        sorted([item["replies"][0], item["replies"][2]]),
    ]
    assert served.post("skip", {"item": then["item"]}).json()["prompt"] == PROMPTS[2]
    assert served.post("undo").json()["prompt"] == PROMPTS[1]
    assert served.post("undo").json()["item"] == item["item"]
    assert live(read(labelling.path)) == []


def test_where_replies_come_from_does_not_reach_the_page(served: Served) -> None:
    keys = {"item", "prompt", "continues", "replies", "mode", "labeller", "total", "answered", "skipped", "left_out"}
    assert served.get("item").json().keys() == keys


def test_the_last_answer_ends_the_items_and_quit_ends_the_server(served: Served) -> None:
    last = {}
    for _ in PROMPTS:
        item = served.get("item").json()["item"]
        last = served.post("answer", {"item": item, "answer": [[0], [1], [2]]}).json()
    assert last["done"]
    assert served.post("quit").json()["ended"]
    served.thread.join(timeout=20)
    assert not served.thread.is_alive()


def test_replies_that_are_not_there_yet_are_waited_for(labelling: Labelling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "WAIT_SECONDS", 0.02)
    go = threading.Event()

    def slow(prompt: object) -> tuple:
        go.wait(10)
        return replies("a", 2)

    with serving(labelling.session(make=slow)) as served:
        waiting = served.get("item").json()
        assert waiting["waiting"]
        assert "item" not in waiting
        go.set()
        while served.get("item").json().get("waiting"):
            pass
        assert "item" in served.get("item").json()


def test_files_are_sent_under_a_strict_policy(served: Served) -> None:
    page = served.get("")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert served.get("page.js").headers["content-type"].startswith("text/javascript")
    assert served.get("page.css").status_code == 200


# ------------------------------------------------------------------------------------------------ hostile requests


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1", "http://localhost", ""]
)
@pytest.mark.parametrize("action", ["answer", "skip", "undo", "quit"])
def test_another_origin_changes_nothing(guarded: Served, kept: Labelling, origin: str, action: str) -> None:
    item = guarded.get("item").json()["item"]
    assert guarded.post(action, {"item": item}, Origin=origin).status_code == 403
    assert not kept.path.exists()
    assert guarded.thread.is_alive()


def test_a_post_without_origin_is_refused(guarded: Served) -> None:
    assert httpx.post(guarded.page + "undo", json={}).status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil:80", ""]
)
def test_another_host_sees_nothing(guarded: Served, host: str) -> None:
    for path in ("", "item", "page.js"):
        assert guarded.get(path, headers={"Host": host}).status_code in (400, 421)
    assert guarded.post("undo", Host=host, Origin=f"http://{host}").status_code in (400, 421)


def test_localhost_is_a_name_of_this_machine(served: Served) -> None:
    port = served.origin.rpartition(":")[2]
    origin = f"http://localhost:{port}"
    assert served.get("item", headers={"Host": f"localhost:{port}"}).status_code == 200
    assert served.post("undo", Host=f"localhost:{port}", Origin=origin).status_code == 200
    assert served.post("undo", Host=f"localhost:{port}").status_code == 403  # the origin is another name's


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "%00", "%ff", "..%2f" + TOKEN])
def test_without_the_token_there_is_no_page(guarded: Served, token: str) -> None:
    for path in ("", "item", "page.js"):
        assert httpx.get(f"{guarded.origin}/{token}/{path}").status_code == 404
    undo = httpx.post(f"{guarded.origin}/{token}/undo", json={}, headers={"Origin": guarded.origin})
    assert undo.status_code == 404


def test_no_request_becomes_a_path(guarded: Served) -> None:
    for path in (
        "..%2fweb.py",
        "%2e%2e/web.py",
        "../web.py",
        "page%2fpage.js",
        "page.js/",
        "index.html",
        "%2fetc%2fpasswd",
    ):
        assert guarded.get(path).status_code == 404, path
    assert httpx.get(guarded.origin + "/").status_code == 404


def test_a_huge_body_is_not_read(served: Served, labelling: Labelling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BODY_BYTES", 2000)
    item = served.get("item").json()["item"]
    assert served.post("answer", {"item": item, "answer": "x" * 3000}).status_code == 413

    def parts() -> Iterator[bytes]:  # no stated length
        for _ in range(50):
            yield b" " * 100

    headers = {"Origin": served.origin, "Content-Type": "application/json"}
    assert httpx.post(served.page + "answer", content=parts(), headers=headers).status_code == 413
    stated = {**headers, "Content-Length": "9" * 15}
    with socket.create_connection(("127.0.0.1", int(served.origin.rpartition(":")[2])), timeout=10) as raw:
        lines = [
            f"POST /{TOKEN}/answer HTTP/1.1",
            f"Host: {served.origin[7:]}",
            *(f"{k}: {v}" for k, v in stated.items()),
        ]
        raw.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        assert b" 413 " in raw.recv(4096)
    assert not labelling.path.exists()
    assert served.get("item").json()["item"] == item


def test_a_slow_body_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BODY_SECONDS", 0.05)
    with socket.create_connection(("127.0.0.1", int(served.origin.rpartition(":")[2])), timeout=10) as raw:
        head = f"POST /{TOKEN}/undo HTTP/1.1\r\nHost: {served.origin[7:]}\r\nOrigin: {served.origin}\r\n"
        raw.sendall((head + "Content-Type: application/json\r\nContent-Length: 5\r\n\r\n{").encode())
        assert b" 408 " in raw.recv(4096)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"item": "none", "answer": [[0], [1], [2]]}, 409),
        ({"item": ["none"], "answer": [[0], [1], [2]]}, 400),
        ({"item": "THE ITEM", "answer": [[0], [1], [3]]}, 400),
        ({"item": "THE ITEM", "answer": [[0], [1], [-1]]}, 400),
        ({"item": "THE ITEM", "answer": [[0], [1]]}, 400),
        ({"item": "THE ITEM", "answer": [["0"], [1], [2]]}, 400),
        ({"item": "THE ITEM", "answer": True}, 400),
        ({"item": "THE ITEM", "answer": "text"}, 400),
        ({"item": "THE ITEM", "answer": {"path": "/etc/passwd"}}, 400),
        ({"item": "THE ITEM"}, 400),
        ({"item": "THE ITEM", "answer": [[0], [1], [2]], "labeller": "eve"}, 400),
        ([], 400),
    ],
)
def test_what_does_not_fit_is_refused(guarded: Served, kept: Labelling, body: object, status: int) -> None:
    item = guarded.get("item").json()["item"]
    content = json.dumps(body).replace("THE ITEM", item)
    headers = {"Origin": guarded.origin, "Content-Type": "application/json"}
    response = httpx.post(guarded.page + "answer", content=content, headers=headers)
    assert response.status_code == status
    assert response.json()["error"]
    assert not kept.path.exists()


def test_other_content_is_refused(guarded: Served) -> None:
    headers = {"Origin": guarded.origin}
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):  # what a form can send
        found = httpx.post(guarded.page + "undo", content="{}", headers={**headers, "Content-Type": kind})
        assert found.status_code == 415
    for content in (b"{", b"\xff", b"[" * 5000, b'{"a": NaN', b'"\\ud800"'):
        found = httpx.post(
            guarded.page + "undo", content=content, headers={**headers, "Content-Type": "application/json"}
        )
        assert found.status_code == 400


def test_the_same_answer_twice_is_stored_once(served: Served, labelling: Labelling) -> None:
    item = served.get("item").json()["item"]
    codes = []

    def press() -> None:
        codes.append(served.post("answer", {"item": item, "answer": [[0], [1], [2]]}).status_code)

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 409, 409, 409]
    assert len(read(labelling.path)) == 1


def test_a_full_disk_is_reported_and_the_item_stays(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from lilliput.base.disk import no_room

    def full(path: object, text: str) -> None:
        raise no_room(served_path, 10, 28)

    from pathlib import Path

    served_path = Path("labels.jsonl")
    item = served.get("item").json()["item"]
    with monkeypatch.context() as patched:
        patched.setattr("lilliput.lab.labelling.store.append_text", full)
        found = served.post("answer", {"item": item, "answer": [[0], [1], [2]]})
    assert found.status_code == 507
    assert "the disk is full" in found.json()["error"]
    assert served.get("item").json()["item"] == item

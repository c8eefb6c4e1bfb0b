"""Crowds of connections: bounds in all and for one client, time-outs, what is logged, and how stuck requests end."""

import contextlib
import logging
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lilliput.server.connections import Limits, Quiet, client_of, raise_descriptors
from lilliput.server.served import Served
from tests.server.conftest import Address, serving

HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
SMALL = Limits(connections=12, of_one_client=8, refusals=2, head_seconds=0.5, stalled_seconds=0.5)
PATIENCE = 20.0


class Crowd(contextlib.ExitStack):
    """Plain connections to one server."""

    def __init__(self, server: Address):
        super().__init__()
        self.port = int(server.url.rpartition(":")[2])

    def connect(self, source: str = "127.0.0.1", sends: bytes = b"", buffer: int = 0) -> socket.socket:
        one = self.enter_context(socket.socket())
        if buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        one.settimeout(PATIENCE)
        one.bind((source, 0))
        one.connect(("127.0.0.1", self.port))
        one.sendall(sends)
        return one


def status(one: socket.socket) -> int:
    """The status of the next answer, which is read to its end; 0 where the connection is closed without one."""
    read = b""
    try:
        while b"\r\n\r\n" not in read and (part := one.recv(65536)):
            read += part
        head, _, body = read.partition(b"\r\n\r\n")  # the two may come apart
        length = re.search(rb"content-length: (\d+)", head)
        while length and len(body) < int(length[1]) and (part := one.recv(65536)):
            body += part
    except ConnectionResetError:
        return 0
    return int(head.split()[1]) if head else 0


def closed(one: socket.socket) -> bool:
    """Whether the server closes the connection, whatever it sends before, within PATIENCE."""
    try:
        while one.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.fixture
def crowded(models: dict[str, Served]) -> Iterator[Address]:
    with serving(models["forwards"], limits=SMALL, body_seconds=0.5, slots=64) as server:
        yield server


def test_idle_connections_make_room_and_one_line_is_logged(crowded: Address, caplog: pytest.LogCaptureFixture) -> None:
    with Crowd(crowded) as crowd:
        held = [crowd.connect() for _ in range(40)]
        assert httpx.get(f"{crowded.url}/health", timeout=PATIENCE).status_code == 200
        assert sum(map(closed, held[:30])) == 30
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1
    assert "idle connections are closed to make room: there are 8 from 127.0.0.1" in caplog.text


def test_an_idle_client_gives_way_to_its_own_and_not_to_others(crowded: Address) -> None:
    with Crowd(crowded) as crowd:
        others = [crowd.connect("127.0.0.2", GET) for _ in range(3)]
        assert [status(one) for one in others] == [200] * 3
        for _ in range(20):
            crowd.connect("127.0.0.3")
        for one in others:  # still there
            one.sendall(GET)
            assert status(one) == 200


def test_connections_in_use_are_kept_and_the_next_is_refused(
    models: dict[str, Served], caplog: pytest.LogCaptureFixture
) -> None:
    with serving(models["forwards"], limits=SMALL) as crowded, Crowd(crowded) as crowd:
        for source in ("127.0.0.2", "127.0.0.3"):
            for _ in range(6):
                one = crowd.connect(source, HEAD + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n")
                assert status(one) == 100  # it is in use: the server waits for a body that never comes
        one = crowd.connect(sends=b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: one.recv(65536), b"")).decode()  # up to its end: the connection is closed
        assert answer.startswith("HTTP/1.1 503 ")
        assert "retry-after: 1" in answer
        assert "connection: close" in answer
        assert "as many connections as it can hold" in answer
        assert httpx.get(f"{crowded.url}/health", timeout=PATIENCE).status_code == 200
        # Silent ones: two wait for their refusal until their time is up, those beyond are closed without a word.
        assert all(closed(silent) for silent in [crowd.connect() for _ in range(10)])
        assert httpx.get(f"{crowded.url}/v1/models", timeout=PATIENCE).status_code == 503
    assert caplog.text.count("connections are refused") == 1


@pytest.mark.parametrize(
    "sends", [b"", b"GET /he", HEAD, b"\r\n"], ids=["nothing", "half a line", "half a head", "blank"]
)
def test_a_head_that_does_not_come_closes_the_connection(crowded: Address, sends: bytes) -> None:
    with Crowd(crowded) as crowd:
        first, later = crowd.connect(sends=sends), crowd.connect(sends=GET)
        assert status(later) == 200
        later.sendall(sends)
        began = time.monotonic()
        assert closed(first)
        if sends:  # without a byte of it the connection is kept as long as clients expect
            assert closed(later)
        assert time.monotonic() - began < PATIENCE / 2


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(crowded: Address) -> None:
    with Crowd(crowded) as crowd, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        one, began = crowd.connect(), time.monotonic()
        while time.monotonic() - began < PATIENCE / 2:
            one.sendall(b"X")
            time.sleep(0.05)
        pytest.fail("it was waited for")


def test_a_body_that_does_not_come_gets_408(crowded: Address) -> None:
    with Crowd(crowded) as crowd:
        one = crowd.connect(sends=HEAD + b"Content-Length: 90\r\n\r\n{")
        parts = []
        while part := one.recv(65536):  # head and body may come apart; the end is that the server closed
            parts.append(part)
        answer = b"".join(parts).decode()
        assert answer.startswith("HTTP/1.1 408 ")
        assert "took longer than 0.5 seconds to come" in answer


FLOOD = b'{"prompt": "One day", "n": 64, "max_tokens": 90, "logprobs": 20, "stream": true, "temperature": 2}'
STREAM = HEAD + b"Content-Length: %d\r\n\r\n" % len(FLOOD) + FLOOD


def test_a_client_that_takes_nothing_loses_its_slots(crowded: Address, caplog: pytest.LogCaptureFixture) -> None:
    with Crowd(crowded) as crowd:
        one = crowd.connect(sends=STREAM, buffer=4096)
        assert status(one) == 200
        deadline = time.monotonic() + PATIENCE
        while True:
            counted = httpx.get(f"{crowded.url}/metrics", timeout=PATIENCE).text
            requests = re.search(r'lilliput_requests_total\{path="/v1/completions",status="200"\} (\d+)', counted)
            if requests and 'texts{model="forwards",state="running"} 0.0' in counted:
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert "Traceback" not in caplog.text


def test_stuck_requests_end_cleanly_when_the_server_does(
    models: dict[str, Served], caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.ExitStack() as stack:
        with serving(models["forwards"], slots=64) as server:
            crowd = stack.enter_context(Crowd(server))
            silent, half = crowd.connect(), crowd.connect(sends=HEAD)
            bodiless = crowd.connect(sends=HEAD + b"Content-Length: 9\r\n\r\n")
            unread = crowd.connect(sends=STREAM, buffer=4096)
            assert status(unread) == 200
            began = time.monotonic()
        assert time.monotonic() - began < PATIENCE
        answer = bodiless.recv(65536).decode()
        assert answer.startswith("HTTP/1.1 503 ")
        assert "the server is being stopped" in answer
        assert closed(silent)
        assert closed(half)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_crowd_beyond_the_descriptors_does_not_fill_the_log(folder: Path, tmp_path: Path) -> None:
    """The command with 100 descriptors and 200 idle connections answers, and ends although a request is stuck."""

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))

    words = [sys.executable, "-m", "lilliput", "serve", str(folder), "--port", "0"]
    log = tmp_path / "log"
    with (
        open(log, "wb") as errors,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, preexec_fn=few) as process,
    ):
        assert process.stdout is not None
        url = process.stdout.readline().rpartition(" at ")[2].strip()
        with Crowd(Address(url, None)) as crowd:  # type: ignore[arg-type]
            for _ in range(200):
                crowd.connect()
            for _ in range(3):
                assert httpx.get(f"{url}/health", timeout=PATIENCE).status_code == 200
            assert httpx.get(f"{url}/v1/models", timeout=PATIENCE).status_code == 200
            crowd.connect(sends=HEAD + b"Content-Length: 9\r\n\r\n")
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) in (0, -signal.SIGTERM)
    assert log.read_text().count("\n") <= 3, log.read_text()
    assert "Traceback" not in log.read_text()


def test_the_soft_limit_is_raised() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
        raise_descriptors()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(8192, hard), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("nonsense", "nonsense"),
    ],
)
def test_one_client_is_an_address_or_a_network(address: str, client: str) -> None:
    assert client_of(address) == client


def test_a_warning_is_logged_once_a_minute_with_the_number_left_out(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    quiet = Quiet(lambda: now[0])
    for now[0] in (0.0, 1.0, 59.0, 61.0, 62.0):
        quiet.warn("a", "full")
    quiet.warn("b", "other")
    assert [record.getMessage() for record in caplog.records] == [
        "full",
        "full (2 more like it since the last line)",
        "other",
    ]

"""Limits: who is let in, how much is read, what waits, and what happens when a client leaves or the engine fails."""

import contextlib
import time
from collections.abc import Callable

import httpx
import pytest
from openai import AuthenticationError, OpenAI, RateLimitError

from lilliput.base.errors import ModelError
from lilliput.decoding.engine import Engine
from lilliput.server.served import Served
from tests.server.conftest import Address, serving

PATIENCE = 20.0  # seconds
LONG = {"prompt": "One day", "max_tokens": 90, "temperature": 0}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def figure(server: Address, name: str) -> float:
    """One line of /metrics."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def texts(server: Address, state: str) -> float:
    return figure(server, f'lilliput_texts{{model="forwards",state="{state}"}}')


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines that take their time, so that texts are under way while a test looks."""
    step = Engine.step

    def slowly(self: Engine) -> list:
        time.sleep(0.02)
        return step(self)

    monkeypatch.setattr(Engine, "step", slowly)


def test_a_full_queue_answers_429(models: dict[str, Served], slow: None) -> None:
    with serving(models["forwards"], slots=1, queue=1) as server:
        stream = server.client.completions.create(model="forwards", **LONG, n=2, stream=True)
        next(stream)
        with pytest.raises(RateLimitError, match="2 texts run or wait, and 1 more do not fit") as full:
            server.client.completions.create(model="forwards", **LONG)
        assert full.value.code == "queue_full"
        assert full.value.response.headers["Retry-After"] == "1"
        stream.close()
        wait_for(lambda: texts(server, "running") + texts(server, "waiting") == 0)
        assert server.client.completions.create(model="forwards", prompt="x", max_tokens=2).usage


def test_a_client_that_leaves_a_stream_frees_its_slot(models: dict[str, Served], slow: None) -> None:
    with serving(models["forwards"], slots=2, queue=0) as server:
        stream = server.client.completions.create(model="forwards", **LONG, n=2, stream=True)
        next(stream)
        assert texts(server, "running") == 2
        stream.close()
        wait_for(lambda: texts(server, "running") == 0)
        assert figure(server, 'lilliput_tokens_total{kind="completion"') < 2 * 60


@pytest.mark.parametrize("body", [LONG, {**LONG, "stream": True}], ids=["whole", "stream"])
def test_a_client_that_leaves_while_it_waits_frees_its_place(models: dict[str, Served], slow: None, body: dict) -> None:
    with serving(models["forwards"], slots=1, queue=1) as server:
        stream = server.client.completions.create(model="forwards", **LONG, stream=True)
        next(stream)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/v1/completions", json=body, timeout=0.2)
        wait_for(lambda: texts(server, "waiting") == 0)
        assert texts(server, "running") == 1
        stream.close()


def test_a_stop_string_frees_the_slot(server: Address) -> None:
    letters = [chr(n) for n in range(97, 113)]
    answer = httpx.post(f"{server.url}/v1/completions", json={**LONG, "stop": letters}).json()
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] < LONG["max_tokens"]
    wait_for(lambda: texts(server, "running") == 0)


def test_an_engine_that_fails_reports_it_and_goes_on(
    models: dict[str, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    step, failures = Engine.step, [True]

    def fails_once(self: Engine) -> list:
        if failures and self.running:
            failures.pop()
            raise ModelError("the model's logits are not finite")
        return step(self)

    monkeypatch.setattr(Engine, "step", fails_once)
    with serving(models["forwards"], slots=2, queue=4) as server:
        failed = httpx.post(f"{server.url}/v1/completions", json={**LONG, "n": 3})
        assert failed.status_code == 500
        assert failed.json()["error"] == {
            "message": "the model's logits are not finite",
            "type": "server_error",
            "param": None,
            "code": None,
        }
        assert httpx.post(f"{server.url}/v1/completions", json={**LONG, "n": 6}).status_code == 200
        failures.append(True)
        with httpx.stream("POST", f"{server.url}/v1/completions", json={**LONG, "stream": True}) as response:
            lines = [line for line in response.iter_lines() if line]
        assert "not finite" in lines[-1]
        assert "[DONE]" not in "".join(lines)


def test_a_server_that_is_stopped_ends_its_streams(models: dict[str, Served], slow: None) -> None:
    with contextlib.ExitStack() as stack:
        with serving(models["forwards"], slots=1, queue=1) as server:
            response = stack.enter_context(
                httpx.stream("POST", f"{server.url}/v1/completions", json={**LONG, "stream": True})
            )
            lines = response.iter_lines()
            next(lines)
        assert "the server is being stopped" in list(lines)[-2]


def test_a_key_is_asked_for(models: dict[str, Served]) -> None:
    with serving(models["forwards"], api_key="s3cret") as server:
        with pytest.raises(AuthenticationError, match="API key is missing or wrong"):
            server.client.models.list()
        with OpenAI(base_url=f"{server.url}/v1", api_key="s3cret", max_retries=0) as client:
            assert [model.id for model in client.models.list()] == ["forwards"]
        assert httpx.get(f"{server.url}/metrics").status_code == 401
        assert httpx.get(f"{server.url}/page/page.js").status_code == 200
        assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer schlüssel", 200),
        ("bearer schlüssel", 200),
        ("BEARER   schlüssel", 200),
        ("schlüssel", 401),
        ("Basic schlüssel", 401),
        ("Bearer", 401),
        ("Bearerschlüssel", 401),
        ("Bearer schlüssel2", 401),
    ],
)
def test_the_scheme_is_spelled_in_any_case(models: dict[str, Served], header: str, status: int) -> None:
    with serving(models["forwards"], api_key="schlüssel") as server:
        answer = httpx.get(f"{server.url}/v1/models", headers=[(b"Authorization", header.encode())])
        assert answer.status_code == status


def test_another_host_name_is_refused(server: Address) -> None:
    for host, status in (
        ("localhost:8000", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
    ):
        answer = httpx.get(f"{server.url}/v1/models", headers={"Host": host})
        assert answer.status_code == status
    assert "not to '127.0.0.1.evil.example'" in answer.json()["error"]["message"]


def test_a_form_of_another_page_is_refused(server: Address) -> None:
    answer = httpx.post(
        f"{server.url}/v1/completions", content='{"prompt": "x"}', headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_large_body_is_refused_before_it_is_read(models: dict[str, Served]) -> None:
    with serving(models["forwards"], body_bytes=1000) as server:
        url, large = f"{server.url}/v1/completions", b'{"prompt": "' + b"x" * 2000 + b'"}'
        kind = {"Content-Type": "application/json"}
        declared = httpx.post(url, content=large, headers=kind)
        grown = httpx.post(url, content=(large[i : i + 100] for i in range(0, len(large), 100)), headers=kind)
        for answer in (declared, grown):
            assert answer.status_code == 413
            assert "this server reads 1,000" in answer.json()["error"]["message"]
        assert httpx.post(url, content=b'{"prompt": "x"}', headers=kind).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"prompt": "\\ud800"}',
        b'{"\\ud800": 1}',
        b"[" * 100_000,
        b'{"seed": 1' + b"0" * 5000 + b"}",
    ],
    ids=["empty", "cut", "list", "null", "half character", "half key", "deep", "huge number"],
)
def test_what_is_not_a_request_gets_400(server: Address, content: bytes) -> None:
    answer = httpx.post(f"{server.url}/v1/completions", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_unknown_paths_have_the_same_shape_of_error(server: Address) -> None:
    answer = httpx.get(f"{server.url}/v1/nothing")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")
    assert httpx.get(f"{server.url}/v1/completions").status_code == 405


def get_from(server: Address, source: str, **body: object) -> httpx.Response:
    """The answer to a request from the address `source`, one of this machine's."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=source), timeout=PATIENCE) as client:
        return client.post(f"{server.url}/v1/completions", json={**LONG, "max_tokens": 2, **body})


def test_a_small_request_is_not_behind_large_ones(models: dict[str, Served], slow: None) -> None:
    """It is answered while the two that came first, which fill slots and queue, are far from their end."""
    with serving(models["forwards"], slots=4, queue=100) as server:
        large = [server.client.completions.create(model="forwards", **LONG, n=40, stream=True) for _ in range(2)]
        for stream in large:
            next(stream)
        assert get_from(server, "127.0.0.1").status_code == 200
        assert texts(server, "waiting") + texts(server, "running") > 70
        for stream in large:
            stream.close()


def test_one_client_does_not_keep_others_out_of_the_queue(models: dict[str, Served], slow: None) -> None:
    with serving(models["forwards"], slots=2, queue=14) as server:
        stream = server.client.completions.create(model="forwards", **LONG, n=16, stream=True)
        next(stream)
        assert get_from(server, "127.0.0.1").status_code == 429
        assert get_from(server, "127.0.0.2", n=2).status_code == 200
        assert get_from(server, "127.0.0.2", n=3).status_code == 429  # more than the two places that are kept
        stream.close()

"""Judge: a model behind any OpenAI-compatible endpoint. Each question is sent once, and its answer is cached."""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib import error, parse, request

from lilliput.base.cache import close_to_others, private_folder, usable
from lilliput.base.damage import read_kept, write_sealed
from lilliput.base.errors import LilliputError
from lilliput.base.reading import from_json

KEYS = ("LILLIPUT_JUDGE_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the endpoint's key."""
TRIES = 4
AGAIN = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP status codes after which a retry may help."""

Message = dict[str, str]
T = TypeVar("T")


class JudgeError(LilliputError):
    """A judge that cannot be reached, or whose answers do not have the requested form."""


class Judge:
    """Chat completions of `model` at `base_url` (such as 'http://127.0.0.1:8000/v1'). The key comes from the
    environment and is sent only to this address; without a key, no key is sent.

    Answers are cached by a hash of the whole question (endpoint, model, messages, temperature, number of the sample),
    so that a table can be made again without cost. `asked` counts the questions that were sent."""

    def __init__(self, base_url: str, model: str, temperature: float = 0.0, timeout: float = 120.0, pause: float = 1.0):
        parts = parse.urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise JudgeError(
                f"'{base_url}' is not the address of a judge", "give an address such as http://127.0.0.1:8000/v1"
            )
        self.base_url, self.model = base_url.rstrip("/"), model
        self.temperature, self.timeout, self.pause = temperature, timeout, pause
        self.asked = 0
        # Requests to a server on this machine must not go through a proxy that the environment names.
        handlers = [request.ProxyHandler({})] if _loopback(parts.hostname) else []
        self._opener = request.build_opener(*handlers)

    def ask(self, messages: Sequence[Message], read: Callable[[str], T], sample: int = 0) -> T:
        """Ask for an answer, and return `read(answer)`. Where `read` raises ValueError, the question is sent again, at
        most twice. Only answers that `read` accepts are cached. `sample` numbers several answers to the same question.
        Raises JudgeError."""
        question = {"model": self.model, "messages": list(messages), "temperature": self.temperature}
        file = private_folder("judge") / f"{self._key(question, sample)}.json"
        if usable(file):
            with suppress(OSError, ValueError, KeyError):  # the question of a damaged answer is sent again
                return read(read_kept(file)["answer"])
        reason = ""
        for _ in range(3):
            answer = self._send(question)
            try:
                found = read(answer)
            except ValueError as refused:
                reason = str(refused)
                continue
            with suppress(OSError):  # a cache that cannot be written only means asking again
                write_sealed(file, {"question": question, "answer": answer})
                close_to_others(file)
            return found
        raise JudgeError(
            f"the judge {self.model} does not answer in the requested form: {reason}", "try another model as judge"
        )

    def _key(self, question: dict[str, Any], sample: int) -> str:
        text = json.dumps([self.base_url, question, sample], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()

    def _send(self, question: dict[str, Any]) -> str:
        headers = {"Content-Type": "application/json"}
        key = next((os.environ[name] for name in KEYS if os.environ.get(name)), None)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        call = request.Request(f"{self.base_url}/chat/completions", json.dumps(question).encode(), headers)
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            self.asked += 1
            try:
                with self._opener.open(call, timeout=self.timeout) as reply:
                    return _content(reply.read())
            except error.HTTPError as refusal:
                body = refusal.read(300).decode(errors="replace")
                problem = f"HTTP {refusal.code}: {' '.join(body.split())}"
                if refusal.code not in AGAIN:
                    hint = f"set the key: export {KEYS[0]}=..." if refusal.code in (401, 403) else None
                    raise JudgeError(f"the judge at {self.base_url} refuses: {problem}", hint) from None
            except (OSError, http.client.HTTPException) as failure:
                problem = str(getattr(failure, "reason", failure)) or type(failure).__name__
        raise JudgeError(
            f"the judge at {self.base_url} cannot be reached ({TRIES} tries): {problem}",
            "check the address and that the server runs; without --judge, stories get offline proxies",
        )


def _content(reply: bytes) -> str:
    try:
        content = from_json(reply.decode())["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise JudgeError(
            f"the judge's reply is not a chat completion: {reply[:200].decode(errors='replace')}"
        ) from None
    return str(content or "")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""Judge: a model behind any OpenAI-compatible endpoint, asked once for each question and remembered."""

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
"""HTTP states after which asking again may help."""

Message = dict[str, str]
T = TypeVar("T")


class JudgeError(LilliputError):
    """A judge that cannot be reached or does not answer as it was asked to."""


class Judge:
    """Chat completions of `model` at `base_url` (as 'http://127.0.0.1:8000/v1'). The key comes from the environment and
    is sent nowhere else; without one, none is sent.

    Answers are kept in the cache by a hash of everything that was asked (endpoint, model, messages, temperature, number
    of the sample), so that a table can be made again for nothing. `asked` counts the questions that were sent.
    """

    def __init__(self, base_url: str, model: str, temperature: float = 0.0, timeout: float = 120.0, pause: float = 1.0):
        parts = parse.urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise JudgeError(f"'{base_url}' is no address of a judge", "give one such as http://127.0.0.1:8000/v1")
        self.base_url, self.model = base_url.rstrip("/"), model
        self.temperature, self.timeout, self.pause = temperature, timeout, pause
        self.asked = 0
        # A proxy of the environment must not be asked for this machine's own servers.
        handlers = [request.ProxyHandler({})] if _loopback(parts.hostname) else []
        self._opener = request.build_opener(*handlers)

    def ask(self, messages: Sequence[Message], read: Callable[[str], T], sample: int = 0) -> T:
        """What `read` makes of the answer. An answer that it refuses (ValueError) is asked for again, twice; only
        answers that it accepts are kept. `sample` tells apart several answers to one question. Raises JudgeError."""
        question = {"model": self.model, "messages": list(messages), "temperature": self.temperature}
        file = private_folder("judge") / f"{self._key(question, sample)}.json"
        if usable(file):
            with suppress(OSError, ValueError, KeyError):  # what is damaged is asked again
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
        raise JudgeError(f"the judge {self.model} does not answer as asked: {reason}", "try another model as judge")

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
                said = refusal.read(300).decode(errors="replace")
                problem = f"HTTP {refusal.code}: {' '.join(said.split())}"
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
        raise JudgeError(f"the judge's reply is no chat completion: {reply[:200].decode(errors='replace')}") from None
    return str(content or "")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

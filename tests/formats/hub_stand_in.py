"""A stand-in for the Hugging Face hub on a loopback port: repositories are folders of bytes in memory."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c0ffee" + "0" * 34


class StandIn:
    """`repos` are files by repository and name, `asked` every request's method and path; `refuse` answers all with
    that status."""

    def __init__(self, address: str):
        self.address = address
        self.repos: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.asked: list[tuple[str, str]] = []
        self.refuse: int | None = None


class Handler(BaseHTTPRequestHandler):
    hub: StandIn

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_GET

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0].strip("/")
        self.hub.asked.append((self.command, path))
        if self.hub.refuse:
            self._send(self.hub.refuse, {"error": "refused by the stand-in"})
        elif path == "api/repos/create":
            self._create(json.loads(body))
        elif path == "api/validate-yaml":
            self._send(200, {"errors": [], "warnings": []})
        elif path.startswith("api/models/"):
            user, name, *rest = path.removeprefix("api/models/").split("/")
            self._api(f"{user}/{name}", rest[:1], body)
        else:
            user, name, _, _, file = path.split("/", 4)
            self._file(self.hub.repos.get(f"{user}/{name}", {}).get(file))

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
        self.hub.repos.setdefault(name, {})
        self.hub.private[name] = bool(asked.get("private")) or asked.get("visibility") == "private"
        self._send(200, {"url": f"{self.hub.address}/{name}", "name": name, "id": name})

    def _api(self, repo: str, action: list[str], body: bytes) -> None:
        files = self.hub.repos.get(repo)
        if files is None:
            self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif action == ["preupload"]:
            asked = json.loads(body)["files"]
            self._send(
                200, {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked]}
            )
        elif action == ["commit"]:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"{self.hub.address}/{repo}/commit/{COMMIT}"
            self._send(200, {"success": True, "commitOid": COMMIT, "commitUrl": url})
        else:
            siblings = [{"rfilename": name} for name in files]
            self._send(200, {"id": repo, "sha": COMMIT, "siblings": siblings, "private": False})

    def _file(self, content: bytes | None) -> None:
        if content is None:
            self._send(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        self._write(200, content, headers)

    def _send(self, status: int, values: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._write(status, json.dumps(values).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _write(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub = StandIn(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = type("Bound", (Handler,), {"hub": hub})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

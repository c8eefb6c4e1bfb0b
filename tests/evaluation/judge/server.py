"""A judge on the loopback interface that answers as it is told to."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GOOD = {
    "rationale": "It is simple and clear.",
    "grammar": 8,
    "creativity": 6,
    "consistency": 7,
    "plot": 5,
    "instruction": 9,
    "age_group": "B: 4-5",
}


class Server:
    """Answers each request with the next of `answers` (the last one for ever): a text, or a number as HTTP status. A
    function is given the user's message. `requests` holds what came: (path, headers, body)."""

    def __init__(self, *answers):
        self.answers, self.requests = list(answers), []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((self.path, dict(self.headers), body))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                if callable(answer):
                    answer = answer(body["messages"][-1]["content"])
                status = answer if isinstance(answer, int) else 200
                text = json.dumps({"choices": [{"message": {"content": answer}}]}) if status == 200 else "no"
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *given):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

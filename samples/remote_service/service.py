"""A service that a company might already have: counts words, at once or later. Standard library only.

    WORDS_TOKEN=secret python samples/remote_service/service.py 8099

``POST /count`` answers at once; ``POST /count-later`` accepts, and ``GET /count-later/<id>`` has the answer a moment after.
The same ``Idempotency-Key`` is the same piece of work, however often it is sent.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_LATER_SECONDS = 0.3


class Words(BaseHTTPRequestHandler):
    """One request."""

    server: "Service"

    def do_POST(self) -> None:  # noqa: N802 - the base class's name
        """Count now, or take the order."""
        if not self._is_known():
            return
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        key = self.headers.get("Idempotency-Key", "")
        with self.server.lock:
            done = self.server.work.setdefault(key, (time.monotonic(), json.loads(raw)))
        if self.path == "/count-later":
            self._answer(202, {"state": "running"}, {"Location": f"/count-later/{key}", "Retry-After": "0.1"})
        else:
            self._answer(200, _count(done[1]))

    def do_GET(self) -> None:  # noqa: N802
        """The answer to an order, once it is there."""
        if not self._is_known():
            return
        began, asked = self.server.work.get(self.path.rpartition("/")[2], (0.0, None))
        if asked is None:
            self._answer(404, {"error": "no such order"})
        elif time.monotonic() - began < _LATER_SECONDS:
            self._answer(202, {"state": "running"}, {"Retry-After": "0.1"})
        else:
            self._answer(200, _count(asked))

    def _is_known(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {self.server.token}":
            return True
        self._answer(401, {"error": "no good token"})
        return False

    def _answer(self, status: int, body: dict[str, object], headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Service(ThreadingHTTPServer):
    """The service: its token, and the work it was given by idempotency key."""

    daemon_threads = True

    def __init__(self, port: int, token: str) -> None:
        super().__init__(("127.0.0.1", port), Words)
        self.token = token
        self.lock = threading.Lock()
        self.work: dict[str, tuple[float, dict[str, str]]] = {}


def _count(asked: dict[str, str]) -> dict[str, object]:
    words = str(asked.get("text", "")).split()
    return {"data": {"words": len(words), "longest": max(words, key=len, default="")}}


if __name__ == "__main__":
    Service(int(sys.argv[1]), os.environ["WORDS_TOKEN"]).serve_forever()

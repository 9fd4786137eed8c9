"""A webhook receiver for one check: stores messages, and verifies them with the endpoint's secret."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from threading import Thread
from time import monotonic
from typing import Self
from urllib.parse import urlsplit

from waybill.client import WebhookMessage, WebhookRejected, WebhookVerifier

_BODY_MAX_BYTES = 1024 * 1024


class Receiver:
    """Listens on every address of this machine, at the port of `url`, while it is open."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._received: Queue[tuple[dict[str, str], bytes]] = Queue(maxsize=1000)
        received = self._received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), _BODY_MAX_BYTES)
                received.put((dict(self.headers), self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing: the check reports."""

        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._server = ThreadingHTTPServer(("", port), Handler)

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, name="receiver", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, job_id: str, secret: str, timeout_seconds: float) -> WebhookMessage | None:
        """The first message about that job with a valid signature; None when none comes in time."""
        verifier = WebhookVerifier(secret)
        deadline = monotonic() + timeout_seconds
        while (left := deadline - monotonic()) > 0:
            try:
                headers, body = self._received.get(timeout=left)
                message = verifier.verify(body, headers)
            except Empty:
                return None
            except WebhookRejected:
                continue
            if job_id in body.decode(errors="replace"):
                return message
        return None

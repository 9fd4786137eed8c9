"""A receiver of webhooks: a real HTTP or HTTPS server that keeps what it was sent and answers as a script says."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_CLOSE_WITH_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer `status` with `headers`; `resets`: break the connection off in the middle of the body."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """Say nothing until the receiver is released or closed."""


@dataclass(frozen=True, slots=True)
class Drip:
    """Send the head of an answer byte by byte, one every `pause_seconds`, until the client has had enough."""

    pause_seconds: float = 0.1


Script = Reply | Silence | Drip
OK = Reply()


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The message's id."""
        return self.headers["webhook-id"]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, or dislikes the certificate, is part of the test."""


class WebhookReceiver:
    """Serves on a free port of the loopback. Each request takes the next script; the last one stays."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.most_at_once = 0
        self._at_once = 0
        self._scripts: list[Script] = list(scripts) or [OK]
        self._tls = tls
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server: _Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook"

    def script(self, *scripts: Script) -> None:
        """Answer so from now on."""
        with self._lock:
            self._scripts = list(scripts)

    def release(self) -> None:
        """Let every silent answer go on."""
        self._released.set()

    def go_down(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def come_up(self) -> None:
        """Listen, on the same port as before."""
        server = _Server(("127.0.0.1", self.port), _handler(self), bind_and_activate=True)
        if self._tls is not None:
            server.socket = self._tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = server.server_address[1]
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.02,), name="webhook-receiver", daemon=True).start()

    def __enter__(self) -> Self:
        self.come_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self.go_down()

    def take(self, request: Received) -> Script:
        """Keep `request`; returns what to answer."""
        with self._lock:
            self.received.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            return self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]

    def leave(self) -> None:
        """A request has ended."""
        with self._lock:
            self._at_once -= 1

    def wait_released(self) -> None:
        """Wait for `release`."""
        self._released.wait()


def _handler(receiver: WebhookReceiver) -> Callable[..., BaseHTTPRequestHandler]:  # noqa: C901 - every way to answer
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            if len(body) < length:
                # The sender was killed in the middle of it: as a server would, this hears of no request.
                self.close_connection = True
                return
            script = receiver.take(Received(self.path, headers, body))
            try:
                with suppress(OSError):
                    self._answer(script)
            finally:
                receiver.leave()

        def _answer(self, script: Script) -> None:
            self.close_connection = True
            if isinstance(script, Drip):
                threading.Event().wait(script.pause_seconds)
                for byte in b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 10_000:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    threading.Event().wait(script.pause_seconds)
                return
            if isinstance(script, Silence):
                receiver.wait_released()
                return
            body = b"what a receiver says is nobody's business"
            self.send_response(script.status)
            for name, value in script.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body) * (2 if script.resets else 1)))
            self.end_headers()
            self.wfile.write(body)
            if script.resets:
                self.wfile.flush()
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_WITH_RESET)
                self.connection.close()

        def do_GET(self) -> None:
            """Where a redirect would have led."""
            receiver.take(Received(self.path, {}, b""))
            receiver.leave()
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler

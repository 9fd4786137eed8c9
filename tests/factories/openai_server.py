"""A server that speaks the chat-completions wire format over a real socket, from a script.

    with OpenAIServer(Answer("Hello", " world")) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="secret", max_retries=0)

Each request takes the next script; the last one stays. What was asked, and whether the client hung up, is recorded.
"""

import json
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An answer with an error status, in OpenAI's error format."""

    status: int
    message: str = "scripted failure"
    code: str | None = None
    param: str | None = None
    retry_after: str | None = None


class Answer:
    """A streamed answer.

    `usage` is (prompt tokens, completion tokens), or None for a server that reports none. `cut_after_bytes` closes the
    connection after that many bytes of the body. `malformed_after` sends, after that many deltas, `malformed` as an
    event. `error_after` sends an error object in the same place.
    """

    def __init__(
        self,
        *deltas: str,
        usage: tuple[int, int] | None = (11, 7),
        finish_reason: str | None = "stop",
        first_token_seconds: float = 0.0,
        delta_seconds: float = 0.0,
        cut_after_bytes: int | None = None,
        malformed_after: int | None = None,
        malformed: str = "{not json",
        error_after: int | None = None,
    ) -> None:
        self.deltas = deltas
        self.usage = usage
        self.finish_reason = finish_reason
        self.first_token_seconds = first_token_seconds
        self.delta_seconds = delta_seconds
        self.cut_after_bytes = cut_after_bytes
        self.malformed_after = malformed_after
        self.malformed = malformed
        self.error_after = error_after


Script = Answer | Failure


@dataclass
class Recorded:
    """One request as it came in. `client_closed` is set when the client hung up before the answer was complete."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    finished: threading.Event = field(default_factory=threading.Event)
    client_closed: bool = False
    deltas_sent: int = 0


class _ClientGone(Exception):
    pass


class OpenAIServer:
    """Serves on a free port of the loopback interface, from entering the ``with`` block to leaving it."""

    def __init__(self, *scripts: Script) -> None:
        self.requests: list[Recorded] = []
        self._scripts: Sequence[Script] = scripts or (Answer("ok"),)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                _Exchange(outer, self).run()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Keep the test output quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def base_url(self) -> str:
        """What to give a client; ends in ``/v1``."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, recorded: Recorded) -> Script:
        """Note a request; returns the script to follow."""
        with self._lock:
            self.requests.append(recorded)
            return self._scripts[min(len(self.requests), len(self._scripts)) - 1]

    def pause(self, seconds: float, client: socket.socket) -> None:
        """Wait, but notice within 20 ms that the client hung up or that the server is being stopped."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            readable, _, _ = select.select([client], [], [], min(left, 0.02))
            if (readable and not client.recv(1, socket.MSG_PEEK)) or self._stopping.is_set():
                raise _ClientGone


class _Exchange:
    """One request and its answer."""

    def __init__(self, server: OpenAIServer, handler: BaseHTTPRequestHandler) -> None:
        self._server = server
        self._handler = handler
        self._left: int | None = None

    def run(self) -> None:
        handler = self._handler
        raw = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        recorded = Recorded(handler.path, dict(handler.headers.items()), json.loads(raw))
        script = self._server.take(recorded)
        try:
            if handler.path != "/v1/chat/completions":
                self._fail(Failure(status=404, message="unknown path"))
            elif isinstance(script, Failure):
                self._fail(script)
            elif recorded.body.get("stream"):
                self._stream(script, recorded)
            else:
                self._whole(script, recorded)
        except (_ClientGone, BrokenPipeError, ConnectionResetError):
            recorded.client_closed = True
            handler.close_connection = True
        finally:
            recorded.finished.set()

    def _fail(self, failure: Failure) -> None:
        error = {"message": failure.message, "type": "error", "code": failure.code, "param": failure.param}
        headers = {"Retry-After": failure.retry_after} if failure.retry_after is not None else {}
        self._send(failure.status, {"error": error}, headers)

    def _whole(self, answer: Answer, recorded: Recorded) -> None:
        self._server.pause(answer.first_token_seconds, self._handler.connection)
        message = {"role": "assistant", "content": "".join(answer.deltas)}
        body = _envelope(recorded, "chat.completion") | {
            "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        }
        if answer.usage is not None:
            body["usage"] = _usage(answer.usage)
        self._send(200, body, {})

    def _send(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        raw = json.dumps(body).encode()
        self._handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        self._handler.wfile.write(raw)

    def _stream(self, answer: Answer, recorded: Recorded) -> None:
        handler = self._handler
        self._left = answer.cut_after_bytes
        self._server.pause(answer.first_token_seconds, handler.connection)
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for event, deltas in _events(answer, recorded):
            if not self._write_event(event):
                handler.close_connection = True
                return
            recorded.deltas_sent += deltas
            self._server.pause(answer.delta_seconds, handler.connection)
        handler.wfile.write(b"0\r\n\r\n")

    def _write_event(self, event: str) -> bool:
        """Send one event as one HTTP chunk; False when the script wants the connection cut inside it."""
        raw = f"data: {event}\n\n".encode()
        if self._left is not None:
            raw, whole = raw[: self._left], len(raw) <= self._left
            self._left -= len(raw)
        else:
            whole = True
        if raw:
            self._handler.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
            self._handler.wfile.flush()
        return whole


def _events(answer: Answer, recorded: Recorded) -> Iterator[tuple[str, int]]:
    """The events of an answer, each with the number of deltas it holds."""

    def chunk(delta: Mapping[str, Any], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return json.dumps(_envelope(recorded, "chat.completion.chunk") | {"choices": [choice]})

    yield chunk({"role": "assistant", "content": ""}), 0
    for number, text in enumerate(answer.deltas):
        if number == answer.malformed_after:
            yield answer.malformed, 0
        if number == answer.error_after:
            yield json.dumps({"error": {"message": "overloaded", "code": "server_error"}}), 0
        yield chunk({"content": text}), 1
    if answer.finish_reason is not None:
        yield chunk({}, answer.finish_reason), 0
    asked = (recorded.body.get("stream_options") or {}).get("include_usage")
    if answer.usage is not None and asked:
        tail = _envelope(recorded, "chat.completion.chunk") | {"choices": [], "usage": _usage(answer.usage)}
        yield json.dumps(tail), 0
    yield "[DONE]", 0


def _envelope(recorded: Recorded, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1700000000, "model": recorded.body.get("model", "")}


def _usage(tokens: tuple[int, int]) -> dict[str, int]:
    return {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}

"""HTTP/1.1, as much of it as a provider's client speaks: one request at a time, keep-alive, chunked answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http.client import responses
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One request whose body has arrived."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """One client. `answer` runs as a task and is cancelled at the moment the client hangs up."""

    def __init__(self, answer: Callable[["Connection", Request], Awaitable[None]], opened: set["Connection"]) -> None:
        self._answer = answer
        self._opened = opened
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._opened.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came in; a client that asks again before it was answered waits its turn."""
        self._buffer += data
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class's name
        """The client hung up, or we did."""
        self._opened.discard(self)
        self._transport = None
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        self._room.clear()

    def resume_writing(self) -> None:
        """The client caught up."""
        self._room.set()

    async def write(self, raw: bytes) -> None:
        """Send bytes. Returns once the operating system took most of them."""
        if self._transport is not None:
            self._transport.write(raw)
        await self._room.wait()

    async def write_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status line and the headers."""
        reason = responses.get(status, "Unknown")
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
        await self.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def write_json(self, status: int, body: Any, headers: Mapping[str, str]) -> None:
        """Send a whole answer."""
        raw = json.dumps(body).encode()
        fields = {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}
        await self.write_head(status, fields)
        await self.write(raw)

    async def write_chunk(self, raw: bytes) -> None:
        """Send one chunk of a chunked answer; an empty one ends it."""
        await self.write(b"%x\r\n%s\r\n" % (len(raw), raw))

    def hang_up(self) -> None:
        """Close the connection after what was written is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        if self._task is not None:
            return
        request = self._take()
        if request is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(request))

    async def _run(self, request: Request) -> None:
        await self._answer(self, request)
        self._task = None
        self._advance()

    def _take(self) -> Request | None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = _Headers(line.split(":", 1) for line in lines)
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        method, target, _ = first.split(" ", 2)
        path, _, query = target.partition("?")
        return Request(method, path, query, headers, rest[:length])


class _Headers(dict[str, str]):
    """Header fields by name, whatever its case."""

    def __init__(self, pairs: Any) -> None:
        super().__init__((name.strip().lower(), value.strip()) for name, value in pairs)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)

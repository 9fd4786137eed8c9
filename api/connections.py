"""Limits what a connection may hold and cost before its client is authenticated.

uvicorn sets no such limits for httptools: its ``h11_max_incomplete_event_size`` belongs to the other parser, and the
keep-alive timeout starts with the first response. Here a protocol counts what the parser reports, and a register of all
connections decides which ones are admitted.
"""

import resource
from asyncio import BaseTransport, TimerHandle
from collections import Counter, OrderedDict
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.problem import render
from api.proxies import TrustedProxies
from core.kit.errors import WaybillError
from core.kit.logging import get_logger
from core.kit.settings import Settings

HEADERS_MAX = 100
TARGET_MAX_BYTES = 16 * 1024
# Per header, in addition to name and value: the colon, the blank and the end of the line.
_HEADER_EXTRA_BYTES = 4
# Requests that a client may pipeline.
_PIPELINED_MAX = 64
# A refused client is read this far, so that it sees the reason instead of a broken connection.
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 1024 * 1024
# A body that is no longer read may still arrive for this long after the response.
_UNREAD_BODY_SECONDS = 5.0
# Files and connections of the process itself.
_OWN_FILES = 256
_log = get_logger(__name__)


class HeadersTooLarge(WaybillError):
    """The head of the request is over a limit."""

    status, title, default_code = 431, "Request header fields too large", "headers_too_large"


class TargetTooLong(WaybillError):
    """The path and query of the request are over the limit."""

    status, title, default_code = 414, "URI too long", "target_too_long"


class HeadTimeout(WaybillError):
    """The head of the request did not arrive in time."""

    status, title, default_code = 408, "Request timeout", "request_timeout"


class TooManyConnections(WaybillError):
    """The maximum number of connections is reached, for one address or in total."""

    status, title, default_code = 503, "Service unavailable", "too_many_connections"


class Connections:
    """The connections of one server, and which of them wait for a request, longest waiting first.

    When there is no room, a new connection replaces the one that has waited longest, so idle clients lock no one out.
    """

    def __init__(self, settings: Settings) -> None:
        self.head_max_bytes = settings.api_head_max_bytes
        self.head_seconds = settings.api_head_seconds
        self._max = min(settings.api_connections_max, _file_limit())
        self._per_address = settings.api_connections_per_address
        self._proxies = TrustedProxies(settings.api_trusted_proxies)
        self._by_address: Counter[str] = Counter()
        self._open: dict[BoundedProtocol, str | None] = {}
        self._waiting: OrderedDict[BoundedProtocol, None] = OrderedDict()

    def admit(self, connection: "BoundedProtocol", host: str | None) -> None:
        """Add `connection`. Raises `TooManyConnections`."""
        address = None if host is None else self._proxies.of_host(host)
        if address is not None and 0 < self._per_address <= self._by_address[address]:
            raise TooManyConnections(
                f"this address has {self._per_address} open connections, which is the maximum",
                retry_after_seconds=1,
            )
        if len(self._open) >= self._max:
            if not self._waiting:
                raise TooManyConnections("all connections of this server are in use", retry_after_seconds=1)
            longest, _ = self._waiting.popitem(last=False)
            self.release(longest)
            longest.transport.abort()
        self._open[connection] = address
        if address is not None:
            self._by_address[address] += 1
        self._waiting[connection] = None

    def set_busy(self, connection: "BoundedProtocol") -> None:
        """Mark a request as in progress."""
        self._waiting.pop(connection, None)

    def set_waiting(self, connection: "BoundedProtocol") -> None:
        """Mark the connection as waiting for a request."""
        if connection in self._open:
            self._waiting[connection] = None
            self._waiting.move_to_end(connection)

    def release(self, connection: "BoundedProtocol") -> None:
        """Remove `connection`, if it was admitted."""
        self._waiting.pop(connection, None)
        address = self._open.pop(connection, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Counts each parser callback, then does what uvicorn does."""

    def __init__(self, connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._register = connections
        self._refusal: WaybillError | None = None
        self._timer: TimerHandle | None = None
        self._is_head_complete = False
        self._is_body_complete = True
        self._head_bytes = 0
        # Bytes since the parser last reported something: the size of the data that it has not reported yet.
        self._hidden_bytes = 0
        self._dropped_bytes = 0

    def connection_made(self, transport: BaseTransport) -> None:
        """Register the connection, and wait for its first request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        try:
            self._register.admit(self, self.client[0] if self.client else None)
        except TooManyConnections as refusal:
            self._refuse(refusal)
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release its slot."""
        self._stop_timer()
        self._register.release(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse `data`, as long as the connection stays within its limits."""
        if self._refusal is not None:
            self._dropped_bytes += len(data)
            if self._dropped_bytes > _LINGER_BYTES:
                self.transport.abort()
            return
        self._hidden_bytes += len(data)
        super().data_received(data)
        if self._hidden_bytes > self._register.head_max_bytes:
            self._refuse(self._too_large())
        elif not self._is_head_complete and self._is_idle and not self.transport.is_closing():
            self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Respond to a parser error: with the limit that was exceeded, or as the parser reports it."""
        if self._refusal is None:
            super().send_400_response(msg)
        else:
            self._refuse(self._refusal)

    def on_message_begin(self) -> None:
        """Count a request's head from zero."""
        self._hidden_bytes = self._head_bytes = 0
        self._is_head_complete = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count a piece of the target."""
        self._count(len(url))
        if self._head_bytes > TARGET_MAX_BYTES:
            self._give_up(TargetTooLong(f"the path and query are longer than {TARGET_MAX_BYTES} bytes"))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header, or a trailer behind the body."""
        self._count(len(name) + len(value) + _HEADER_EXTRA_BYTES)
        if self._head_bytes > self._register.head_max_bytes or len(self.headers) >= HEADERS_MAX:
            self._give_up(self._too_large())
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start serving the request."""
        self._count(0)
        if len(self.pipeline) >= _PIPELINED_MAX:
            self._give_up(HeadersTooLarge(f"more than {_PIPELINED_MAX} requests were sent before their responses"))
        self._stop_timer()
        self._is_head_complete, self._is_body_complete = True, False
        self._register.set_busy(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the body. The route limits how much of it is read."""
        self._count(0)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect the next request."""
        self._count(0)
        self._is_head_complete, self._is_body_complete = False, True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Continue with the next request, or wait for one."""
        super().on_response_complete()
        if not self._is_idle or self.transport.is_closing():
            return
        self._register.set_waiting(self)
        if not self._is_body_complete:
            self._start_timer(_UNREAD_BODY_SECONDS, self._close_unread)

    @property
    def _is_idle(self) -> bool:
        """Whether no request is under way."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _count(self, size_bytes: int) -> None:
        self._hidden_bytes = 0
        self._head_bytes += size_bytes

    def _too_large(self) -> HeadersTooLarge:
        return HeadersTooLarge(
            f"the head of the request is larger than {self._register.head_max_bytes} bytes or {HEADERS_MAX} headers"
        )

    def _give_up(self, refusal: WaybillError) -> None:
        """Stop the parser from within one of its callbacks; it then asks for `send_400_response`."""
        self._refusal = refusal
        raise refusal

    def _await_head(self) -> None:
        if self._timer is None:
            self._start_timer(self._register.head_seconds, self._time_out)

    def _start_timer(self, seconds: float, then: Any) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._timer = None
        if not (self._head_bytes or self._hidden_bytes):
            self.transport.close()
            return
        self._refuse(HeadTimeout(f"no request arrived within {self._register.head_seconds:g} seconds"))

    def _close_unread(self) -> None:
        self._timer = None
        if not self._is_body_complete:
            self.transport.close()

    def _refuse(self, refusal: WaybillError) -> None:
        """Respond once and close: immediately without a request, otherwise when the client has read the response."""
        self._refusal = refusal
        self._stop_timer()
        self._unset_keepalive_if_required()
        _log.info("connection_refused", code=refusal.code)
        if not self._is_idle:
            # A response is being sent, and nothing may be written into it.
            self.transport.close()
            return
        answer = render(refusal)
        lines = [b"%s: %s\r\n" % header for header in answer.raw_headers]
        self.transport.write(b"".join((STATUS_LINE[refusal.status], *lines, b"connection: close\r\n\r\n", answer.body)))
        if self._head_bytes or self._hidden_bytes:
            self.transport.write_eof()
            self._start_timer(_LINGER_SECONDS, self.transport.abort)
        else:
            self.transport.close()


def _file_limit() -> int:
    """Connections that the process may hold.

    Half of its file descriptors, because many may be accepted before one is checked.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (files - _OWN_FILES) // 2)


def raise_file_limit() -> None:
    """Let this process open as many files as it is allowed to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

"""An HTTP client whose calls can be interrupted: it runs a check at each read, and ten times a second while waiting.

Another thread cannot wake a blocking read without closing the socket under it. So no read blocks for long: it is cut
into slices, and the caller's `check` is called between them, in the caller's own thread. An exception from `check`
passes through the client like any interruption and closes the connection on its way. An event loop in its own thread
could do the same, but costs a call two thread switches per chunk.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import ModuleType
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from core.gateway.error_pages import ENCODINGS, cut_errors
from core.kit.names import NamedBackend, install
from core.kit.trust import authorities

if TYPE_CHECKING:
    import httpx2

_ASK_EVERY_SECONDS = 0.1
_CONNECT_SECONDS = 5.0
# The limits decide how many calls may run at once.
_IDLE_CONNECTIONS_MAX = 64
_waiting = threading.local()


@contextmanager
def interruptible(check: Callable[[], None]) -> Iterator[None]:
    """While the block runs, every read of this thread's requests calls `check`, which may raise to interrupt it."""
    before = getattr(_waiting, "check", None)
    _waiting.check = check
    try:
        yield
    finally:
        _waiting.check = before


def open_client(timeout_seconds: float) -> httpx.Client:
    """A client with bounded waits and no redirects. Connecting, up to five seconds an address, runs no check."""
    client = httpx.Client(
        timeout=httpx.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds)),
        verify=authorities(by_environment=True),
        # A redirect would carry the key and the prompt to a host that no one configured.
        follow_redirects=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=_IDLE_CONNECTIONS_MAX),
        headers={"Accept-Encoding": ENCODINGS},
        event_hooks={"response": [cut_errors(httpx)]},
    )
    _make_interruptible(client, httpcore)
    return client


def open_client2(timeout_seconds: float) -> "httpx2.Client":
    """`open_client` of httpx's successor, for SDKs that have moved to it."""
    import httpcore2
    import httpx2

    client = httpx2.Client(
        timeout=httpx2.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds)),
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=_IDLE_CONNECTIONS_MAX),
        headers={"Accept-Encoding": ENCODINGS},
        event_hooks={"response": [cut_errors(httpx2)]},
    )
    _make_interruptible(client, httpcore2)
    return client


def _make_interruptible(client: "httpx.Client | httpx2.Client", core: ModuleType) -> None:
    install(client, _Backend(core, _check))


def _check() -> None:
    check: Callable[[], None] | None = getattr(_waiting, "check", None)
    if check is not None:
        check()


class _Backend(NamedBackend):
    """A `NetworkBackend` whose streams run the check."""

    def connect_tcp(self, *arguments: Any, **named: Any) -> "_Stream":
        """A stream to the host."""
        return _Stream(super().connect_tcp(*arguments, **named), self._core.ReadTimeout)

    def connect_unix_socket(self, *arguments: Any, **named: Any) -> "_Stream":
        """A stream to a socket of this machine."""
        return _Stream(super().connect_unix_socket(*arguments, **named), self._core.ReadTimeout)


class _Stream:
    """A `NetworkStream` whose reads run the check."""

    def __init__(self, inner: Any, timed_out: type[Exception]) -> None:
        self._inner = inner
        self._timed_out = timed_out

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        check: Callable[[], None] | None = getattr(_waiting, "check", None)
        if check is None:
            return bytes(self._inner.read(max_bytes, timeout))
        until = None if timeout is None else monotonic() + timeout
        # An answer may arrive without a pause and with nothing to show: reasoning, keepalives.
        check()
        while True:
            left = _ASK_EVERY_SECONDS if until is None else min(_ASK_EVERY_SECONDS, until - monotonic())
            try:
                # With a timeout of zero the socket would not block, and would fail differently.
                return bytes(self._inner.read(max_bytes, max(left, 0.001)))
            except self._timed_out:
                if until is not None and monotonic() >= until:
                    raise
            check()

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> "_Stream":
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._timed_out)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

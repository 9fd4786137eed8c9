"""An HTTP client whose calls can be ended from inside: it asks at each read, and ten times a second, whether to go on.

A blocking read cannot be woken by another thread without closing the socket under it. So no read blocks for long: it
is cut into slices, and between two of them the caller's `check` is called, in the caller's own thread. What `check`
raises passes through the client as any interruption would, and closes the connection on its way. An event loop in a
thread of its own can do the same and costs a call two thread switches for every chunk.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import ModuleType
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

if TYPE_CHECKING:
    import httpx2

_ASK_EVERY_SECONDS = 0.1
_CONNECT_SECONDS = 5.0
# How many calls may run at once is the limits' business.
_KEPT_CONNECTIONS = 64
_waiting = threading.local()


@contextmanager
def asking(check: Callable[[], None]) -> Iterator[None]:
    """While the block runs, every read of this thread's requests asks `check` whether to go on."""
    before = getattr(_waiting, "check", None)
    _waiting.check = check
    try:
        yield
    finally:
        _waiting.check = before


def open_client(timeout_seconds: float) -> httpx.Client:
    """A client with bounded waits and no redirects. Connecting, up to five seconds, is the wait that asks nobody."""
    client = httpx.Client(
        timeout=httpx.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds)),
        # A redirect would carry the key and the prompt to a host that nobody configured.
        follow_redirects=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=_KEPT_CONNECTIONS),
    )
    _make_interruptible(client, httpcore)
    return client


def open_client2(timeout_seconds: float) -> "httpx2.Client":
    """`open_client` of the library that continues httpx, for SDKs which have moved to it."""
    import httpcore2
    import httpx2

    client = httpx2.Client(
        timeout=httpx2.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds)),
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=_KEPT_CONNECTIONS),
    )
    _make_interruptible(client, httpcore2)
    return client


def _make_interruptible(client: "httpx.Client | httpx2.Client", core: ModuleType) -> None:
    # Neither library offers a way to name a network backend; building their transports by hand would lose the proxies
    # that the environment names. A test notices when these attributes go.
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
        if (pool := getattr(transport, "_pool", None)) is not None:
            pool._network_backend = _Backend(core)  # noqa: SLF001


class _Backend:
    """A `NetworkBackend` of `core`, httpcore or its continuation, whose streams ask."""

    def __init__(self, core: ModuleType) -> None:
        self._inner = core.SyncBackend()
        self._timed_out: type[Exception] = core.ReadTimeout

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> "_Stream":
        opened = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(opened, self._timed_out)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> "_Stream":
        return _Stream(self._inner.connect_unix_socket(path, timeout, socket_options), self._timed_out)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream:
    """A `NetworkStream` whose reads ask."""

    def __init__(self, inner: Any, timed_out: type[Exception]) -> None:
        self._inner = inner
        self._timed_out = timed_out

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        check: Callable[[], None] | None = getattr(_waiting, "check", None)
        if check is None:
            return bytes(self._inner.read(max_bytes, timeout))
        until = None if timeout is None else monotonic() + timeout
        # An answer may come in without a pause and without anything to show: reasoning, keepalives.
        check()
        while True:
            left = _ASK_EVERY_SECONDS if until is None else min(_ASK_EVERY_SECONDS, until - monotonic())
            try:
                # A socket set to wait for nothing at all would not block, and fail in another way.
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

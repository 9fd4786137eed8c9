"""Resolves host names in bounded time, on dedicated threads.

The system's resolver cannot be interrupted, and a name whose servers never answer blocks it for half a minute. So no
thread that serves requests calls it: lookups run on their own threads, and each caller sets its own timeout. Names
below one domain share a few of these threads, so that one unresponsive domain leaves room for the others.
"""

import os
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from ipaddress import ip_address
from time import monotonic
from types import ModuleType
from typing import Any

LOOKUP_SECONDS = 3.0
_THREADS_MAX = 64
_THREADS_PER_DOMAIN = 4
_QUEUED_PER_DOMAIN_MAX = 500
_DOMAIN_LABELS = 2
_CHECK_EVERY_SECONDS = 0.1

Addresses = tuple[str, ...]


class NameTimeout(TimeoutError):
    """The name was not resolved in time."""


class _Lookup:
    """One lookup, shared by all who request it meanwhile."""

    __slots__ = ("asked_at", "future", "host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.future: Future[Addresses] = Future()
        self.asked_at = monotonic()


class Lookups:
    """Calls the system's resolver. Used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], _Lookup] = {}
        # Domains in the order of their turns; waiting lookups, and how many run.
        self._waiting: OrderedDict[str, deque[_Lookup]] = OrderedDict()
        self._running: dict[str, int] = {}

    def start(self, host: str, port: int) -> "Future[Addresses]":
        """Every address of `host`, once known; fails with OSError. Never blocks, and must not be cancelled."""
        if _is_address(host):
            done: Future[Addresses] = Future()
            done.set_result((host,))
            return done
        with self._lock:
            lookup = self._known.get((host, port))
            if lookup is None:
                lookup = self._known[host, port] = _Lookup(host, port)
                queue = self._waiting.setdefault(_domain(host), deque())
                if len(queue) >= _QUEUED_PER_DOMAIN_MAX:
                    self._end(queue.popleft(), None, NameTimeout("too many names of this domain are being looked up"))
                queue.append(lookup)
                self._go_on()
            return lookup.future

    def resolve(
        self, host: str, port: int, timeout_seconds: float = LOOKUP_SECONDS, check: Callable[[], None] | None = None
    ) -> Addresses:
        """Every address of `host`. Raises OSError, and its `NameTimeout` after `timeout_seconds`.

        `check` is called during the wait, and ends it by raising.
        """
        future, until = self.start(host, port), monotonic() + timeout_seconds
        while True:
            left = max(0.0, until - monotonic())
            if wait((future,), left if check is None else min(left, _CHECK_EVERY_SECONDS)).done:
                return future.result()
            if monotonic() >= until:
                raise NameTimeout(f"{host} was not resolved within {timeout_seconds:g} s")
            if check is not None:
                check()

    def _go_on(self) -> None:
        """Start lookups while threads are free. Domains take turns."""
        for domain in list(self._waiting):
            queue = self._waiting[domain]
            while queue and self._has_room(domain):
                lookup = queue.popleft()
                if monotonic() - lookup.asked_at > LOOKUP_SECONDS:
                    self._end(lookup, None, NameTimeout(f"{lookup.host} was not resolved in time"))
                    continue
                self._running[domain] = self._running.get(domain, 0) + 1
                threading.Thread(target=self._ask, args=(domain, lookup), name="name-lookup", daemon=True).start()
            if queue:
                self._waiting.move_to_end(domain)
            else:
                del self._waiting[domain]

    def _has_room(self, domain: str) -> bool:
        return self._running.get(domain, 0) < _THREADS_PER_DOMAIN and sum(self._running.values()) < _THREADS_MAX

    def _ask(self, domain: str, lookup: _Lookup) -> None:
        found: Addresses | None = None
        failure: Exception | None = None
        try:
            answers = socket.getaddrinfo(lookup.host, lookup.port, type=socket.SOCK_STREAM)
            found = tuple(dict.fromkeys(str(each[4][0]) for each in answers))
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait
            failure = error
        with self._lock:
            self._running[domain] -= 1
            if not self._running[domain]:
                del self._running[domain]
            self._end(lookup, found, failure)
            self._go_on()

    def _end(self, lookup: _Lookup, found: Addresses | None, failure: Exception | None) -> None:
        del self._known[lookup.host, lookup.port]
        if failure is not None:
            lookup.future.set_exception(failure)
        else:
            lookup.future.set_result(found or ())


LOOKUPS = Lookups()
# Threads do not survive into a forked child, and their locks would stay locked.
os.register_at_fork(after_in_child=LOOKUPS.__init__)  # type: ignore[misc]


class NamedBackend:
    """A `NetworkBackend` of `core` (httpcore or its successor) that resolves names here, within the connect timeout.

    Neither library accepts an external backend without losing the proxies from the environment, so `install` sets one
    of their private attributes. A test fails when that attribute disappears.
    """

    def __init__(self, core: ModuleType, check: Callable[[], None] | None = None) -> None:
        self._core = core
        self._inner = core.SyncBackend()
        self._check = check

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Any:
        """A stream to the first address of `host` that accepts the connection."""
        until = monotonic() + (LOOKUP_SECONDS if timeout is None else timeout)
        try:
            addresses = LOOKUPS.resolve(host, port, max(0.0, until - monotonic()), self._check)
        except NameTimeout as error:
            raise self._core.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise self._core.ConnectError(str(error)) from error
        failure: Exception = self._core.ConnectError(f"{host} has no address")
        for address in addresses:
            left = None if timeout is None else max(0.001, until - monotonic())
            try:
                return self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (self._core.ConnectError, self._core.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> Any:
        """A stream to a socket of this machine."""
        return self._inner.connect_unix_socket(path, timeout, socket_options)

    def sleep(self, seconds: float) -> None:
        """Wait between two tries."""
        self._inner.sleep(seconds)


def install(client: Any, backend: Any) -> None:
    """Make `client`, an ``httpx.Client`` or its successor's, open its connections with `backend`."""
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001
        if (pool := getattr(transport, "_pool", None)) is not None:
            pool._network_backend = backend  # noqa: SLF001


def _domain(host: str) -> str:
    return ".".join(host.rstrip(".").lower().split(".")[-_DOMAIN_LABELS:])


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True

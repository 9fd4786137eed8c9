"""Fails a test that reaches out of this machine: every provider, identity and service it needs is one of ours.

Python tells an audit hook of each connection and each name that is looked up, whichever library asks
(https://docs.python.org/3/library/audit_events.html). Not seen are libraries in C that open sockets of their own
(libpq, uvloop) and the child processes of a test; both are given loopback addresses by the fixtures.
"""

import ipaddress
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

# Names that by RFC 2606 and RFC 6761 never belong to anybody.
_NOBODYS = (".invalid", ".localhost", ".test")


class _Guard:
    """What was attempted in the running test. Audit hooks cannot be removed, so there is one for the process."""

    def __init__(self) -> None:
        self.installed = False
        self.watching = False
        self.attempts: list[str] = []

    def install(self) -> None:
        """Begin to listen, once in a process."""
        if not self.installed:
            self.installed = True
            sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watching or not event.startswith("socket."):
            return
        if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
            sock, address = arguments[0], arguments[1]
            if sock.family in {socket.AF_INET, socket.AF_INET6} and address and not _is_loopback(str(address[0])):
                self._refuse(f"{address[0]}:{address[1]}")
        elif event == "socket.getaddrinfo":
            host, port = arguments[0], arguments[1]
            name = host.decode() if isinstance(host, bytes) else host
            if name and not _is_ours(name):
                self._refuse(f"{name}:{port}")

    def _refuse(self, target: str) -> None:
        self.attempts.append(target)
        raise OutboundConnection(target)


class OutboundConnection(OSError):
    """The connection that was attempted. An OSError, so that clients clean up after it as after any other."""

    def __init__(self, target: str) -> None:
        super().__init__(f"this test may not connect to {target}: use a server of tests/factories on the loopback")


_guard = _Guard()


def watch_process() -> list[str]:
    """Refuse from now on, until this process ends, what the fixture refuses; returns what is attempted, as it grows."""
    _guard.install()
    _guard.watching = True
    return _guard.attempts


@pytest.fixture(autouse=True)
def network_guard() -> Iterator[list[str]]:
    """Refuse whatever is neither loopback nor a Unix socket, and fail the test for it. Yields what was attempted."""
    _guard.install()
    attempts: list[str] = []
    _guard.attempts = attempts
    _guard.watching = True
    try:
        yield attempts
    finally:
        _guard.watching = False
    if attempts:
        pytest.fail(f"the test reached out to {', '.join(sorted(set(attempts)))}", pytrace=False)


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return _is_ours(host)
    return address.is_loopback or address.is_unspecified


def _is_ours(name: str) -> bool:
    """Whether looking up a name sends nothing out, or only asks who this machine is."""
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name in {"localhost", socket.gethostname()} or name.endswith(_NOBODYS)
    return True

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.factories.network_guard import OutboundConnection
from tests.factories.provider_simulator import ProviderSimulator

# TEST-NET-1 (RFC 5737): an address that nobody has.
NOWHERE = "192.0.2.7"


def by_socket() -> None:
    with socket.socket() as plain:
        plain.connect((NOWHERE, 443))


def by_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as plain:
        plain.sendto(b"name?", (NOWHERE, 53))


def by_httpx() -> None:
    httpx.get(f"http://{NOWHERE}:443/")


def by_asyncio() -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection(NOWHERE, 443), 5))


def by_name() -> None:
    socket.getaddrinfo("api.example.org", 443)


@pytest.mark.parametrize("reach_out", [by_socket, by_datagram, by_httpx, by_asyncio, by_name])
def test_reaching_out_is_refused_and_named(reach_out: Callable[[], None], network_guard: list[str]) -> None:
    with pytest.raises((OutboundConnection, httpx.ConnectError)):
        reach_out()
    assert network_guard
    assert all(target.startswith((NOWHERE, "api.example.org")) for target in network_guard)
    # This test may: it has looked.
    network_guard.clear()


def test_a_test_that_swallows_the_refusal_fails_all_the_same(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["tests.factories.network_guard"]')
    pytester.makepyfile(f"""
        import contextlib, socket

        def test_quiet():
            with contextlib.suppress(OSError), socket.socket() as plain:
                plain.connect(("{NOWHERE}", 443))
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"*reached out to {NOWHERE}:443*"])


def test_loopback_and_unix_sockets_are_free(tmp_path: Path) -> None:
    with ProviderSimulator() as server:
        assert httpx.get(server.root_url).status_code == 404
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        client.connect(path)
    assert socket.getaddrinfo("localhost", 80)

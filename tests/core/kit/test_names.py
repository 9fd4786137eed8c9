"""A resolver that never answers holds the threads of nobody who did not ask it, and those for a bounded time."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpcore
import httpx
import pytest

from core.gateway.interruptible import interruptible, open_client, open_client2
from core.keys.errors import IdentityProviderUnavailable
from core.keys.jwks import KeySet
from core.kit.names import LOOKUPS, Lookups, NamedBackend, NameTimeout, install
from tests.factories.waiting import wait_until

ANSWERED = "192.0.2.7"
_REAL = socket.getaddrinfo


@dataclass
class Resolver:
    """Names below ``silent.example`` are asked for ever; every other one of ``example`` is answered at once.

    Other names are other threads': of clients that earlier tests have left to end.
    """

    asked: Counter[str] = field(default_factory=Counter)
    ended: threading.Event = field(default_factory=threading.Event)

    def getaddrinfo(self, host: str, port: int, *more: Any, **named: Any) -> list[tuple[Any, ...]]:
        if not host.endswith(".example"):
            return _REAL(host, port, *more, **named)
        self.asked[host] += 1
        if host.endswith("silent.example"):
            self.ended.wait(60)
            raise socket.gaierror("too late")
        if host.endswith("unknown.example"):
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ANSWERED, port))]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.ended.set()
    # The process's lookups are shared: who asks for a name that is still looked up would get what ends here.
    wait_until(lambda: not LOOKUPS._running, timeout_seconds=10, what="the lookups to end")


def test_an_answer_a_refusal_and_silence(resolver: Resolver) -> None:
    assert Lookups().resolve("a.example", 443) == (ANSWERED,)
    with pytest.raises(socket.gaierror, match="no such name"):
        Lookups().resolve("a.unknown.example", 443)
    began = time.monotonic()
    with pytest.raises(NameTimeout):
        Lookups().resolve("a.silent.example", 443, 0.2)
    assert time.monotonic() - began < 2
    assert Lookups().resolve("127.0.0.1", 80) == ("127.0.0.1",)
    assert Lookups().resolve("::1", 80) == ("::1",)
    assert sum(resolver.asked.values()) == 3


def test_one_silent_domain_takes_few_threads_and_no_other_waits(resolver: Resolver) -> None:
    lookups = Lookups()
    silent = [lookups.start(f"h{number}.silent.example", 443) for number in range(300)]
    began = time.monotonic()
    assert all(lookups.resolve(f"h.other{number}.example", 443) == (ANSWERED,) for number in range(100))
    assert time.monotonic() - began < 3
    assert sum(name.endswith("silent.example") for name in resolver.asked) == 4
    resolver.ended.set()
    with pytest.raises(OSError, match="too late"):
        silent[0].result(5)
    assert all(future.exception(5) for future in silent)


def test_a_silent_name_is_asked_once_by_all_who_wait_for_it(resolver: Resolver) -> None:
    lookups = Lookups()

    def ask() -> str:
        try:
            lookups.resolve("a.silent.example", 443, 0.5)
        except NameTimeout:
            return "timeout"
        return "answer"

    with ThreadPoolExecutor(20) as threads:
        assert {future.result() for future in [threads.submit(ask) for _ in range(20)]} == {"timeout"}
    assert resolver.asked == {"a.silent.example": 1}


def test_names_that_wait_for_their_turn_are_dropped_when_no_one_can_want_them(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.kit.names.LOOKUP_SECONDS", 0.2)
    lookups = Lookups()
    futures = [lookups.start(f"h{number}.silent.example", 443) for number in range(50)]
    time.sleep(0.4)
    resolver.ended.set()
    for future in futures:
        assert isinstance(future.exception(5), OSError)
    assert len(resolver.asked) == 4


@pytest.mark.parametrize("opened", [open_client, open_client2])
def test_a_client_gives_a_silent_name_up_when_its_time_to_connect_is_over(
    resolver: Resolver, opened: Callable[[float], Any]
) -> None:
    client = opened(0.3)
    began = time.monotonic()
    with pytest.raises(Exception, match="not resolved within") as caught:
        client.get("https://service.silent.example/")
    assert type(caught.value).__name__ == "ConnectTimeout"
    assert time.monotonic() - began < 3
    with pytest.raises(Exception, match="no such name") as caught:
        client.get("https://service.unknown.example/")
    assert type(caught.value).__name__ == "ConnectError"


class Stopped(Exception):
    pass


def test_a_cancelled_job_does_not_wait_for_a_silent_name(resolver: Resolver) -> None:
    def stop() -> None:
        raise Stopped

    began = time.monotonic()
    with pytest.raises(Stopped), interruptible(stop):
        open_client(60).get("https://service.silent.example/")
    assert time.monotonic() - began < 3


def test_an_issuer_whose_name_is_silent_is_unavailable_within_its_timeout(resolver: Resolver) -> None:
    keys = KeySet("https://sso.silent.example", timeout_seconds=0.3, refresh_seconds=60, floor_seconds=10)
    began = time.monotonic()
    with pytest.raises(IdentityProviderUnavailable):
        keys.find("k1")
    assert time.monotonic() - began < 3


def test_a_client_that_reads_the_environment_resolves_here_too(resolver: Resolver) -> None:
    with httpx.Client(timeout=0.3) as client:
        install(client, NamedBackend(httpcore))
        with pytest.raises(httpx.ConnectTimeout):
            client.get("https://a.silent.example/")
    assert LOOKUPS.start("a.silent.example", 443).done() is False

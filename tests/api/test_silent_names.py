"""Receivers whose names a resolver never answers keep the threads of the API free for everybody else."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import httpx
import pytest

from core.kit.settings import Settings
from tests.factories.api import RunningApi, issue_key, running_api
from tests.factories.processes import settings_of

PUBLIC = "93.184.215.14"
JOB = {"capability": "probe.act", "input": {"act": "noop"}}


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A resolver that never answers about ``silent.example``, and at once about any other name but this machine's."""
    ended, ask = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, *arguments: Any, **named: Any) -> list[tuple[Any, ...]]:
        if not host.endswith(".example"):
            return ask(host, port, *arguments, **named)
        if host.endswith("silent.example"):
            ended.wait(60)
            raise socket.gaierror("too late")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield
    ended.set()


@pytest.fixture
def narrow_api(settings: Settings) -> Iterator[RunningApi]:
    """An API with two threads, which two lookups would hold."""
    with running_api(settings_of(settings, api_threads=2)) as running:
        yield running


@pytest.mark.usefixtures("silence")
@pytest.mark.survive("A5")
def test_receivers_that_are_never_resolved_hold_up_no_one_else(
    narrow_api: RunningApi, settings: Settings, record_property: Callable[[str, object], None]
) -> None:
    other = issue_key(settings, organization="other")
    asked: list[tuple[str, Callable[[str], dict[str, Any]]]] = [
        ("/v1/jobs", lambda url: {**JOB, "webhook": {"url": url}}),
        ("/v1/batches", lambda url: {"lines": [{**JOB, "custom_id": "1"}], "webhook": {"url": url}}),
        ("/v1/webhook-endpoints", lambda url: {"url": url, "events": ["job.succeeded"]}),
    ]

    def submit(number: int) -> httpx.Response:
        path, body = asked[number % len(asked)]
        with narrow_api.client(timeout_seconds=30) as client:
            return client.post(path, json=body(f"https://h{number}.silent.example/"))

    with ThreadPoolExecutor(30) as threads, narrow_api.client(other) as client:
        client.get("/v1/jobs")
        flood = [threads.submit(submit, number) for number in range(30)]
        time.sleep(0.3)
        waits = []
        for number in range(10):
            began = time.perf_counter()
            assert client.get("/v1/jobs").status_code == 200
            endpoint = {"url": f"https://hooks{number}.example/", "events": ["job.succeeded"]}
            assert client.post("/v1/webhook-endpoints", json=endpoint).status_code == 201
            waits.append(time.perf_counter() - began)
        assert not all(each.done() for each in flood), "the flood had ended before the others were measured"
        answers = [each.result() for each in flood]
    record_property("figure", f"another tenant's list and receiver beside 30 such: {median(waits) * 1e3:.0f} ms")
    # Held up, each of the ten would have waited for some of the thirty, at three seconds each on two threads.
    assert median(waits) < 2
    assert {each.status_code for each in answers} == {422}
    assert {each.json()["errors"][0]["code"] for each in answers} == {"host_unresolvable"}

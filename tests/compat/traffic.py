"""Clients that know nothing of an upgrade: they send requests and follow streams all the time, and count what fails."""

import json
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

import httpx

from waybill.client.sse import Decoder

_PAUSE_SECONDS = 0.2
_OPEN_MAX = 10
_TIMEOUT_SECONDS = 30.0
_RECONNECT_SECONDS = 0.1
# Said by the server about a stream, not kept events of a job.
_NOT_KEPT = frozenset(("gap", "stream.opened", "message.delta"))


class Entrance:
    """What stands before the APIs: one address after the other, of those that are in service."""

    def __init__(self) -> None:
        self.key = ""
        self._clients: dict[str, httpx.Client] = {}
        self._lock = Lock()
        self._turns = count()

    def add(self, url: str) -> None:
        """Put an API into service."""
        with self._lock:
            headers = {"Authorization": f"Bearer {self.key}"}
            self._clients[url] = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_SECONDS)

    def remove(self, url: str) -> None:
        """Send it nothing new. What is under way goes on, so its connections stay open."""
        with self._lock:
            del self._clients[url]

    def next(self) -> httpx.Client:
        """The client of the API whose turn it is."""
        with self._lock:
            clients = list(self._clients.values())
        return clients[next(self._turns) % len(clients)]

    def ask(self, method: str, path: str, **given: Any) -> Any:
        """The document that answers a request. Raises AssertionError when it is refused or fails."""
        try:
            answer = self.next().request(method, path, **given)
        except httpx.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error!r}") from error
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        return answer.json()


class Load:
    """Submits jobs and reads them back, up to five of each a second, until it is stopped; few are open at a time."""

    def __init__(self, entrance: Entrance, payloads: list[dict[str, Any]]) -> None:
        self.submitted: list[str] = []
        self.failures: list[str] = []
        self.requests: list[tuple[float, float]] = []
        self._entrance = entrance
        self._payloads = payloads
        self._stop = Event()
        self._threads = [Thread(target=self._repeat, args=(act,)) for act in (self._submit, self._read)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, after the requests under way."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def slowest_since(self, began: float) -> tuple[int, float]:
        """How many requests ended since that moment, and the seconds of the slowest."""
        taken = [seconds for ended, seconds in list(self.requests) if ended >= began]
        return len(taken), max(taken, default=0.0)

    def _submit(self, _: int) -> None:
        number = len(self.submitted)
        if number >= _OPEN_MAX:
            awaited = self._entrance.ask("GET", f"/v1/jobs/{self.submitted[-_OPEN_MAX]}")
            if awaited["finished_at"] is None:
                return
        body = {"capability": "probe.act", "input": self._payloads[number % len(self._payloads)]}
        headers = {"Idempotency-Key": f"compat-{number}"}
        self.submitted.append(self._entrance.ask("POST", "/v1/jobs", json=body, headers=headers)["id"])

    def _read(self, number: int) -> None:
        if number % 2 and self.submitted:
            self._entrance.ask("GET", f"/v1/jobs/{self.submitted[-1]}")
        else:
            self._entrance.ask("GET", "/v1/jobs", params={"limit": 20})

    def _repeat(self, act: Callable[[int], None]) -> None:
        for number in count():
            began = monotonic()
            try:
                act(number)
            except AssertionError as error:
                self.failures.append(str(error))
            ended = monotonic()
            self.requests.append((ended, ended - began))
            if self._stop.wait(_PAUSE_SECONDS):
                return


class Follower:
    """Follows one stream, and resumes it with Last-Event-ID wherever it breaks off, until an event of `until` came."""

    def __init__(self, entrance: Entrance, path: str, until: frozenset[str] = frozenset()) -> None:
        self.events: list[tuple[str, int]] = []
        self.failures: list[str] = []
        self.connections = 0
        self._entrance = entrance
        self._path = path
        self._until = until
        self._cursor = "0"
        self._stop = Event()
        Thread(target=self._follow, daemon=True).start()

    def stop(self) -> None:
        """Read nothing further."""
        self._stop.set()

    def _follow(self) -> None:
        while not self._stop.is_set():
            # A stream breaks off when the API behind it stops.
            with suppress(httpx.HTTPError):
                self._read()
            self._stop.wait(_RECONNECT_SECONDS)

    def _read(self) -> None:
        decoder = Decoder()
        with self._entrance.next().stream("GET", self._path, headers={"Last-Event-ID": self._cursor}) as answer:
            if answer.status_code != 200:
                self.failures.append(f"GET {self._path}: {answer.status_code}")
                return
            self.connections += 1
            for chunk in answer.iter_bytes():
                for found in decoder.feed(chunk):
                    self._take(found.event, found.data, found.id)

    def _take(self, name: str, data: str, cursor: str) -> None:
        self._cursor = cursor or self._cursor
        if name in _NOT_KEPT:
            return
        event = json.loads(data)
        self.events.append((event["job_id"], event["id"]))
        if name in self._until:
            self._stop.set()


def kept(entrance: Entrance, path: str) -> list[tuple[str, int]]:
    """Everything that a stream has to tell until it ends: the id of the job and of the event."""
    answer = entrance.next().get(path)
    assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text[:300]}"
    events = [found for found in Decoder().decode([answer.content]) if found.event not in _NOT_KEPT]
    documents = [json.loads(found.data) for found in events]
    return [(document["job_id"], document["id"]) for document in documents]

"""``python -m tests.bench.streams``: thousands of streams on one API process, and the API killed once.

Everything shares the machine: Postgres, Valkey, the API, the publisher and the clients. The clients live in processes
of their own and do nothing but find ids and moments in the bytes. An event's lag is the time from just before it is
handed to Redis to when a client has read it, by the one clock of the machine.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import resource
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
from pydantic import SecretStr

from core.jobs.live import LivePublisher
from core.jobs.records import Event
from core.keys.service import IssuedKey
from core.kit.clock import utc_now
from core.kit.ids import JOB, encode, new_id
from core.kit.migrate import upgrade
from core.kit.redis import connect
from core.kit.settings import Settings
from tests.factories.api import issue_key
from tests.factories.processes import Process, start
from tests.factories.waiting import wait_until
from waybill.stack.postgres import EmbeddedPostgres, free_port
from waybill.stack.valkey import EmbeddedValkey

_FILES = 20_000
_CLIENT_PROCESSES = 2
_ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)
_SENT = re.compile(rb'"sent":([0-9.]+)')
_OPEN_AT_ONCE = 200


@dataclass
class Reading:
    """One client: the last id it has seen, and whether any was skipped or came twice."""

    path: str
    last: int = 1
    broken: int = 0
    connections: int = 0
    lags: list[float] = field(default_factory=list)


async def _read(reading: Reading, port: int, key: str, gate: asyncio.Semaphore, quiet: asyncio.Event) -> None:
    while True:
        try:
            async with gate:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=8192)
                head = (
                    f"GET {reading.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
                    f"Last-Event-ID: {reading.last}\r\n\r\n"
                )
                writer.write(head.encode())
                await reader.readuntil(b"\r\n\r\n")
            reading.connections += 1
            while chunk := await reader.read(8192):
                now = time.time()
                for found in _ID.findall(chunk):
                    number = int(found)
                    reading.broken += number != reading.last + 1
                    reading.last = number
                if not quiet.is_set():
                    reading.lags += [now - float(sent) for sent in _SENT.findall(chunk)]
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            pass
        await asyncio.sleep(0.2)


async def _clients(pipe: Connection, paths: list[str], port: int, key: str) -> None:
    quiet, gate = asyncio.Event(), asyncio.Semaphore(_OPEN_AT_ONCE)
    readings = [Reading(path) for path in paths]
    tasks = [asyncio.create_task(_read(reading, port, key, gate, quiet)) for reading in readings]
    loop = asyncio.get_running_loop()
    while (asked := await loop.run_in_executor(None, pipe.recv)) != "stop":
        if asked == "quiet":
            quiet.set()
        pipe.send(
            {
                "connections": [reading.connections for reading in readings],
                "last": [reading.last for reading in readings],
                "broken": sum(reading.broken for reading in readings),
                "lags": [lag for reading in readings for lag in reading.lags] if asked == "lags" else [],
            }
        )
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _client_process(pipe: Connection, paths: list[str], port: int, key: str) -> None:
    asyncio.run(_clients(pipe, paths, port, key))


class Crowd:
    """The clients, and what they have seen."""

    def __init__(self, paths: list[str], port: int, key: str) -> None:
        self._pipes: list[Connection] = []
        self._processes = []
        spawn = multiprocessing.get_context("spawn")
        for number in range(_CLIENT_PROCESSES):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(
                target=_client_process, args=(theirs, paths[number::_CLIENT_PROCESSES], port, key), daemon=True
            )
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)

    def ask(self, question: str = "state") -> dict[str, Any]:
        """What all of them have seen, put together."""
        for pipe in self._pipes:
            pipe.send(question)
        answers = [pipe.recv() for pipe in self._pipes]
        return {
            "connections": [one for answer in answers for one in answer["connections"]],
            "last": [one for answer in answers for one in answer["last"]],
            "broken": sum(answer["broken"] for answer in answers),
            "lags": [one for answer in answers for one in answer["lags"]],
        }

    def wait(self, what: str, holds: Any, seconds: float) -> float:
        """Wait until `holds(state)`; returns seconds, or infinity when it never did."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if holds(self.ask()):
                return time.monotonic() - began
            time.sleep(0.2)
        sys.stderr.write(f"gave up waiting for {what}\n")
        return float("inf")

    def close(self) -> None:
        """Let them go."""
        for pipe in self._pipes:
            pipe.send("stop")
        for process in self._processes:
            process.join(10)
            if process.is_alive():
                process.kill()


@dataclass
class Stage:
    """Postgres, Valkey and a key; the API is started, killed and started again on one port."""

    settings: Settings
    key: IssuedKey
    port: int
    process: Process | None = None

    def start_api(self) -> None:
        """Start the API and wait until it serves."""
        self.process = start(self.settings, "api", WAYBILL_API_PORT=str(self.port), WAYBILL_LOG_LEVEL="error")
        wait_until(self._answers, timeout_seconds=30, what="the API")

    def kill_api(self) -> None:
        """Kill it as the kernel would."""
        if self.process is not None:
            self.process.kill()

    def memory_kb(self) -> int:
        """What the API's process holds."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", trust_env=False).is_success
        return False


@contextmanager
def _stage() -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="waybill-streams-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = EmbeddedPostgres(folder / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        valkey = EmbeddedValkey(folder / "valkey")
        valkey.start()
        stack.callback(valkey.stop)
        upgrade(postgres.url)
        settings = Settings(
            home=folder,
            database_url=SecretStr(postgres.url),
            redis_url=SecretStr(valkey.url),
            secret_key=SecretStr(secrets.token_urlsafe(32)),
        )
        stage = Stage(settings, issue_key(settings), free_port())
        stack.callback(stage.kill_api)
        yield stage


def _make_jobs(stage: Stage, count: int) -> list[UUID]:
    ids = [new_id() for _ in range(count)]
    rows = [(one, stage.key.organization_id, stage.key.project_id) for one in ids]
    assert stage.settings.database_url is not None
    with psycopg.connect(stage.settings.database_url.get_secret_value()) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO jobs (id, organization_id, project_id, capability, pool, input, event_limit)"
            " VALUES (%s, %s, %s, 'bench.hold', 'none', '{}', 1000000)",
            rows,
        )
    return ids


class Source:
    """Publishes the next delta of one job after another, at an even rate."""

    def __init__(self, settings: Settings, jobs: list[UUID]) -> None:
        self._redis = connect(settings)
        self._publisher = LivePublisher(self._redis, settings)
        self._jobs = jobs
        self._count = 0

    def run(self, per_second: int, seconds: float, during: Callable[[float], None] | None = None) -> float:
        """Publish for `seconds`; returns the rate that was reached. `during` is called with the seconds gone."""
        began = time.monotonic()
        sent = 0
        while (gone := time.monotonic() - began) < seconds:
            due = int(gone * per_second) - sent
            if due > 0:
                self._publisher.publish([self._next() for _ in range(due)])
                sent += due
            if during is not None:
                during(gone)
            time.sleep(0.005)
        return sent / (time.monotonic() - began)

    @property
    def last(self) -> list[int]:
        """The last id of every job."""
        rounds, rest = divmod(self._count, len(self._jobs))
        return [1 + rounds + (number < rest) for number in range(len(self._jobs))]

    def close(self) -> None:
        """Let go of the connection."""
        self._redis.close()

    def _next(self) -> Event:
        rounds, number = divmod(self._count, len(self._jobs))
        self._count += 1
        data = {"text": "a few words of an answer", "sent": time.time()}
        return Event(self._jobs[number], rounds + 2, 0, "message.delta", 1, data, utc_now())


def main() -> int:
    """Measure and print; 0 also when a target is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--clients", type=int, default=5000)
    arguments.add_argument("--rate", type=int, default=1000, help="events a second")
    arguments.add_argument("--seconds", type=float, default=8.0, help="how long events are published before the kill")
    arguments.add_argument(
        "--settle", type=float, default=8.0, help="seconds between the last opening and the first event"
    )
    given = arguments.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    with _stage() as stage:
        jobs = _make_jobs(stage, given.clients)
        stage.start_api()
        paths = [f"/v1/jobs/{encode(JOB, job)}/events" for job in jobs]
        before = stage.memory_kb()
        crowd, source = Crowd(paths, stage.port, stage.key.plaintext), Source(stage.settings, jobs)
        try:
            found = _measure(stage, crowd, source, before, given)
        finally:
            crowd.close()
            source.close()
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0


def _measure(stage: Stage, crowd: Crowd, source: Source, before: int, given: argparse.Namespace) -> dict[str, Any]:
    opened = crowd.wait("the streams to open", lambda state: min(state["connections"]) >= 1, 40)
    time.sleep(given.settle)
    idle = stage.memory_kb()
    rate = source.run(given.rate, given.seconds)
    time.sleep(1)
    lags = sorted(crowd.ask("lags")["lags"])
    crowd.ask("quiet")
    stage.kill_api()
    source.run(given.rate, 2.0)
    stage.start_api()
    source.run(given.rate, 1.0)
    expected = sum(source.last)
    complete = crowd.wait("every sequence to be complete", lambda state: sum(state["last"]) == expected, 40)
    state = crowd.ask()
    return {
        "clients": given.clients,
        "load": os.getloadavg()[0],
        "opened_seconds": round(opened, 1),
        "kb_per_idle_stream": round((idle - before) / given.clients, 1),
        "events_per_second": round(rate),
        "received": len(lags),
        "lag_p50_ms": round(lags[len(lags) // 2] * 1000, 1) if lags else None,
        "lag_p95_ms": round(lags[int(len(lags) * 0.95)] * 1000, 1) if lags else None,
        "lag_max_ms": round(lags[-1] * 1000, 1) if lags else None,
        "complete_seconds_after_restart": round(complete, 1),
        "events_missing": expected - sum(state["last"]),
        "gaps_or_duplicates": state["broken"],
    }


if __name__ == "__main__":
    sys.exit(main())

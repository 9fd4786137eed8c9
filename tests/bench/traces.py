"""What spans cost: ``python -m tests.bench traces``.

A span by itself, with ids only and exported; then submits and no-op jobs with every process exporting its traces to a
receiver that discards, and with everything on (traces, log lines of level info written and exported, metrics
scraped), against the same processes that export nothing and log warnings. Rounds of the three alternate.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Event
from time import perf_counter

import httpx
import psutil
from sqlalchemy import text

from core.kit import telemetry
from core.kit.ids import new_id
from core.kit.job_traces import JobTrace, TraceScope, traced_for
from tests.bench.jobs import accepted
from tests.bench.load import Target, closed_loop
from tests.bench.rows import Row, compared
from tests.bench.system import WORKER_SLOTS, Systems
from tests.factories.processes import Process, running, start
from tests.factories.waiting import wait_until
from waybill.stack.postgres import free_port

_PIECE, _SPANS, _ROUNDS, _JOBS, _CLIENTS = 500, 20_000, 6, 400, 10
_SCRAPED_EVERY_SECONDS = 15
_NAMES = ("submit", "p95", "submit_cpu", "jobs", "job_cpu")
Found = dict[str, list[float]]
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def run(systems: Systems, say: Callable[[str], None]) -> list[Row]:
    """Rows of both parts."""
    with _receiver() as url:
        say("a span by itself")
        rows = _spans(systems, url)
        sides: dict[str, dict[str, str]] = {
            "off": {},
            "traces": {_ENDPOINT: url, "OTEL_LOGS_EXPORTER": "none"},
            "everything": {_ENDPOINT: url, "WAYBILL_LOG_LEVEL": "info"},
        }
        found: dict[str, Found] = {side: {name: [] for name in _NAMES} for side in sides}
        with ExitStack() as stack:
            apis = {side: stack.enter_context(_api(systems, extra)) for side, extra in sides.items()}
            stack.enter_context(_scraped(apis["everything"]))
            for number in range(_ROUNDS):
                # None of them is always the first after a pause.
                for side in sorted(sides, reverse=bool(number % 2)):
                    say(f"submits and jobs, {side}, round {number + 1} of {_ROUNDS}")
                    _round(systems, apis[side], sides[side], found[side])
    return [*rows, *_compared(found, "traces"), *_compared(found, "everything")]


def _compared(found: dict[str, Found], side: str) -> list[Row]:
    on, off = found[side], found["off"]
    return [
        compared(f"submit_p50_{side}", "ms", on["submit"], off["submit"], at_most=1.05),
        compared(f"submit_p95_{side}", "ms", on["p95"], off["p95"]),
        compared(f"submit_processor_time_{side}", "ms", on["submit_cpu"], off["submit_cpu"], at_most=1.05),
        compared(f"noop_processor_time_{side}", "ms", on["job_cpu"], off["job_cpu"], at_most=1.05),
        compared(f"end_to_end_noop_{side}", "jobs/s", on["jobs"], off["jobs"], at_least=1 / 1.05),
    ]


@contextmanager
def _scraped(api: "_Api") -> Iterator[None]:
    """Ask for its metrics as often as `infra/prometheus` does."""
    over = Event()

    def ask() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{api.target.port}", timeout=30) as client:
            while not over.wait(_SCRAPED_EVERY_SECONDS):
                client.get("/metrics").raise_for_status()

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield
        finally:
            over.set()
    asking.result()


def _spans(systems: Systems, url: str) -> list[Row]:
    ids = _microseconds()
    os.environ[_ENDPOINT] = url
    try:
        telemetry.configure_tracing(systems.settings, "bench")
        # Processor time of the whole process: the thread that exports is part of it.
        cpu = time.process_time()
        exported = _microseconds()
        telemetry.shutdown_tracing()
        busy = (time.process_time() - cpu) / _SPANS * 1e6
    finally:
        del os.environ[_ENDPOINT]
    return [
        Row("span_ids_only", round(ids, 1), "us"),
        Row("span_exported", round(exported, 1), "us"),
        Row("span_exported_processor_time", round(busy, 1), "us"),
    ]


def _microseconds() -> float:
    scope = TraceScope(new_id(), new_id(), "probe.act", new_id(), 1)
    outer = telemetry.start_span("outer", identity=JobTrace(new_id(), None).attempt(1))
    with traced_for(scope), telemetry.inside(outer):
        began = perf_counter()
        for number in range(_SPANS):
            with telemetry.span("inner", attributes={"waybill.step": "bench"}):
                pass
            if number % _PIECE == 0:
                # Nothing is to be dropped, and waiting for it is no part of a span.
                paused = perf_counter()
                if telemetry._Tracing.recorder is not None:
                    telemetry._Tracing.recorder.flush()
                began += perf_counter() - paused
        return (perf_counter() - began) / _SPANS * 1e6


def _round(systems: Systems, api: "_Api", extra: dict[str, str], found: Found) -> None:
    closed_loop(api.target, clients=_CLIENTS, requests=100)
    before = _busy(api.process)
    submitted = accepted(closed_loop(api.target, clients=_CLIENTS, requests=_JOBS))
    found["submit_cpu"].append((_busy(api.process) - before) / _JOBS * 1000)
    found["submit"].append(submitted.quantile(0.5) * 1000)
    found["p95"].append(submitted.quantile(0.95) * 1000)
    _empty(systems)
    with _workers(systems, extra) as workers:
        closed_loop(api.target, clients=_CLIENTS, requests=50)
        wait_until(lambda: _open_jobs(systems) == 0, timeout_seconds=120, what="warm-up")
        busy = [api.process, *workers]
        before, began = sum(map(_busy, busy)), perf_counter()
        closed_loop(api.target, clients=_CLIENTS, requests=_JOBS)
        wait_until(lambda: _open_jobs(systems) == 0, timeout_seconds=240, what="the jobs")
        found["jobs"].append(_JOBS / (perf_counter() - began))
        found["job_cpu"].append((sum(map(_busy, busy)) - before) / _JOBS * 1000)
    _empty(systems)


@dataclass(frozen=True)
class _Api:
    """A running API and where it is asked."""

    process: Process
    target: Target


def _busy(process: Process) -> float:
    """Seconds of processor time that the process and its children have used: other load on the machine is not in it."""
    root = psutil.Process(process.pid)
    return sum(sum(each.cpu_times()[:2]) for each in [root, *root.children(recursive=True)])


@contextmanager
def _api(systems: Systems, extra: dict[str, str]) -> Iterator[_Api]:
    port = free_port()
    given = {"WAYBILL_LOG_LEVEL": "warning", **extra}
    process = start(systems.settings, "api", WAYBILL_API_PORT=str(port), **given)
    try:
        wait_until(lambda: _answers(port), timeout_seconds=180, what="the API")
        target = copy(systems.ours)
        target.port = port
        yield _Api(process, target)
    finally:
        process.kill()


@contextmanager
def _workers(systems: Systems, extra: dict[str, str]) -> Iterator[list[Process]]:
    with ExitStack() as stack:
        dispatcher = {"WAYBILL_LOG_LEVEL": "info", **extra}
        arguments: tuple[str, ...] = ("workers", "dispatcher")
        ours = [stack.enter_context(running(systems.settings, *arguments, until='"pool":"probe"', **dispatcher))]
        for _ in range(os.cpu_count() or 2):
            arguments = ("workers", "worker", "probe", str(WORKER_SLOTS))
            ours.append(stack.enter_context(running(systems.settings, *arguments, until="worker_ready", **extra)))
        yield ours


def _open_jobs(systems: Systems) -> int:
    with systems.database.system() as session:
        return int(session.execute(text("SELECT count(*) FROM jobs WHERE finished_at IS NULL")).scalar_one())


def _empty(systems: Systems) -> None:
    with systems.database.engine.begin() as connection:
        connection.execute(text("TRUNCATE jobs, job_events"))


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def _receiver() -> Iterator[str]:
    """The address of a process that takes OTLP and discards it."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_discard, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _discard(pipe: Connection) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_address[1])
    server.serve_forever()

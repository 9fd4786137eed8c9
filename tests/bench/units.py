"""``python -m tests.bench.units``: what one job costs each part, for the capacity model.

Every cost is a difference of two readings of the kernel's, Postgres' and Valkey's own counters (`tests.bench.counters`)
around a piece of work of the real processes, each with its own login. It writes ``waybill/capacity/units.json``.
``python -m tests.bench.units validate`` runs loads that were not measured for it and compares them with the model.
"""

import json
import os
import platform
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import text

from core.jobs import queue
from core.kit.db import Database
from core.kit.ids import JOB, encode
from core.kit.migrate import upgrade
from core.kit.processes import Process as Kind
from core.kit.redis import connect
from core.kit.settings import Settings
from core.kit.signing import generate_seed
from tests.bench.counters import Counters, Reading, spent
from tests.bench.jobs import accepted
from tests.bench.load import Target, closed_loop, paced
from tests.bench.streams import Crowd, Source, Stage, _make_jobs
from tests.factories.api import issue_key
from tests.factories.processes import Process, start
from tests.factories.waiting import wait_until
from waybill.capacity.units import UNITS_FILE
from waybill.stack.postgres import EmbeddedPostgres, free_port
from waybill.stack.valkey import EmbeddedValkey

_ROUNDS = 3
_PHASE_JOBS = 1000
_SECONDS = 15
_PER_SECOND = 20
_RUNNING = 60
_STREAMS = 500
_EVENTS_PER_SECOND = 300
_SLOTS = 8
_CALLS = 8
_DELTAS = 100
_IN_FLIGHT_ROWS = 10_000
_SETTLED = (
    "SELECT (SELECT count(*) FROM jobs WHERE finished_at IS NULL AND pool <> 'none')"
    " + (SELECT count(*) FROM audit_inbox)"
    " + (SELECT count(*) FROM webhook_deliveries WHERE state NOT IN ('delivered', 'failed')) = 0"
)
_ENDED = "SELECT count(*) = 0 FROM jobs WHERE finished_at IS NULL AND pool = 'probe'"
_IN_FLIGHT = (
    "INSERT INTO jobs (id, organization_id, project_id, capability, pool, state, dispatched_at, input)"
    " SELECT uuidv7(), tenant.org, tenant.org, 'probe.act', 'bench', 'queued', now(), '{}'"
    " FROM generate_series(1, :rows), (SELECT uuidv7() AS org) AS tenant"
)
# As many pools as the product has, and two of the probes.
_CAPABILITIES = '["tests.factories.capabilities:PROBE", "tests.factories.capabilities:OTHER"]'
POOLS = 7
_SETTINGS = {
    "max_connections": "300",
    "shared_preload_libraries": "pg_stat_statements",
    # Checkpoints and vacuum come when the benchmark asks.
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "8GB",
}


@dataclass
class Bench:
    """The servers, the processes that run now, and how to load them."""

    settings: Settings
    counters: Counters
    key: Any
    port: int
    hook: str
    say: Callable[[str], None]
    started: dict[str, list[Process]] = field(default_factory=dict)

    def start(self, kind: Kind, *arguments: str, until: str | None = None) -> None:
        """Start a process of that kind, and wait until it has logged `until`."""
        extra = {"WAYBILL_LOG_LEVEL": "info", "WAYBILL_API_PORT": str(self.port)}
        extra["WAYBILL_EXTRA_CAPABILITIES"] = _CAPABILITIES
        extra["WAYBILL_WEBHOOK_ALLOWED_NETWORKS"] = '["127.0.0.0/8"]'
        if kind in {Kind.API, Kind.DISPATCHER}:
            assert self.settings.signing_key is not None
            extra["WAYBILL_SIGNING_KEY"] = self.settings.signing_key.get_secret_value()
        process = start(self.settings, *arguments, **extra)
        self.started.setdefault(kind.value, []).append(process)
        self._count()
        if until is not None:
            process.wait_for(until)

    def stop(self, kind: Kind) -> None:
        """Stop the processes of that kind."""
        for process in self.started.pop(kind.value, []):
            try:
                process.stop(20)
            except TimeoutError:
                process.kill()
        self._count()

    def start_dispatcher(self) -> None:
        """Start the dispatcher; it owns the probe's pool."""
        self.start(Kind.DISPATCHER, "workers", "dispatcher", until='"pool":"probe"')

    def start_worker(self, pool: str = "probe", slots: int = _SLOTS) -> None:
        """Start a worker of that pool."""
        self.start(Kind.WORKER, "workers", "worker", pool, str(slots), until="worker_ready")

    def target(self, *, capability: str = "probe.act", **given: Any) -> Target:
        """A POST of a job; what is `given` is its input, or its `webhook`."""
        webhook = given.pop("webhook", None)
        body = {"capability": capability, "input": {"act": "noop", **given}}
        if webhook is not None:
            body["webhook"] = {"url": webhook, "events": ["job.succeeded"]}
        return Target(self.port, "/v1/jobs", body, {"Authorization": f"Bearer {self.key.plaintext}"})

    def is_settled(self) -> bool:
        """Whether every job of the probes has ended, every record is sealed and every webhook is delivered."""
        return bool(self.counters.scalar(_SETTLED))

    def measure(self, work: Callable[[], None], *, warm: Callable[[], None] = lambda: None) -> Reading:
        """What `work` cost, after `warm` has touched the pages that it touches first.

        A page's first change after a checkpoint costs a copy of the page in the log; `wal.bytes` should not depend on
        when the benchmark asked for one.
        """
        self.counters.vacuum()
        self.counters.checkpoint()
        warm()
        before, sizes = self.counters.read(), self.counters.tables()
        began = time.monotonic()
        work()
        seconds = time.monotonic() - began
        found = spent(before, self.counters.read())
        self.counters.checkpoint()
        found["postgres.page_writes"] = self.counters.read()["postgres.page_writes"] - before["postgres.page_writes"]
        found["seconds"] = seconds
        grown = spent(sizes, self.counters.tables())
        return found | {f"table.{name}": size for name, size in grown.items() if size > 0}

    def load(self, target: Target, per_second: float, seconds: float = _SECONDS) -> Reading:
        """Submit at that rate for so long, and wait until all is settled."""

        def warm() -> None:
            accepted(closed_loop(target, clients=2, requests=30))
            wait_until(self.is_settled, timeout_seconds=120, what="warm-up", pause_seconds=0.3)

        requests = int(per_second * seconds)

        def work() -> None:
            accepted(paced(target, clients=8, per_second=per_second, requests=requests))
            wait_until(self.is_settled, timeout_seconds=120, what="the jobs", pause_seconds=0.3)

        return {**self.measure(work, warm=warm), "jobs": float(requests)}

    def _count(self) -> None:
        self.counters.processes = {
            kind.value: [each.pid for each in self.started.get(kind.value, [])]
            for kind in (Kind.API, Kind.WORKER, Kind.DISPATCHER, Kind.DELIVERER)
        }


class _Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def _receive(port: int) -> None:
    ThreadingHTTPServer(("127.0.0.1", port), _Receiver).serve_forever()


@contextmanager
def bench(say: Callable[[str], None]) -> Iterator[Bench]:
    """Postgres, Valkey, a receiver of webhooks, and the API."""
    folder = Path(tempfile.mkdtemp(prefix="waybill-units-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = EmbeddedPostgres(folder / "postgres", settings=_SETTINGS)
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
            signing_key=SecretStr(generate_seed()),
            project_max_concurrent_jobs=100_000,
        )
        assert valkey.pid is not None
        client = connect(settings)
        stack.callback(client.close)
        counters = Counters(postgres.url, client, valkey.pid)
        stack.callback(counters.close)
        hook = free_port()
        receiver = get_context("spawn").Process(target=_receive, args=(hook,), daemon=True)
        receiver.start()
        stack.callback(receiver.terminate)
        made = Bench(settings, counters, issue_key(settings), free_port(), f"http://127.0.0.1:{hook}/", say)
        for kind in Kind:
            stack.callback(made.stop, kind)
        made.start(Kind.API, "api")
        wait_until(lambda: _serves(made), timeout_seconds=60, what="the API")
        headers = {"Authorization": f"Bearer {made.key.plaintext}"}
        httpx.post(f"http://127.0.0.1:{made.port}/v1/webhook-secret/rotate", headers=headers).raise_for_status()
        yield made


def _serves(made: Bench) -> bool:
    try:
        return bool(accepted(closed_loop(made.target(), clients=1, requests=1)).latencies)
    except (OSError, RuntimeError):
        return False


def phases(made: Bench) -> dict[str, Reading]:
    """The life of a job in parts that never overlap: nothing else runs while one is measured. By job."""
    # Processes of the product are forked from one that has imported this module; the broker reads settings on import.
    from workers.broker import Broker

    found: dict[str, Reading] = {}
    client = connect(made.settings)
    broker = Broker(made.settings, client)

    def is_sealed() -> bool:
        return bool(made.counters.scalar("SELECT count(*) = 0 FROM audit_inbox"))

    def dispatch() -> None:
        # Slots for all of them at once, and no worker that takes any.
        broker.announce("probe", "bench", 100_000)
        wait_until(lambda: broker.depth("probe") >= queued, timeout_seconds=120, what="dispatch", pause_seconds=0.05)

    def run() -> None:
        made.start_worker()
        wait_until(lambda: made.counters.scalar(_ENDED), timeout_seconds=180, what="the jobs", pause_seconds=0.3)

    def seal() -> None:
        made.start_dispatcher()
        wait_until(is_sealed, timeout_seconds=60, what="seals", pause_seconds=0.3)

    made.say("submit")
    few = made.target()
    found["submit"] = made.measure(
        lambda: void(accepted(closed_loop(few, clients=4, requests=_PHASE_JOBS))),
        warm=lambda: void(closed_loop(few, clients=4, requests=200)),
    )
    queued = int(made.counters.scalar("SELECT count(*) FROM jobs WHERE state = 'queued' AND pool = 'probe'"))
    made.say("dispatch")
    seal()
    dispatched = made.measure(dispatch)
    found["dispatch"] = per(dispatched, queued / _PHASE_JOBS)
    broker.withdraw("probe", "bench", 100_000)
    made.stop(Kind.DISPATCHER)
    made.say("run")
    ran = made.measure(run)
    made.stop(Kind.WORKER)
    # A fresh process imports and connects first.
    found["run"] = per(without(ran, made.measure(made.start_worker)), queued / _PHASE_JOBS)
    made.stop(Kind.WORKER)
    made.say("seal")
    sealed = made.measure(seal)
    made.stop(Kind.DISPATCHER)
    found["seal"] = per(without(sealed, made.measure(seal)), queued / _PHASE_JOBS)
    made.stop(Kind.DISPATCHER)
    broker.close()
    client.close()
    return {phase: per(reading, _PHASE_JOBS) for phase, reading in found.items()}


def in_flight_row_seconds(made: Bench) -> float:
    """What one job in flight adds to the count of them that every look at a pool makes, by two sizes of it."""
    made.say("in flight")
    database = Database(made.settings, application_name="bench", pool_size=1)

    def count() -> float:
        times = []
        for _ in range(20):
            with database.hot_system() as transaction:
                began = time.perf_counter()
                queue.open_round(transaction, with_limits=False)
                times.append(time.perf_counter() - began)
        return statistics.median(times)

    try:
        made.counters.vacuum()
        few = count()
        with database.engine.begin() as connection:
            connection.execute(text(_IN_FLIGHT), {"rows": _IN_FLIGHT_ROWS})
        made.counters.vacuum()
        many = count()
        with database.engine.begin() as connection:
            connection.execute(text("DELETE FROM jobs WHERE pool = 'bench'"))
    finally:
        database.close()
    made.counters.vacuum()
    return (many - few) / _IN_FLIGHT_ROWS


def without(reading: Reading, start_up: Reading) -> Reading:
    """A reading without what starting the process cost, which imports and connects first."""
    return {
        name: value if name.startswith("table.") else max(0.0, value - start_up.get(name, 0.0))
        for name, value in reading.items()
    }


def per(reading: Reading, count: float) -> Reading:
    """A reading divided by a count."""
    return {name: value / count for name, value in reading.items()}


def void(_: object) -> None:
    """Drop a result."""


def loads(made: Bench) -> dict[str, Reading]:
    """Loads that differ in one thing each, with everything running, by name."""
    note = secrets.token_urlsafe(12_000)[:16_000]
    runs: dict[str, tuple[Target, float]] = {
        "plain": (made.target(), _PER_SECOND),
        "payload": (made.target(note=note), _PER_SECOND),
        "calls": (made.target(act="spend", calls=_CALLS, used_tokens=50), _PER_SECOND / 2),
        "deltas": (made.target(act="stream", chunks=_DELTAS, seconds=0.005), _PER_SECOND / 2),
        "webhooks": (made.target(webhook=made.hook), _PER_SECOND),
    }
    found = {}
    for name, (target, per_second) in runs.items():
        made.say(name)
        found[name] = made.load(target, per_second)
    return found


def running(made: Bench) -> Reading:
    """Jobs that run and do nothing: what their leases cost."""
    made.say("running")
    before = made.counters.scalar("SELECT count(*) FROM jobs WHERE state = 'running'")
    target = made.target(capability="other.act", act="stubborn", seconds=_SECONDS + 25)
    accepted(closed_loop(target, clients=4, requests=_RUNNING))
    are_running = f"SELECT count(*) = {before + _RUNNING} FROM jobs WHERE state = 'running'"
    wait_until(lambda: made.counters.scalar(are_running), timeout_seconds=60, what="running jobs")
    # One renewal of all leases, then whole periods of them.
    found = made.measure(lambda: time.sleep(_SECONDS), warm=lambda: time.sleep(6))
    wait_until(made.is_settled, timeout_seconds=120, what="their end", pause_seconds=0.3)
    return found


def streams(made: Bench) -> dict[str, float]:
    """Open streams: memory and processor time of idle ones, of opening one and of an event to one."""
    made.say("streams")
    api = made.started[Kind.API.value][0]
    stage = Stage(made.settings, made.key, made.port, api)
    jobs = _make_jobs(stage, _STREAMS)
    memory = stage.memory_kb()
    before = made.counters.read()
    crowd = Crowd([f"/v1/jobs/{encode(JOB, job)}/events" for job in jobs], made.port, made.key.plaintext)
    source = Source(made.settings, jobs)
    try:
        crowd.wait("the streams to open", lambda state: min(state["connections"]) >= 1, 40)
        time.sleep(5)
        opened = spent(before, made.counters.read())
        held = stage.memory_kb() - memory
        idle = made.measure(lambda: time.sleep(_SECONDS))
        sent = 0.0

        def publish() -> None:
            nonlocal sent
            sent = source.run(_EVENTS_PER_SECOND, 8.0) * 8.0
            time.sleep(1)

        live = made.measure(publish)
        sequences = sum(crowd.ask()["last"])
    finally:
        crowd.close()
        source.close()
    assert sequences == sum(source.last), "some streams have not received every event"
    quiet = {name: value / idle["seconds"] * live["seconds"] for name, value in idle.items()}
    return {
        "kb_per_stream": held / _STREAMS,
        "opening_api_cpu": opened["cpu.api"] / _STREAMS,
        "opening_statements": opened["postgres.statements"] / _STREAMS,
        "idle_total_cpu_per_second": idle["cpu.api"] / idle["seconds"],
        "idle_total_redis_commands_per_second": idle["redis.commands"] / idle["seconds"],
        "event_api_cpu": (live["cpu.api"] - quiet["cpu.api"]) / sent,
        "event_redis_cpu": (live["cpu.redis"] - quiet["cpu.redis"]) / sent,
        "event_redis_commands": (live["redis.commands"] - quiet["redis.commands"]) / sent,
    }


def round_of(made: Bench) -> dict[str, Any]:
    """One round of everything."""
    for kind in (Kind.WORKER, Kind.DISPATCHER, Kind.DELIVERER):
        made.stop(kind)
    counts = {"calls": _CALLS, "deltas": _DELTAS, "running": _RUNNING, "streams": _STREAMS}
    found: dict[str, Any] = {"counts": counts, "phases": phases(made)}
    made.start_dispatcher()
    made.start(Kind.DELIVERER, "workers", "deliverer", until="deliverer_started")
    made.say("idle")
    without_workers = made.measure(lambda: time.sleep(_SECONDS), warm=lambda: time.sleep(3))
    made.start_worker()
    made.start_worker("other", _RUNNING + 4)
    idle = made.measure(lambda: time.sleep(_SECONDS), warm=lambda: time.sleep(3))
    found["loads"] = {"without_workers": without_workers, "idle": idle, **loads(made)}
    found["memory_mb"] = {kind: made.counters.memory_mb(kind) for kind in made.counters.processes}
    # The probe's worker and that of the running jobs.
    found["memory_mb"]["worker"] /= 2
    found["connections"] = made.counters.connections()
    found["loads"]["running"] = running(made)
    found["streams"] = streams(made)
    return found


def median_of(rounds: list[Any]) -> Any:
    """The medians of equally nested dictionaries of numbers."""
    if isinstance(rounds[0], dict):
        names = {name: None for each in rounds for name in each}
        return {name: median_of([each.get(name, 0.0) for each in rounds]) for name in names}
    return statistics.median(rounds)


def main(arguments: list[str]) -> int:
    """Measure and write the file, or with `validate` compare the model with other loads."""

    def say(what: str) -> None:
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")

    if arguments == ["validate"]:
        from tests.bench.validation import validate

        with bench(say) as made:
            sys.stdout.write(json.dumps(validate(made), indent=2) + "\n")
        return 0
    rounds, busy = [], []
    with bench(say) as made:
        for number in range(_ROUNDS):
            say(f"round {number + 1} of {_ROUNDS}")
            rounds.append(round_of(made))
            busy.append(os.getloadavg()[0])
        for kind in (Kind.WORKER, Kind.DISPATCHER, Kind.DELIVERER):
            made.stop(kind)
        # Last, because the room of its rows would be used again by what is measured after it.
        counting = in_flight_row_seconds(made)
    for each in rounds:
        each["in_flight_row_seconds"] = counting
    Path("build").mkdir(exist_ok=True)
    Path("build/units-rounds.json").write_text(json.dumps(rounds, indent=1), encoding="utf-8")
    from tests.bench.unit_costs import described, reduce_rounds

    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    units = {
        "measured": described(machine, [round(each, 1) for each in busy], len(rounds)),
        **reduce_rounds(rounds, median=median_of, pools=POOLS),
    }
    UNITS_FILE.write_text(json.dumps(units, indent=2) + "\n", encoding="utf-8")
    say(f"written: {UNITS_FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

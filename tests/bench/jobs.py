"""Submit, end to end, idle latency and growth: each interleaved with the naive baseline in the same run."""

import statistics
from collections.abc import Callable
from contextlib import closing
from time import perf_counter, sleep

import redis
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from core.jobs import leases
from core.jobs.records import NewJob
from core.jobs.service import JobService
from core.keys.principal import Principal
from core.kit.blob import open_blob_store
from core.kit.db import normalize_url
from core.kit.ids import new_id
from tests.bench.load import Outcome, closed_loop, paced
from tests.bench.naive import QUEUE, unfinished
from tests.bench.rows import Row, bounded, compared
from tests.bench.system import Systems, naive_workers, our_workers
from tests.factories.waiting import wait_until

_ROUNDS = 5
_FINISHED_ROWS = 1_000_000


def empty(systems: Systems) -> None:
    """Remove every job of both systems, and the naive system's messages, so that no round pays for an earlier one."""
    with systems.database.engine.begin() as connection:
        connection.execute(text("TRUNCATE jobs, job_events"))
    engine = create_engine(normalize_url(systems.naive_database_url))
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE naive_jobs"))
    engine.dispose()
    with closing(redis.Redis.from_url(systems.naive_environment["REDIS_URL"])) as client:
        client.delete(QUEUE)


def submit(systems: Systems, say: Callable[[str], None]) -> list[Row]:
    """Submit throughput and latency with 1, 10 and 100 clients; no worker runs."""
    rows = []
    for clients, requests in ((1, 400), (10, 1200), (100, 2000)):
        ours, naive = [], []
        for target in (systems.ours, systems.naive):
            closed_loop(target, clients=clients, requests=200)
        for number in range(_ROUNDS):
            say(f"submit, {clients} clients, round {number + 1} of {_ROUNDS}")
            ours.append(accepted(closed_loop(systems.ours, clients=clients, requests=requests)))
            naive.append(accepted(closed_loop(systems.naive, clients=clients, requests=requests)))
        empty(systems)
        rows += [
            compared(
                f"submit_throughput_{clients}_clients",
                "jobs/s",
                [outcome.per_second for outcome in ours],
                [outcome.per_second for outcome in naive],
                at_least=1.2,
            ),
            compared(
                f"submit_p50_{clients}_clients",
                "ms",
                [outcome.quantile(0.5) * 1000 for outcome in ours],
                [outcome.quantile(0.5) * 1000 for outcome in naive],
            ),
            compared(
                f"submit_p95_{clients}_clients",
                "ms",
                [outcome.quantile(0.95) * 1000 for outcome in ours],
                [outcome.quantile(0.95) * 1000 for outcome in naive],
                at_most=1.0,
            ),
        ]
    return rows


def submit_under_equal_rate(systems: Systems, say: Callable[[str], None]) -> list[Row]:
    """The p95 of 100 clients against that of 10, at the same total rate."""
    few, many = [], []
    for number in range(_ROUNDS):
        say(f"submit at a fixed rate, round {number + 1} of {_ROUNDS}")
        few.append(paced(systems.ours, clients=10, per_second=150, requests=750).quantile(0.95) * 1000)
        many.append(paced(systems.ours, clients=100, per_second=150, requests=750).quantile(0.95) * 1000)
    empty(systems)
    return [compared("submit_p95_100_clients_at_the_rate_of_10", "ms", many, few, at_most=2.0)]


def end_to_end(systems: Systems, say: Callable[[str], None], jobs: int = 1500) -> list[Row]:
    """No-op jobs per second from the first submission to the last end, submitted by 10 clients."""
    ours, naive = [], []
    engine = create_engine(normalize_url(systems.naive_database_url))
    for number in range(3):
        say(f"end to end, round {number + 1} of 3")
        with our_workers(systems):
            closed_loop(systems.ours, clients=10, requests=50)
            wait_until(lambda: _open_jobs(systems) == 0, timeout_seconds=60, what="warm-up")
            began = perf_counter()
            closed_loop(systems.ours, clients=10, requests=jobs)
            wait_until(lambda: _open_jobs(systems) == 0, timeout_seconds=120, what="our jobs")
            ours.append(jobs / (perf_counter() - began))
        with naive_workers(systems), Session(engine) as session:
            closed_loop(systems.naive, clients=10, requests=50)
            wait_until(lambda: _naive_open(session) == 0, timeout_seconds=60, what="warm-up")
            began = perf_counter()
            closed_loop(systems.naive, clients=10, requests=jobs)
            wait_until(lambda: _naive_open(session) == 0, timeout_seconds=120, what="naive jobs")
            naive.append(jobs / (perf_counter() - began))
        empty(systems)
    engine.dispose()
    return [compared("end_to_end_noop", "jobs/s", ours, naive, at_least=0.8)]


def idle_latency(systems: Systems, say: Callable[[str], None], jobs: int = 100) -> list[Row]:
    """From the row's creation to its claim, one job at a time on an idle system."""
    say("idle submit to start")
    with our_workers(systems):
        closed_loop(systems.ours, clients=1, requests=20)
        wait_until(lambda: _open_jobs(systems) == 0, timeout_seconds=60, what="warm-up")
        empty(systems)
        for _ in range(jobs):
            closed_loop(systems.ours, clients=1, requests=1)
            sleep(0.05)
        wait_until(lambda: _open_jobs(systems) == 0, timeout_seconds=60, what="the jobs")
        with systems.database.system() as session:
            waits = sorted(
                float(value) * 1000
                for value in session.execute(
                    text("SELECT extract(epoch FROM started_at - created_at) FROM jobs")
                ).scalars()
            )
    empty(systems)
    return [
        bounded("idle_submit_to_start_p50", "ms", statistics.median(waits), at_most=25.0),
        Row("idle_submit_to_start_p95", round(waits[int(len(waits) * 0.95)], 3), "ms"),
    ]


def growth(systems: Systems, say: Callable[[str], None]) -> list[Row]:
    """Submit and claim with a million finished jobs in the table, against an empty one."""
    say("submit and claim, empty table")
    empty_submit, empty_claim = _statements(systems)
    say(f"inserting {_FINISHED_ROWS:,} finished jobs")
    with systems.database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO jobs (id, organization_id, project_id, capability, pool, state, attempt, started_at,"
                " finished_at, input, result) SELECT uuidv7(make_interval(secs => -n / 1000.0)), org, org, 'probe.act',"
                " 'probe', 'succeeded', 1, now(), now(), '{}', '{}'"
                " FROM generate_series(1, :rows) AS n, (SELECT uuidv7() AS org) AS tenant"
            ),
            {"rows": _FINISHED_ROWS},
        )
    with systems.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM (ANALYZE) jobs"))
    say("submit and claim, full table")
    full_submit, full_claim = _statements(systems)
    empty(systems)
    return [
        compared("submit_p95_with_1m_finished_jobs", "ms", [full_submit], [empty_submit], at_most=1.2),
        compared("claim_p95_with_1m_finished_jobs", "ms", [full_claim], [empty_claim], at_most=1.2),
    ]


def _statements(systems: Systems, rounds: int = 2000) -> tuple[float, float]:
    """The p95 in milliseconds of the statement that submits and of the one that claims, each with its commit."""
    principal = Principal(new_id(), new_id(), None, frozenset())
    service = JobService(systems.settings, open_blob_store(systems.settings))
    tenant, system = systems.database.single_tenant(principal.organization_id), systems.database.single_system()
    submits, claims, ids = [], [], []
    for _ in range(rounds):
        began = perf_counter()
        ids.append(service.submit(tenant, principal, NewJob(capability="probe.act", pool="bench", input={})).id)
        submits.append(perf_counter() - began)
    with systems.database.system() as session:
        session.execute(text("UPDATE jobs SET dispatched_at = now() WHERE pool = 'bench' AND state = 'queued'"))
    for job_id in ids:
        began = perf_counter()
        leases.claim(system, job_id, "bench", 15)
        claims.append(perf_counter() - began)
    return tuple(sorted(values)[int(rounds * 0.95)] * 1000 for values in (submits, claims))  # type: ignore[return-value]


def accepted(outcome: Outcome) -> Outcome:
    """The outcome, when nothing was refused; RuntimeError otherwise."""
    if outcome.refused:
        raise RuntimeError(f"{outcome.refused} requests were refused; the figures would mean nothing")
    return outcome


def _open_jobs(systems: Systems) -> int:
    with systems.database.system() as session:
        return int(session.execute(text("SELECT count(*) FROM jobs WHERE finished_at IS NULL")).scalar_one())


def _naive_open(session: Session) -> int:
    count = unfinished(session)
    session.rollback()
    return count

"""``python -m tests.bench where``: where the processor time, the statements and the commands of a no-op job go.

The real processes, each with its own login: API, dispatcher, and a worker process a core. Every figure is of one job,
beyond what the idle stack uses in the same time, so that a busy machine, on which a round takes longer, shows the same.
It counts whatever follows a job too: seals, roll-ups and signals. The tables are also written to ``build/where.md``.
"""

import os
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass

from core.kit.processes import Process as Kind
from tests.bench.counters import FLUSH_SECONDS, Counters, Reading, spent
from tests.bench.jobs import accepted
from tests.bench.load import closed_loop
from tests.bench.rows import Row
from tests.bench.system import WORKER_SLOTS
from tests.bench.units import Bench, bench, per
from tests.factories.processes import ROOT
from tests.factories.waiting import wait_until

_ROUNDS = 3
_JOBS = 1500
_CLIENTS = 10
# What the dispatcher does once a minute belongs to the idle stack too.
_IDLE_SECONDS = 60.0
_STATEMENTS_SHOWN = 24
_STATEMENT_WIDTH = 100
# Worded as an index is, so that waiting adds no scan to those that are counted.
_IS_DONE = (
    "SELECT NOT EXISTS (SELECT FROM jobs WHERE state IN ('queued', 'running', 'waiting'))"
    " AND NOT EXISTS (SELECT FROM audit_inbox)"
)
_PROCESSES = {
    "cpu.api": "API",
    "cpu.dispatcher": "dispatcher",
    "cpu.worker": "workers",
    "postgres.cpu.api": "Postgres for the API",
    "postgres.cpu.dispatcher": "Postgres for the dispatcher",
    "postgres.cpu.worker": "Postgres for the workers",
    "postgres.cpu.background": "Postgres itself",
    "cpu.redis": "Valkey",
}


@dataclass(frozen=True, slots=True)
class _Reading:
    """Everything that is counted, of one moment or of what lay between two."""

    at: float
    totals: Reading
    changes: Reading
    calls: Reading
    seconds: Reading
    commands: Reading

    def since(self, before: "_Reading") -> "_Reading":
        """What was used since then."""
        return _Reading(
            self.at - before.at,
            spent(before.totals, self.totals),
            spent(before.changes, self.changes),
            spent(before.calls, self.calls),
            spent(before.seconds, self.seconds),
            spent(before.commands, self.commands),
        )

    def beyond(self, idle: "_Reading") -> "_Reading":
        """A job's share of it, without what the idle stack would have used in the same time."""
        share = self.at / idle.at

        def own(used: Reading, meanwhile: Reading) -> Reading:
            return per({name: value - share * meanwhile.get(name, 0.0) for name, value in used.items()}, _JOBS)

        return _Reading(
            self.at,
            own(self.totals, idle.totals),
            own(self.changes, idle.changes),
            own(self.calls, idle.calls),
            own(self.seconds, idle.seconds),
            own(self.commands, idle.commands),
        )


def run() -> list[Row]:
    """The figures; each is the median of three rounds."""
    with bench(lambda _: None) as made:
        made.start_dispatcher()
        for _ in range(os.cpu_count() or 2):
            made.start_worker(slots=WORKER_SLOTS)
        made.counters.scalar("SELECT set_config('enable_seqscan', 'off', false)")
        work(made)
        made.counters.vacuum()
        before = _read(made.counters)
        time.sleep(_IDLE_SECONDS - FLUSH_SECONDS)
        idle = _read(made.counters).since(before)
        rounds = []
        for _ in range(_ROUNDS):
            before = _read(made.counters)
            work(made)
            rounds.append(_read(made.counters).since(before).beyond(idle))
        for kind in (Kind.WORKER, Kind.DISPATCHER):
            made.stop(kind)
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "where.md").write_text("\n".join(_tables(rounds, idle)) + "\n", encoding="utf-8")
    return _rows(rounds, idle)


def work(made: Bench) -> None:
    """Submit the jobs of a round, and wait until they have ended and their records are sealed."""
    accepted(closed_loop(made.target(), clients=_CLIENTS, requests=_JOBS))
    wait_until(lambda: bool(made.counters.scalar(_IS_DONE)), timeout_seconds=180, what="the jobs", pause_seconds=0.25)


def _read(counters: Counters) -> _Reading:
    time.sleep(FLUSH_SECONDS)
    totals = counters.read()
    calls, seconds = counters.by_statement()
    return _Reading(time.monotonic(), totals, counters.changes(), calls, seconds, counters.by_command())


def _median(rounds: Iterable[Reading]) -> Reading:
    found = list(rounds)
    names = {name: None for each in found for name in each}
    return {name: statistics.median(each.get(name, 0.0) for each in found) for name in names}


def _rows(rounds: list[_Reading], idle: _Reading) -> list[Row]:
    totals, changes = _median(each.totals for each in rounds), _median(each.changes for each in rounds)
    rows = [Row(f"where_{key}", round(totals[key] * 1000, 2), "ms/job") for key in _PROCESSES]
    rows += [
        Row("where_cpu", round(sum(totals[key] for key in _PROCESSES) * 1000, 2), "ms/job"),
        Row("where_idle_cpu", round(100 * sum(idle.totals[key] for key in _PROCESSES) / idle.at, 1), "% of a core"),
        Row("where_statements", round(totals["postgres.statements"], 2), "a job"),
        Row("where_commits", round(totals["postgres.transactions"], 2), "a job"),
        Row("where_wal", round(totals["wal.bytes"]), "bytes/job"),
        Row("where_jobs_updates", round(changes["jobs.updated"], 2), "a job"),
        Row("where_jobs_updates_hot", round(changes["jobs.hot"], 2), "a job"),
        Row("where_jobs_scans", round(changes["jobs.scans"], 3), "a job"),
        Row("where_redis_commands", round(totals["redis.commands"], 2), "a job"),
    ]
    return rows


def _tables(rounds: list[_Reading], idle: _Reading) -> Iterable[str]:
    totals, changes = _median(each.totals for each in rounds), _median(each.changes for each in rounds)
    calls, seconds = _median(each.calls for each in rounds), _median(each.seconds for each in rounds)
    commands = _median(each.commands for each in rounds)
    yield from ("| processor time | ms a job | idle, % of a core |", "|---|---:|---:|")
    for key, name in _PROCESSES.items():
        yield f"| {name} | {totals[key] * 1000:.2f} | {100 * idle.totals[key] / idle.at:.2f} |"
    all_idle = 100 * sum(idle.totals[key] for key in _PROCESSES) / idle.at
    yield f"| all | {sum(totals[key] for key in _PROCESSES) * 1000:.2f} | {all_idle:.2f} |"
    yield from ("", "| Postgres | a job | idle, a second |", "|---|---:|---:|")
    for key, name in (
        ("postgres.statements", "statements, with `BEGIN` and `COMMIT`"),
        ("postgres.transactions", "commits"),
        ("wal.bytes", "bytes of WAL"),
    ):
        yield f"| {name} | {totals[key]:.2f} | {idle.totals[key] / idle.at:.2f} |"
    for key in sorted(changes):
        name, _, kind = key.rpartition(".")
        if changes[key] >= 0.01 and kind != "scanned":
            yield f"| `{name}`: {_KINDS[kind]} | {changes[key]:.2f} | {idle.changes[key] / idle.at:.2f} |"
    yield from ("", "| statement | a job | ms a job |", "|---|---:|---:|")
    for query in sorted(seconds, key=lambda each: -seconds[each])[:_STATEMENTS_SHOWN]:
        shown = query[:_STATEMENT_WIDTH].replace("|", "\\|")
        yield f"| `{shown}` | {calls[query]:.2f} | {seconds[query] * 1000:.3f} |"
    yield from ("", "| Valkey command | a job | idle, a second |", "|---|---:|---:|")
    for name in sorted(commands, key=lambda each: -commands[each]):
        if commands[name] >= 0.005 or idle.commands.get(name, 0.0) / idle.at >= 0.5:
            yield f"| `{name}` | {commands[name]:.2f} | {idle.commands.get(name, 0.0) / idle.at:.1f} |"


_KINDS = {
    "inserted": "rows inserted",
    "updated": "rows updated",
    "hot": "updates that were heap-only",
    "deleted": "rows deleted",
    "scans": "sequential scans",
    "lookups": "index scans",
}

"""What a running system has used so far, by process and by resource: two readings make the cost of what lay between.

Processor time is the kernel's (`/proc`), for the product's processes, for each Postgres backend by the login that it
serves, and for Valkey. Statements come from ``pg_stat_statements`` without those of the owner, which are the
benchmark's own.
"""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import psutil
import psycopg
import redis

_TICKS = os.sysconf("SC_CLK_TCK")

Reading = dict[str, float]
# Postgres' own bound on how long an idle connection keeps its counts to itself, and a second.
FLUSH_SECONDS = 11.0

_STATEMENTS = """
SELECT sum(calls) AS statements, sum(total_exec_time) / 1000 AS statement_seconds
FROM pg_stat_statements WHERE userid <> (SELECT oid FROM pg_roles WHERE rolname = current_user)
"""
# Each look of the dispatcher at one pool takes its lock once; constants are not in the text.
_POOL_ROUNDS = """
SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
WHERE query LIKE 'SELECT set_config(%pg_advisory_xact_lock(%'
"""
_INPUT_OUTPUT = """
SELECT coalesce(sum(writes) FILTER (WHERE object = 'wal'), 0),
  coalesce(sum(fsyncs) FILTER (WHERE object = 'wal'), 0),
  coalesce(sum(writes) FILTER (WHERE object = 'relation'), 0)
FROM pg_stat_io
"""
_CHANGES = """
SELECT coalesce(pg_partition_root(relid), relid)::regclass::text AS name, sum(n_tup_ins) AS inserted,
  sum(n_tup_upd) AS updated, sum(n_tup_hot_upd) AS hot, sum(n_tup_del) AS deleted, sum(seq_scan) AS scans,
  sum(seq_tup_read) AS scanned, sum(idx_scan) AS lookups
FROM pg_stat_user_tables WHERE schemaname = 'public' GROUP BY 1
"""
_BY_STATEMENT = """
SELECT query, sum(calls), sum(total_exec_time) / 1000 FROM pg_stat_statements
WHERE userid <> (SELECT oid FROM pg_roles WHERE rolname = current_user) GROUP BY 1
"""
_TABLES = """
SELECT coalesce(pg_partition_root(oid), oid)::regclass::text, sum(pg_total_relation_size(oid))
FROM pg_class WHERE relkind IN ('r', 'm') AND relnamespace = 'public'::regnamespace GROUP BY 1
"""


class Counters:
    """Reads them. `postgres_url` is the owner's; `processes` are the product's, by kind."""

    def __init__(self, postgres_url: str, client: "redis.Redis", valkey_pid: int) -> None:
        self._connection = psycopg.connect(postgres_url, autocommit=True, application_name="bench-counters")
        self._connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        self._redis = client
        self._valkey = valkey_pid
        self._postmaster = psutil.Process(self._connection.info.backend_pid).ppid()
        self._backends: dict[int, tuple[str, float]] = {}
        self.processes: dict[str, list[int]] = {}

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def read(self) -> Reading:
        """All counters, in seconds, bytes and counts since their servers started."""
        self._connection.execute("SELECT pg_stat_force_next_flush()")
        found: Reading = {f"cpu.{kind}": sum(map(_family_cpu, pids)) for kind, pids in self.processes.items()}
        found["cpu.redis"] = _cpu(self._valkey)
        found |= self._postgres_cpu()
        found |= self._row(("postgres.statements", "postgres.statement_seconds"), _STATEMENTS)
        found["dispatcher.pool_rounds"] = float(self.scalar(_POOL_ROUNDS))
        found |= self._row(("postgres.transactions",), "SELECT sum(xact_commit) FROM pg_stat_database")
        found |= self._row(("wal.bytes", "wal.full_pages"), "SELECT wal_bytes, wal_fpi FROM pg_stat_wal")
        found |= self._row(("wal.writes", "wal.fsyncs", "postgres.page_writes"), _INPUT_OUTPUT)
        stats = cast("Mapping[str, Any]", self._redis.info("stats"))
        found["redis.commands"] = float(stats["total_commands_processed"])
        memory = cast("Mapping[str, Any]", self._redis.info("memory"))
        found["redis.memory"] = float(memory["used_memory"])
        return found

    def tables(self) -> dict[str, int]:
        """Bytes of every table with its indexes and TOAST, partitions under their table's name."""
        return {name: int(size) for name, size in self._connection.execute(_TABLES).fetchall()}

    def changes(self) -> Reading:
        """Rows written to each table, and scans of it: ``jobs.updated``, for example. Partitions count as their table.

        An idle connection reports its own within `FLUSH_SECONDS`.
        """
        cursor = self._connection.execute(_CHANGES)
        assert cursor.description is not None
        kinds = [column.name for column in cursor.description][1:]
        return {
            f"{name}.{kind}": float(value or 0)
            for name, *values in cursor.fetchall()
            for kind, value in zip(kinds, values, strict=True)
        }

    def by_statement(self) -> tuple[Reading, Reading]:
        """How often each statement was executed, and the seconds that its executions took, without the owner's."""
        rows = self._connection.execute(_BY_STATEMENT).fetchall()
        named = [(" ".join(query.split()), float(calls), float(seconds)) for query, calls, seconds in rows]
        return {name: calls for name, calls, _ in named}, {name: seconds for name, _, seconds in named}

    def by_command(self) -> Reading:
        """How often Valkey executed each command."""
        stats = cast("Mapping[str, Mapping[str, Any]]", self._redis.info("commandstats"))
        return {name.removeprefix("cmdstat_"): float(each["calls"]) for name, each in stats.items()}

    def connections(self) -> dict[str, int]:
        """Connections that are open now, by login."""
        rows = self._connection.execute(
            "SELECT usename, count(*) FROM pg_stat_activity"
            " WHERE usename LIKE 'waybill\\_%' AND usename <> current_user GROUP BY 1"
        ).fetchall()
        return {name: int(count) for name, count in rows}

    def scalar(self, query: str) -> Any:
        """The one value of a query of the benchmark's own."""
        row = self._connection.execute(cast("Any", query)).fetchone()
        assert row is not None
        return row[0]

    def vacuum(self) -> None:
        """Vacuum everything: no run pays for what an earlier one left."""
        self._connection.execute("VACUUM (ANALYZE)")

    def checkpoint(self) -> None:
        """Write every changed page, so that the writes of what came before are counted and not left to what follows."""
        self._connection.execute("CHECKPOINT")

    def memory_mb(self, kind: str) -> float:
        """Resident memory of the processes of that kind, and of theirs."""
        return sum(each.memory_info().rss for pid in self.processes[kind] for each in _family(pid)) / 1e6

    def _postgres_cpu(self) -> Reading:
        """By login, with what has ended since; `background` is the server, `owner` the benchmark."""
        rows = self._connection.execute(
            "SELECT pid, usename FROM pg_stat_activity WHERE backend_type = 'client backend'"
        ).fetchall()
        for pid, login in rows:
            self._backends[pid] = (login, _cpu(pid) or self._backends.get(pid, (login, 0.0))[1])
        by_login: Counter[str] = Counter()
        for login, seconds in self._backends.values():
            by_login[login] += seconds  # type: ignore[assignment]
        postmaster = psutil.Process(self._postmaster)
        times = postmaster.cpu_times()
        # What it has reaped is in its children's times.
        total = times.user + times.system + times.children_user + times.children_system
        total += sum(_cpu(each.pid) for each in postmaster.children(recursive=True))
        ours = {f"postgres.cpu.{name.removeprefix('waybill_')}": value for name, value in by_login.items()}
        return {**ours, "postgres.cpu.background": total - sum(ours.values())}

    def _row(self, names: tuple[str, ...], query: str) -> Reading:
        row = self._connection.execute(cast("Any", query)).fetchone()
        assert row is not None
        return {name: float(value or 0) for name, value in zip(names, row, strict=True)}


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> Reading:
    """What was used between two readings."""
    return {name: after[name] - before.get(name, 0.0) for name in after}


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _family_cpu(pid: int) -> float:
    return sum(_cpu(each.pid) for each in _family(pid))


def _cpu(pid: int) -> float:
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / _TICKS

"""From the readings of `tests.bench.units` to the unit costs of the capacity model.

A cost is what is left of a load's reading when everything that is known is taken away: what an idle deployment uses in
that time, the jobs themselves, and the dispatcher's looks at its pools, which are counted.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from api.streaming import _POOL_SIZE as STREAMING_CONNECTIONS
from core.kit.settings import Settings
from tests.bench.counters import Reading
from waybill.capacity.units import RESOURCES
from workers.deliverer import _CONNECTIONS as DELIVERER_CONNECTIONS

# Our names of what the counters call otherwise.
_COUNTERS = {
    "statements": "postgres.statements",
    "statement_seconds": "postgres.statement_seconds",
    "transactions": "postgres.transactions",
    "wal_bytes": "wal.bytes",
    "wal_fsyncs": "wal.fsyncs",
    "page_writes": "postgres.page_writes",
    "redis_commands": "redis.commands",
    "redis_bytes_held": "redis.memory",
    **{f"cpu_{name}": f"cpu.{name}" for name in ("api", "worker", "dispatcher", "deliverer", "redis")},
}
_POSTGRES = ("api", "worker", "dispatcher", "deliverer", "background")
# Whose work in Postgres is none of the dispatcher's looks.
_SERVED = ("api", "worker", "deliverer")
_WITHOUT_LOOKS = "cpu_postgres_served"
_LOOKS = "dispatcher.pool_rounds"
# How long each table's rows are kept: `payloads_and_events` by the load, the others by the settings' defaults.
_CLOCKS = {
    "job_events": "payloads_and_events",
    "audit_records": "audit",
    "audit_seals": "audit",
    "ledger_entries": "ledger",
}
_NOISE = 0.1
_OF_LOOKS = (
    "cpu_dispatcher",
    "cpu_postgres",
    "statements",
    "statement_seconds",
    "transactions",
    "redis_commands",
)
Costs = dict[str, float]


def reduce_rounds(rounds: list[dict[str, Any]], *, median: Callable[[list[Any]], Any], pools: int) -> dict[str, Any]:
    """The unit costs: medians of the rounds' costs, by the names of `waybill.capacity.units`."""
    found = dict(median([_of_round(each, pools) for each in rounds]))
    found["phases"] = median([{name: _phase(phase) for name, phase in each["phases"].items()} for each in rounds])
    found["row_bytes"] = {**median([_rows(each) for each in rounds]), "kept_days": _kept_days()}
    # Later streams use the memory again that the first have left.
    found["stream"]["kb_per_stream"] = max(each["streams"]["kb_per_stream"] for each in rounds)
    # A busy machine makes fewer rounds, and each serves more jobs: the model bounds them itself.
    found["dispatcher"]["looks_per_job"] = max(_of_round(each, pools)["dispatcher"]["looks_per_job"] for each in rounds)
    found["memory_mb"] = median([each["memory_mb"] for each in rounds])
    found["connections"] = {
        "api": Settings.model_fields["database_pool_size"].default + STREAMING_CONNECTIONS,
        "worker_beside_slots": 3,
        # Its pool, and the one that holds its locks.
        "dispatcher": 6 + 1,
        "deliverer": DELIVERER_CONNECTIONS,
    }
    return dict(_rounded(found))


def described(machine: str, load_averages: list[float], rounds: int) -> dict[str, Any]:
    """Where and how they were measured."""
    return {
        "command": "python -m tests.bench.units",
        "on": datetime.now(UTC).date().isoformat(),
        "machine": machine,
        "rounds": rounds,
        "load_average_at_the_end_of_each": load_averages,
    }


def resources(reading: Mapping[str, float]) -> Costs:
    """A reading by the names of `RESOURCES`, with the looks at pools, and Postgres without them."""
    found = {name: reading.get(counter, 0.0) for name, counter in _COUNTERS.items()}
    found["cpu_postgres"] = sum(reading.get(f"postgres.cpu.{login}", 0.0) for login in _POSTGRES)
    served = sum(reading.get(f"postgres.cpu.{login}", 0.0) for login in _SERVED)
    return {**{name: found[name] for name in RESOURCES}, "looks": reading.get(_LOOKS, 0.0), _WITHOUT_LOOKS: served}


def _of_round(one: dict[str, Any], pools: int) -> dict[str, Any]:
    loads = {name: resources(reading) for name, reading in one["loads"].items()}
    seconds = {name: reading["seconds"] for name, reading in one["loads"].items()}
    jobs = {name: reading.get("jobs", 0.0) for name, reading in one["loads"].items()}
    idle = _scaled(loads["idle"], 1 / seconds["idle"])
    without_workers = _scaled(loads["without_workers"], 1 / seconds["without_workers"])
    phases = [resources(phase) for phase in one["phases"].values()]
    full = {name: sum(phase[name] for phase in phases) for name in phases[0]}
    plain = _left(loads["plain"], idle, seconds["plain"])
    looks = plain["looks"] - jobs["plain"] * full["looks"]
    # What the dispatcher does, in Postgres too, is split into a job's own part, in full rounds, and the looks. The rest
    # is that of the load, in which jobs come one at a time and share less than in a crowd.
    job = {name: full[name] if name in _OF_LOOKS else max(0.0, plain[name]) / jobs["plain"] for name in RESOURCES}
    look = {name: max(0.0, plain[name] - jobs["plain"] * job[name]) / looks for name in _OF_LOOKS}

    # A clock of ten milliseconds does not see an idle worker in Redis; its commands cost what others do.
    idle_worker = {name: max(0.0, idle[name] - without_workers[name]) / 2 for name in RESOURCES}
    idle_worker["cpu_redis"] = idle_worker["redis_commands"] * job["cpu_redis"] / job["redis_commands"]

    def extra(name: str, count: float) -> Costs:
        left = _left(loads[name], idle, seconds[name])
        more_looks = max(0.0, left["looks"] - jobs[name] * full["looks"])
        found = {}
        for each in RESOURCES:
            known = jobs[name] * job[each] + more_looks * look.get(each, 0.0) + idle[each] * seconds[name]
            more = loads[name][each] - known
            # A small difference of large readings is noise.
            found[each] = more / count if more > _NOISE * known else 0.0
        # The looks are most of what Postgres computes; next to them a webhook would be lost.
        served = loads[name][_WITHOUT_LOOKS] - idle[_WITHOUT_LOOKS] * seconds[name]
        served -= jobs[name] * plain[_WITHOUT_LOOKS] / jobs["plain"]
        return found | {"cpu_postgres": max(0.0, served) / count}

    note_kb = 32.0  # in the input, and again in the result
    return {
        "costs": {
            "job": {name: job[name] for name in RESOURCES},
            "payload_kb": extra("payload", jobs["payload"] * note_kb),
            "model_call": extra("calls", jobs["calls"] * one["counts"]["calls"]),
            "delta": extra("deltas", jobs["deltas"] * one["counts"]["deltas"]),
            "webhook": extra("webhooks", jobs["webhooks"]),
            "running_second": extra("running", seconds["running"] * one["counts"]["running"]),
            "look": {name: look.get(name, 0.0) for name in RESOURCES},
        },
        "idle": {name: without_workers[name] for name in RESOURCES},
        "idle_worker": idle_worker,
        "dispatcher": {
            "idle_looks_per_second": without_workers["looks"],
            "looks_per_job": looks / jobs["plain"],
            "pools": float(pools),
            "in_flight_row_seconds": max(0.0, one["in_flight_row_seconds"]),
        },
        "stream": {
            "kb_per_stream": one["streams"]["kb_per_stream"],
            "opening_api_cpu": one["streams"]["opening_api_cpu"],
            "opening_statements": one["streams"]["opening_statements"],
            "idle_api_cpu_per_second": max(0.0, one["streams"]["idle_total_cpu_per_second"] - idle["cpu_api"])
            / one["counts"]["streams"],
            "event_api_cpu": one["streams"]["event_api_cpu"],
            "event_redis_cpu": one["streams"]["event_redis_cpu"],
            "event_redis_commands": one["streams"]["event_redis_commands"],
        },
    }


def _left(load: Costs, idle: Costs, seconds: float) -> Costs:
    return {name: value - idle[name] * seconds for name, value in load.items()}


def _scaled(costs: Costs, factor: float) -> Costs:
    return {name: value * factor for name, value in costs.items()}


def _phase(reading: Reading) -> dict[str, float]:
    found = resources(reading)
    names = ("statements", "transactions", "wal_bytes", "wal_fsyncs", "redis_commands")
    shown = {name: found[name] for name in names}
    milliseconds = ("statement_seconds", "cpu_postgres", "cpu_api", "cpu_worker", "cpu_dispatcher")
    return shown | {f"{name.removesuffix('_seconds')}_ms": found[name] * 1000 for name in milliseconds}


def _rows(one: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Bytes by driver and clock, with indexes."""
    job: dict[str, float] = {}
    for phase in one["phases"].values():
        _add(job, _by_clock(phase), 1.0)
    plain = _by_clock(one["loads"]["plain"])
    counts = one["counts"]

    def extra(name: str, count: float) -> dict[str, float]:
        reading = one["loads"][name]
        grown = _by_clock(reading)
        share = reading["jobs"] / one["loads"]["plain"]["jobs"]
        return {clock: max(0.0, size - plain.get(clock, 0.0) * share) / count for clock, size in grown.items()}

    jobs = {name: reading.get("jobs", 0.0) for name, reading in one["loads"].items()}
    found = {
        "job": job,
        "payload_kb": extra("payload", jobs["payload"] * 32),
        "model_call": extra("calls", jobs["calls"] * counts["calls"]),
        "webhook": extra("webhooks", jobs["webhooks"]),
    }
    # The text of a payload is in the job's row, and leaves it earlier.
    text = found["payload_kb"]
    found["payload_kb"] = {"payloads_and_events": sum(text.values())}
    clocks = ("payloads_and_events", "jobs", "ledger", "audit")
    return {driver: {clock: sizes.get(clock, 0.0) for clock in clocks} for driver, sizes in found.items()}


def _by_clock(reading: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, size in reading.items():
        table = name.removeprefix("table.")
        # Records pass through the inbox; its room is used again.
        if name.startswith("table.") and table != "audit_inbox":
            _add(found, {_CLOCKS.get(table, "jobs"): size}, 1.0)
    return found


def _add(target: dict[str, float], other: Mapping[str, float], factor: float) -> None:
    for name, value in other.items():
        target[name] = target.get(name, 0.0) + value * factor


def _kept_days() -> dict[str, float]:
    clocks = {"payloads_and_events": "event", "jobs": "job", "ledger": "ledger", "audit": "audit"}
    return {
        clock: float(Settings.model_fields[f"retention_{setting}_days"].default) for clock, setting in clocks.items()
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value

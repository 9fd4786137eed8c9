"""Computes what a load needs: pods, connections, processor time, writes, storage, and the bottleneck.

A resource's use is the sum over the components of the load (`drivers`), each times its unit cost. Slots follow Little's
law; and the dispatcher, which looks at every pool in a round, counts the jobs in flight at each look (`round_seconds`).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from waybill.capacity.load import OTHER_POD, PODS, Limits, Load
from waybill.capacity.units import Units

# The interpreter runs one thread at a time, so a process uses one core; the dispatcher is one process.
CORES_PER_PROCESS = 1.0
# As many as were measured on one process (docs/reference/performance.md).
STREAMS_PER_API = 5000
# `workers.pools.Pool.limit`: running jobs of one pool, over all its workers.
JOBS_OF_A_POOL = 10_000
# A round that takes longer than the dispatcher's poll leaves free slots waiting.
ROUND_SECONDS_MAX = 0.25
# The dispatcher's pace (workers/dispatcher.py): its slower one starts where a pool's look-ahead passes three jobs.
PACE_SECONDS, PACE_UNDER_LOAD_SECONDS = 0.01, 0.025
LOAD_JOBS_PER_SECOND = 60.0
# The log is flushed by one process at a time, in about a millisecond on a network's disk; the others' commits join.
FLUSHES_PER_SECOND_MAX = 1000.0
# The default of WAYBILL_EVENT_STREAM_TTL_SECONDS.
STREAM_TTL_SECONDS = 900
_PAGE_MB = 8192 / 1e6
_DAYS_OF_MONTH = 30
_SECONDS_OF_DAY = 86_400
_SEARCH_MAX = 1e9

_OF_THE_UNITS = (
    "Unit costs are those of one machine, its data in memory; other cores differ.",
    "No project, key or batch is at a limit of its own (a project's is 64 jobs at once unless set).",
    "Backups, replicas, vacuum, searches in knowledge bases and analytical reads come on top.",
    "Writes are flushes of the log, at most one in a millisecond, and changed pages at checkpoints.",
    "Copies of pages in the log after a checkpoint (full_page_writes) come on top.",
)
REMEDIES: Mapping[str, str] = {
    "dispatcher processor": "Dispatchers that divide the pools among them (each pool has a lock of its own; today one"
    " process takes them all), then the sealing of the audit trail in a process of its own.",
    "dispatch round": "Counts of jobs in flight that are kept instead of counted anew for every pool; then sharding by"
    " organization, each shard with its own dispatcher.",
    "jobs of one pool": "A larger `limit` of the pool in workers/pools.py.",
    "Postgres processor": "A larger server; then read replicas for lists, reports and streams that catch up (one"
    " DATABASE_URL today); then sharding by organization (Citus, or a database each).",
    "Postgres write operations": "A disk with more IOPS (`storage_mb`, or Premium SSD v2); checkpoints further apart;"
    " then sharding by organization.",
    "Postgres write throughput": "Payloads out of the rows into blob storage (`WAYBILL_INLINE_PAYLOAD_MAX_BYTES`); a"
    " disk with more throughput; then sharding by organization.",
    "Postgres connections": "PgBouncer (port 6432), in transaction mode; the dispatcher stays on 5432.",
    "Postgres storage": "Shorter retention: the large tables are partitioned by month, and a month is dropped at once;"
    " then sharding by organization.",
    "Redis memory": "A larger instance; a shorter `WAYBILL_EVENT_STREAM_TTL_SECONDS`; fewer, larger deltas.",
    "Redis processor": "Queues and live events on instances of their own (one REDIS_URL today); fewer, larger deltas.",
}


@dataclass(frozen=True, slots=True)
class Use:
    """A resource that does not scale out: how much of it is needed, and how much is available after the headroom."""

    resource: str
    needed: float
    usable: float
    unit: str
    # In proportion to everything else of the load.
    full_at_jobs_per_minute: float = math.inf

    @property
    def share(self) -> float:
        """The share of the capacity in use: 1 is full, headroom kept."""
        return self.needed / self.usable


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods of a kind or pool, and the reason for their number."""

    kind: str
    pool: str | None
    count: int
    memory_mb: int
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The resources that a load needs. `uses` are in the order in which they are full as the load grows."""

    load: Load
    limits: Limits
    pods: tuple[Pods, ...]
    connections: int
    connections_pooled: int
    postgres_cores: float
    statements_per_second: float
    write_operations_per_second: float
    wal_mb_per_second: float
    redis_commands_per_second: float
    redis_cores: float
    storage_gb_per_month: Mapping[str, float]
    storage_gb_kept: float
    uses: tuple[Use, ...]

    @property
    def bottleneck(self) -> Use:
        """The resource that is full first as the load grows."""
        return self.uses[0]


def plan(load: Load, limits: Limits, units: Units) -> Plan:
    """The plan for `load` within `limits`."""
    found = _plan(load, limits, units)
    uses = [replace(use, full_at_jobs_per_minute=_full_at(use.resource, load, limits, units)) for use in found.uses]
    return replace(found, uses=tuple(sorted(uses, key=lambda use: use.full_at_jobs_per_minute)))


def _plan(load: Load, limits: Limits, units: Units) -> Plan:
    drivers = drivers_of(load, units)
    pods = _pods(load, units)
    workers = sum(each.count for each in pods if each.kind == "worker")
    connections = sum(each.count * _connections(each, units) for each in pods)
    busy = sum(units.used(name, drivers) + units.idle[name] for name in ("statement_seconds", "cpu_postgres"))
    # A transaction holds its connection for about as long again, while the client works and for network time.
    pooled = math.ceil(2 * busy / (1 - load.headroom)) + units.connections["dispatcher"]
    postgres = units.used("cpu_postgres", drivers) + units.idle["cpu_postgres"]
    postgres += _looks(load, units) * load.running_jobs * units.dispatcher["in_flight_row_seconds"]
    flushes = min(units.used("wal_fsyncs", drivers), FLUSHES_PER_SECOND_MAX)
    writes = flushes + units.used("page_writes", drivers)
    wal = units.used("wal_bytes", drivers) / 1e6
    pages = units.used("page_writes", drivers) * _PAGE_MB
    redis = units.used("redis_commands", drivers) + units.idle["redis_commands"]
    redis += workers * units.idle_worker["redis_commands"]
    events = load.jobs_per_second * load.deltas * min(1.0, load.open_streams / max(load.running_jobs, 1e-9))
    redis_cores = units.used("cpu_redis", drivers) + units.idle["cpu_redis"] + workers * units.idle_worker["cpu_redis"]
    # The cost of the delta itself is already included; the cost that its follower adds is not.
    redis_cores += events * max(0.0, units.stream["event_redis_cpu"] - units.costs["delta"]["cpu_redis"])
    held = units.used("redis_bytes_held", drivers) * STREAM_TTL_SECONDS / 1e9
    dispatcher = units.used("cpu_dispatcher", drivers) + units.idle["cpu_dispatcher"]
    storage, kept = _storage(load, units)
    free = 1 - load.headroom
    uses = (
        Use("dispatcher processor", dispatcher, CORES_PER_PROCESS * free, "cores"),
        Use("dispatch round", round_seconds(load, units), ROUND_SECONDS_MAX * free, "s"),
        Use("jobs of one pool", _largest_pool(load), JOBS_OF_A_POOL, "running jobs"),
        Use("Postgres processor", postgres, limits.postgres_cores * free, "cores"),
        Use("Postgres write operations", writes, limits.postgres_iops * free, "writes/s"),
        Use("Postgres write throughput", wal + pages, limits.postgres_mb_per_second * free, "MB/s"),
        Use("Postgres connections", connections, limits.postgres_connections * free, "connections"),
        Use("Postgres storage", kept, limits.postgres_storage_gb * free, "GB"),
        Use("Redis memory", held, limits.redis_gb * free, "GB"),
        Use("Redis processor", redis_cores, limits.redis_cores * free, "cores"),
    )
    return Plan(
        load=load,
        limits=limits,
        pods=pods,
        connections=connections,
        connections_pooled=pooled,
        postgres_cores=postgres,
        statements_per_second=units.used("statements", drivers) + units.idle["statements"],
        write_operations_per_second=writes,
        wal_mb_per_second=wal,
        redis_commands_per_second=redis,
        redis_cores=redis_cores,
        storage_gb_per_month=storage,
        storage_gb_kept=kept,
        uses=uses,
    )


def _full_at(resource: str, load: Load, limits: Limits, units: Units) -> float:
    low, high = 0.0, _SEARCH_MAX
    streams = None if load.streams is None else load.streams / load.jobs_per_minute
    for _ in range(60):
        middle = (low + high) / 2
        grown = replace(load, jobs_per_minute=middle, streams=None if streams is None else streams * middle)
        use = next(each for each in _plan(grown, limits, units).uses if each.resource == resource)
        low, high = (low, middle) if use.share > 1 else (middle, high)
    return low


def drivers_of(load: Load, units: Units) -> dict[str, float]:
    """The components of the load a second, with the dispatcher's looks beyond those of an idle deployment."""
    looks = max(0.0, _looks(load, units) - units.dispatcher["idle_looks_per_second"])
    return {**load.drivers, "look": looks}


def round_seconds(load: Load, units: Units) -> float:
    """Seconds in which the dispatcher looks at every pool once; each look counts the jobs in flight, under one lock."""
    look = units.costs["look"]
    counting = units.dispatcher["in_flight_row_seconds"] * load.running_jobs
    return len(load.pools) * (look["cpu_dispatcher"] + look["cpu_postgres"] + counting)


def _looks(load: Load, units: Units) -> float:
    """Looks at pools a second: a submission and an end wake the dispatcher, up to its pace."""
    measured_pools = units.dispatcher["pools"]
    rounds = units.dispatcher["idle_looks_per_second"] + units.dispatcher["looks_per_job"] * load.jobs_per_second
    busiest = load.jobs_per_second * max(pool.share for pool in load.pools.values())
    pace = PACE_UNDER_LOAD_SECONDS if busiest > LOAD_JOBS_PER_SECOND else PACE_SECONDS
    pace = max(pace, round_seconds(load, units))
    return len(load.pools) * min(rounds / measured_pools, 1 / pace)


def _largest_pool(load: Load) -> float:
    return load.jobs_per_second * max(pool.share * pool.seconds for pool in load.pools.values())


def _pods(load: Load, units: Units) -> tuple[Pods, ...]:
    free = CORES_PER_PROCESS * (1 - load.headroom)
    drivers, rate = drivers_of(load, units), load.jobs_per_second
    followed = load.open_streams / max(load.running_jobs, 1e-9)
    streamed = rate * load.deltas * min(1.0, followed) * units.stream["event_api_cpu"]
    opened = rate * followed * units.stream["opening_api_cpu"]
    api_cpu = units.used("cpu_api", drivers) + units.idle["cpu_api"] + streamed + opened
    api_cpu += load.open_streams * units.stream["idle_api_cpu_per_second"]
    by_cpu, by_streams = math.ceil(api_cpu / free), math.ceil(load.open_streams / STREAMS_PER_API)
    api = max(2, by_cpu, by_streams)
    reason = "two at least" if api == 2 else "streams" if by_streams > by_cpu else "processor"  # noqa: PLR2004
    api_memory = math.ceil(units.memory_mb["api"] + load.open_streams / api * units.stream["kb_per_stream"] / 1000)
    deliverers = max(2, math.ceil(units.used("cpu_deliverer", drivers) / free))
    return (
        Pods("api", None, api, api_memory, reason),
        Pods("dispatcher", None, 2, math.ceil(units.memory_mb["dispatcher"]), "one works, one stands by"),
        Pods("deliverer", None, deliverers, math.ceil(units.memory_mb["deliverer"]), "processor, two at least"),
        *_workers(load, units, free),
    )


def _workers(load: Load, units: Units, free: float) -> tuple[Pods, ...]:
    total = load.drivers
    pods: list[Pods] = []
    for name, pool in load.pools.items():
        slots, memory_mb = PODS.get(name, OTHER_POD)
        rate = load.jobs_per_second * pool.share
        cpu = units.used("cpu_worker", {driver: count * pool.share for driver, count in total.items()})
        by_cpu = math.ceil((cpu + rate * pool.cpu_seconds) / free)
        by_slots = math.ceil(rate * pool.seconds / (slots * (1 - load.headroom)))
        count = max(1, by_cpu, by_slots)
        reason = "one at least" if count == 1 else "processor" if by_cpu > by_slots else "slots"
        pods.append(Pods("worker", name, count, memory_mb, reason))
    return tuple(pods)


def _connections(pods: Pods, units: Units) -> int:
    if pods.pool is None:
        return units.connections[pods.kind]
    return PODS.get(pods.pool, OTHER_POD)[0] + units.connections["worker_beside_slots"]


def _storage(load: Load, units: Units) -> tuple[dict[str, float], float]:
    """GB a month by how long it is kept, and GB once every retention period has passed."""
    each = {"job": 1.0, "payload_kb": load.payload_kb, "model_call": load.model_calls, "webhook": load.webhooks}
    jobs_per_day = load.jobs_per_second * load.average_share * _SECONDS_OF_DAY
    days = {**units.row_bytes["kept_days"], "payloads_and_events": load.retention_days}
    month: dict[str, float] = {}
    total = 0.0
    for retention, kept_days in days.items():
        gb_per_day = (
            jobs_per_day * sum(units.row_bytes[driver][retention] * count for driver, count in each.items()) / 1e9
        )
        month[retention] = gb_per_day * _DAYS_OF_MONTH
        total += gb_per_day * kept_days
    return month, total


def assumptions(load: Load) -> list[str]:
    """The assumptions behind the figures, in sentences."""
    streams = "one open stream for every running job" if load.streams is None else f"{load.streams:,.0f} open streams"
    mix = ", ".join(f"{name} {pool.share:.1%} of {pool.seconds:g} s" for name, pool in load.pools.items())
    return [
        f"{load.jobs_per_minute:,.0f} jobs in the busiest minute; a month's mean is {load.average_share:.0%} of it.",
        f"The mix: {mix}.",
        f"A job: {load.payload_kb:g} kB of input and result in the row, {load.model_calls:g} model calls.",
        f"It streams {load.deltas:g} pieces of text and sends {load.webhooks:g} webhooks; {streams}.",
        "What a capability computes itself is in it only as far as --pool says: jobs wait for models elsewhere.",
        f"{load.headroom:.0%} of every resource stays free. A Python process uses one core at most.",
        *_OF_THE_UNITS,
    ]


def as_document(found: Plan, units: Units) -> dict[str, Any]:
    """The plan as a JSON document."""
    document = asdict(found)
    document["uses"] = [{**asdict(use), "share": use.share} for use in found.uses]
    document["bottleneck"] = {"resource": found.bottleneck.resource, "moves_it": REMEDIES[found.bottleneck.resource]}
    document["assumptions"] = assumptions(found.load)
    document["measured"] = dict(units.measured)
    return document

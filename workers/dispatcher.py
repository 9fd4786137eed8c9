"""The dispatcher: moves due jobs from Postgres to the broker, and recovers from lost workers and brokers.

One process owns a pool at a time, by an advisory lock of a transaction that it keeps open; others stand by and take
over within about a second of its end. Losing the lock unnoticed is harmless: every decision is made on rows, under a
lock of its own transaction.
"""

import threading
import zlib
from collections.abc import Mapping, Sequence
from time import monotonic
from uuid import UUID

import psycopg
import redis

from core.jobs import queue
from core.jobs.fairness import HORIZON_SECONDS, FairShare, Lookahead
from core.jobs.live import LivePublisher, hint_channel
from core.jobs.traces import write_dispatched, write_swept
from core.keys.sessions import repository as sessions
from core.kit.db import NOTICE_LOSS, STAY_OPEN, Database, HotTransaction, is_unavailable, prepare_threshold
from core.kit.logging import configure_logging, get_logger
from core.kit.metrics import (
    DISPATCHED_JOBS,
    MESSAGES_LOST,
    POOL_ROUND,
    POOL_SLOTS,
    SWEPT_CALLS,
    observe_swept,
    serve_metrics,
)
from core.kit.metrics.money import name_organizations
from core.kit.redis import connect
from core.kit.settings import Settings
from core.kit.signing import Signer
from core.kit.startup import wait_for_schema
from core.kit.telemetry import configure_tracing
from core.kit.termination import on_termination
from core.ledger import service as ledger
from core.ledger.prices.cache import PriceCache
from core.ledger.usage_checkpoints import UsageCheckpoints
from core.limits.repository import delete_usage
from pipelines.registry import version_of
from workers.broker import Broker, BrokerUnavailable
from workers.maintenance import Maintenance
from workers.pools import get_pool
from workers.statistics import Statistics

_LOCK_SPACE = 7_201_948
_MAINTENANCE_SECONDS = 60.0
_CONCURRENCY_SECONDS = 1.0
# The least time from the start of one round to the next. A hint that finds the dispatcher idle is served at once; under
# load, hints that arrive meanwhile are served together, which saves the database a round for each. In that time half of
# the look-ahead is used up.
_PACE_SECONDS = 0.01
_PACE_UNDER_LOAD_SECONDS = HORIZON_SECONDS / 2
_LOAD_LOOKAHEAD_JOBS = 3
# The number of jobs that a sweep logs individually.
_SWEPT_SHOWN = 50
_log = get_logger(__name__)


class PoolDispatcher:
    """Dispatching for one pool: its fair shares, its window, its sweeps."""

    def __init__(
        self, pool: str, database: Database, broker: Broker, publisher: LivePublisher, settings: Settings
    ) -> None:
        self.pool = pool
        self._database = database
        self._broker = broker
        self._publisher = publisher
        self._settings = settings
        self._shares = FairShare(settings.organization_weights)
        self._lookahead = Lookahead()
        self._concurrency: queue.Concurrency | None = None
        self._concurrency_read = 0.0

    def dispatch(self, slots: int) -> int:
        """Hand due jobs to the broker, as many as a window of `slots` and look-ahead has room for; returns how many."""
        window = min(slots + self._lookahead.jobs, get_pool(self.pool).limit)
        with self._database.hot_system() as transaction:
            flying, limits, due = self._open_round(transaction, window)
            chosen = self._shares.choose(
                due,
                slots=window - flying.of_pool[self.pool],
                in_flight=flying.of_scope,
                limits=limits,
                default_limit=self._settings.project_max_concurrent_jobs,
            )
            marked = {job.id: job for job in queue.mark(transaction.closing(), chosen)} if chosen else {}
        ordered = [job_id for job_id in chosen if job_id in marked]
        self._lookahead.observe(len(ordered), monotonic())
        if not ordered:
            return 0
        try:
            self._broker.push(self.pool, ordered)
        except BrokerUnavailable:
            # Some messages may have been sent; a job that is claimed meanwhile is no longer queued and stays so.
            with self._database.system() as session:
                queue.unmark_dispatched(session, ordered)
            raise
        DISPATCHED_JOBS.labels(self.pool).inc(len(ordered))
        write_dispatched(marked.values())
        return len(ordered)

    @property
    def lookahead_jobs(self) -> int:
        """The number of jobs handed out ahead of free slots at the current rate."""
        return self._lookahead.jobs

    def rest(self) -> None:
        """Observe that nothing was dispatched."""
        self._lookahead.observe(0, monotonic())

    def sweep(self) -> None:
        """Process deadlines, cancellations and leases: end or requeue jobs, and publish the changes."""
        with self._database.system() as session:
            events = queue.sweep(session, self.pool)
            orphans = queue.stop_orphans(session, self.pool)
        for job_id in orphans:
            self._publisher.control(job_id)
        if events:
            self._publisher.publish(events)
            write_swept(self._database.single_system(), events, version_of)
            for number, event in enumerate(events):
                reason = str(event.data.get("reason") or event.data.get("resumed"))
                observe_swept(self.pool, event.type, reason)
                if number < _SWEPT_SHOWN:
                    _log.info("job_swept", pool=self.pool, job_id=event.job_id, outcome=event.type, reason=reason)
            if len(events) > _SWEPT_SHOWN:
                _log.info("jobs_swept", pool=self.pool, count=len(events), shown=_SWEPT_SHOWN)

    def reconcile(self) -> None:
        """Make jobs due again whose message is lost."""
        single = self._database.single_system()
        stale = queue.unclaimed(single, self.pool, self._settings.redispatch_after_seconds)
        if not stale:
            return
        missing = sorted(set(stale) - self._broker.queued_ids(self.pool))
        if missing:
            with self._database.system() as session:
                count = queue.unmark_dispatched(session, missing)
            MESSAGES_LOST.labels(self.pool).inc(count)
            _log.warning("messages_missing", pool=self.pool, count=count)

    def unmark_dispatches(self) -> None:
        """Make every dispatched job due again: the broker lost its data."""
        with self._database.system() as session:
            count = queue.unmark_pool(session, self.pool)
        # A new or emptied broker that held none of our messages has lost nothing.
        if count:
            MESSAGES_LOST.labels(self.pool).inc(count)
            _log.warning("broker_lost_data", pool=self.pool, count=count)

    def _open_round(
        self, transaction: HotTransaction, window: int
    ) -> tuple[queue.InFlight, Mapping[UUID, int], list[queue.DueJob]]:
        # Jobs in flight are counted every time, under the lock; the limits may be a second old.
        now = monotonic()
        known = self._concurrency
        is_old = known is None or now - self._concurrency_read >= _CONCURRENCY_SECONDS
        # Which keys are full is known once the jobs in flight are counted; few installations limit keys.
        asks = None if known is None or known.project_of_key else queue.due_step(self.pool, window)
        opened = queue.open_round(transaction, with_limits=is_old, asks=asks)
        if opened.limits is not None:
            known, self._concurrency_read = opened.limits, now
            self._concurrency = known
        assert known is not None
        due = opened.due
        if due is None:
            due = queue.due(transaction, self.pool, window, known.full_keys(opened.in_flight))
        return opened.in_flight, known.limits, due


class Dispatcher:
    """The loop over the pools this process owns."""

    def __init__(self, settings: Settings, pools: Sequence[str]) -> None:
        self._settings = settings
        self._database = Database(settings, application_name="waybill-dispatcher", pool_size=6)
        self._redis = connect(settings)
        self._publisher = LivePublisher(self._redis, settings)
        self._usage_checkpoints = UsageCheckpoints(self._redis, settings)
        self._prices = PriceCache()
        self._broker = Broker(settings, self._redis)
        self._pools = {
            pool: PoolDispatcher(pool, self._database, self._broker, self._publisher, settings) for pool in pools
        }
        # An invalid key must stop the start, not a background thread.
        self._signer = Signer.from_settings(settings) if settings.signing_key is not None else None
        self._statistics = Statistics(settings, self._database)
        self._owned: set[str] = set()
        self._owner: psycopg.Connection[tuple[object, ...]] | None = None
        self._slots: dict[str, int] = {}
        self._slots_read = 0.0
        self._wake = threading.Event()
        # Set while few jobs are dispatched: then a hint starts a round.
        self._calm = threading.Event()
        self._calm.set()
        self._hears_hints = False
        self._has_due = True
        self._stop = threading.Event()
        self._quiet_until = 0.0
        # The owner of the first pool reports shared figures.
        self._first_pool = min(pools, default="")
        for pool in pools:
            POOL_ROUND.labels(pool).set(0)
            POOL_SLOTS.labels(pool).set(0)

    def stop(self) -> None:
        """Finish the current round and return from `run`."""
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Dispatch until `stop`. Outages of Postgres or Redis are waited out."""
        threading.Thread(target=self._listen_forever, name="hints", daemon=True).start()
        maintenance = Maintenance(self._settings, self._database, self._signer, self._publisher)
        loops = {
            "sealer": maintenance.seal_forever,
            "experiments": maintenance.guard_forever,
            "shadows": maintenance.shadow_forever,
            "batches": maintenance.batch_forever,
            "rollups": maintenance.roll_up_forever,
            "quality": maintenance.watch_quality_forever,
            "maintenance": maintenance.run_tasks_forever,
        }
        for name, loop in loops.items():
            threading.Thread(target=loop, args=(self._stop,), name=name, daemon=True).start()
        threading.Thread(
            target=self._statistics.read_forever,
            args=(self._stop, lambda: self._first_pool in self._owned),
            name="statistics",
            daemon=True,
        ).start()
        next_sweep = next_maintenance = 0.0
        while not self._stop.is_set():
            try:
                now = began = monotonic()
                if now >= next_sweep:
                    next_sweep = now + self._settings.dispatcher_sweep_seconds
                    self._own_pools()
                    self._sweep()
                if now >= next_maintenance and self._owned:
                    next_maintenance = now + _MAINTENANCE_SECONDS
                    self._run_maintenance()
                moved = self._dispatch()
            except Exception as error:  # noqa: BLE001 - whatever a round died of, the next one must come
                if not is_unavailable(error):
                    _log.exception("dispatcher_round_failed")
                else:
                    _log.warning("dispatcher_waits_for_postgres", error=type(error).__name__)
                self._disown()
                self._stop.wait(1.0)
                continue
            self._observe_load()
            if not moved:
                self._wake.wait(self._patience_seconds(next_sweep))
            self._wake.clear()
            pace_seconds = _PACE_SECONDS if self._calm.is_set() else _PACE_UNDER_LOAD_SECONDS
            self._stop.wait(max(0.0, began + pace_seconds - monotonic()))
        self._disown()
        self._broker.close()
        self._database.close()
        _log.info("dispatcher_stopped")

    def _observe_load(self) -> None:
        if any(self._pools[pool].lookahead_jobs > _LOAD_LOOKAHEAD_JOBS for pool in self._owned):
            self._calm.clear()
        else:
            self._calm.set()

    def _patience_seconds(self, next_sweep: float) -> float:
        """The wait for a hint, after a round that moved nothing."""
        if not self._calm.is_set():
            return _PACE_UNDER_LOAD_SECONDS
        poll_seconds = self._settings.dispatcher_poll_seconds
        # Jobs that are due later come without a hint.
        is_told = self._hears_hints and not self._has_due
        return max(poll_seconds, next_sweep - monotonic()) if is_told else poll_seconds

    def _dispatch(self) -> int:
        for pool in self._owned:
            POOL_ROUND.labels(pool).set_to_current_time()
        if monotonic() < self._quiet_until:
            return 0
        moved = 0
        with_due = queue.pools_with_due(self._database.single_system(), self._owned) if self._owned else set()
        self._has_due = bool(with_due)
        try:
            slots = self._read_slots()
            for pool in self._owned:
                if pool in with_due:
                    moved += self._pools[pool].dispatch(slots[pool])
                else:
                    self._pools[pool].rest()
        except BrokerUnavailable as error:
            self._quiet_until = monotonic() + 1.0
            _log.warning("dispatcher_waits_for_redis", error=str(error))
            return 0
        return moved

    def _read_slots(self) -> dict[str, int]:
        settings = self._settings
        kept_seconds = settings.dispatcher_poll_seconds if self._has_due else settings.dispatcher_sweep_seconds
        now = monotonic()
        if self._slots.keys() != self._owned or now - self._slots_read >= kept_seconds:
            self._slots = self._broker.slots(sorted(self._owned)) if self._owned else {}
            self._slots_read = now
            for pool, slots in self._slots.items():
                POOL_SLOTS.labels(pool).set(slots)
        return self._slots

    def _sweep(self) -> None:
        # In most pools there is nothing to do, and finding nothing in one takes a dozen round trips.
        busy = set()
        if self._owned:
            age_seconds = self._settings.redispatch_after_seconds
            busy = queue.pools_to_sweep(self._database.single_system(), self._owned, age_seconds)
        for pool in busy:
            self._pools[pool].sweep()
        if self._owned:
            settled = ledger.sweep(
                self._database,
                grace_seconds=self._settings.lease_seconds,
                checkpoints=self._usage_checkpoints,
                prices=self._prices,
            )
            SWEPT_CALLS.inc(settled)
        try:
            if self._owned and self._broker.lost_its_data():
                for pool in self._owned:
                    self._pools[pool].unmark_dispatches()
            for pool in busy:
                self._pools[pool].reconcile()
        except BrokerUnavailable as error:
            _log.warning("dispatcher_waits_for_redis", error=str(error))

    def _run_maintenance(self) -> None:
        ledger.release_ended(self._database)
        with self._database.system() as session:
            queue.ensure_partitions(session)
            queue.delete_idempotency_keys(session)
            sessions.sweep(session)
            delete_usage(session)

    def _own_pools(self) -> None:
        """Take the lock of every unowned pool; notice when our own connection is lost."""
        if self._owner is None:
            url = self._database.url.set(drivername="postgresql").render_as_string(hide_password=False)
            self._owner = psycopg.connect(
                url,
                application_name="waybill-dispatcher-owner",
                connect_timeout=3,
                prepare_threshold=prepare_threshold(self._settings),
                **NOTICE_LOSS,
            )
            # With a transaction pooler, a session's lock would stay with a connection that others use later. Committed
            # reads keep no snapshot between statements, so that the open transaction does not hold back vacuum.
            self._owner.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            self._owner.execute(STAY_OPEN)
        for pool in self._pools:
            if pool in self._owned:
                continue
            row = self._owner.execute(
                "SELECT pg_try_advisory_xact_lock(%s, %s)", (_LOCK_SPACE, zlib.crc32(pool.encode()) & 0x7FFFFFFF)
            ).fetchone()
            if row is not None and row[0]:
                self._owned.add(pool)
                _log.info("pool_owned", pool=pool)
        if self._owned:
            self._owner.execute("SELECT 1")

    def _disown(self) -> None:
        self._owned.clear()
        self._slots = {}
        for pool in self._pools:
            POOL_SLOTS.labels(pool).set(0)
        self._statistics.clear()
        if self._owner is not None:
            self._owner.close()
            self._owner = None

    def _listen_forever(self) -> None:
        while not self._stop.is_set():
            if not self._calm.wait(1.0):
                continue
            try:
                with self._redis.pubsub() as pubsub:  # type: ignore[no-untyped-call]
                    pubsub.subscribe(hint_channel(self._settings))
                    while self._calm.is_set() and not self._stop.is_set():
                        # The first message confirms the subscription: hints before it may have been missed.
                        if pubsub.get_message(timeout=1.0) is not None:
                            self._hears_hints = True
                            self._wake.set()
            except (redis.RedisError, OSError) as error:
                _log.warning("hint_channel_lost", error=type(error).__name__)
                self._hears_hints = False
                self._stop.wait(2.0)
            self._hears_hints = False


def main(settings: Settings) -> None:
    """Run a dispatcher for every pool until SIGTERM or SIGINT; finishes its round first."""
    from pipelines.registry import pools

    configure_logging(settings, service="dispatcher")
    wait_for_schema(settings)
    configure_tracing(settings, service="dispatcher")
    name_organizations(settings.metrics_organizations)
    if settings.metrics_port:
        serve_metrics(settings.metrics_port, settings.metrics_host)
    dispatcher = Dispatcher(settings, pools())
    on_termination(dispatcher.stop)
    _log.info("dispatcher_started", pools=list(pools()))
    dispatcher.run()

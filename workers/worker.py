"""A worker process: a Celery worker for one pool, with its presence, its drain and a watch over its consumption."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any

import redis
from celery import signals
from celery.worker import state

from core.kit import scratch
from core.kit.logging import configure_logging, get_logger
from core.kit.metrics import WORKER_SLOTS, WORKER_SLOTS_BUSY, serve_metrics
from core.kit.metrics.money import name_organizations
from core.kit.redis import connect
from core.kit.settings import Settings
from core.kit.startup import wait_for_schema
from core.kit.telemetry import configure_tracing
from workers.app import app, queue
from workers.broker import PRESENCE_SECONDS, Broker, BrokerUnavailable
from workers.pools import Pool, get_pool
from workers.recycling import Cause, WorkerRecycling
from workers.runtime import drain, get_runtime
from workers.supervisor import READY, RETIRES

_EXIT_NOT_CONSUMING = 75
_log = get_logger(__name__)


class Presence:
    """Announces the worker's slots, and ends a worker that has stopped consuming.

    A Celery worker can keep its process and its heartbeat while its consumer is dead (celery#10302, celery#8030). So
    consumption itself is tested: free slots, messages in the queue, and nothing taken for too long.
    """

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._redis = connect(settings)
        self._broker = Broker(settings, self._redis)
        self._stopped = threading.Event()
        self._last_taken = monotonic()

    def start(self) -> None:
        """Start announcing."""
        threading.Thread(target=self._run, name="presence", daemon=True).start()

    def taken(self, **_: Any) -> None:
        """A message was received."""
        self._last_taken = monotonic()

    def leave(self) -> None:
        """Take nothing new."""
        self._stopped.set()
        try:
            self._broker.withdraw(self._pool.name, self._name, self._pool.concurrency)
        except redis.RedisError as error:
            _log.warning("presence_not_withdrawn", error=type(error).__name__)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._broker.announce(self._pool.name, self._name, self._pool.concurrency)
                self._watch_consumption(self._broker.depth(self._pool.name))
            except (redis.RedisError, BrokerUnavailable) as error:
                self._last_taken = monotonic()
                _log.warning("presence_not_announced", error=type(error).__name__)
            self._stopped.wait(PRESENCE_SECONDS / 5)

    def _watch_consumption(self, waiting: int) -> None:
        busy = len(state.reserved_requests) >= self._pool.concurrency
        if waiting == 0 or busy:
            self._last_taken = monotonic()
            return
        idle_seconds = monotonic() - self._last_taken
        if idle_seconds >= self._settings.consumption_timeout_seconds:
            _log.critical("worker_stopped_consuming", idle_seconds=round(idle_seconds, 1), waiting=waiting)
            # Leases of running jobs are lost with the process and their jobs start again elsewhere; a supervisor
            # (Kubernetes, `waybill up`) starts a worker that consumes.
            os._exit(_EXIT_NOT_CONSUMING)


def main(
    settings: Settings,
    pool_name: str,
    concurrency: int | None = None,
    *,
    notify: Callable[[str], None] = lambda _: None,
) -> int:
    """Run a worker of `pool_name` until SIGTERM or SIGINT; returns the process's exit code.

    On SIGTERM it takes nothing new, lets running jobs finish for ``drain_seconds`` and then returns the others to the
    queue, without counting the attempt as a failure. A worker that outgrew its limits ends the same way, but lets
    running jobs finish for as long as they need; `notify` is called when it is ready and when it retires.
    """
    row = get_pool(pool_name, settings.worker_memory_mb)
    pool = replace(row, concurrency=concurrency or row.concurrency)
    configure_logging(settings, service=f"worker-{pool.name}")
    # Celery writes several lines per task; our own say more and name the job.
    for name in ("celery.worker.strategy", "celery.worker.request", "celery.app.trace", "celery.pool"):
        logging.getLogger(name).setLevel(logging.WARNING)
    wait_for_schema(settings)
    configure_tracing(settings, service=f"worker-{pool.name}")
    # Left over from the files of a killed worker's jobs.
    scratch.sweep()
    name_organizations(settings.metrics_organizations)
    WORKER_SLOTS.labels(pool.name).set(pool.concurrency)
    WORKER_SLOTS_BUSY.labels(pool.name).set(0)
    metrics = serve_metrics(settings.metrics_port, settings.metrics_host) if settings.metrics_port else None
    presence = Presence(pool, settings)
    retiring = threading.Event()

    def retire(cause: Cause) -> None:
        retiring.set()
        presence.leave()
        if metrics is not None:
            # The successor serves them now; metrics of this process are lost with it.
            metrics[0].shutdown()
            metrics[0].server_close()
        notify(f"{RETIRES} {cause}")
        os.kill(os.getpid(), signal.SIGTERM)

    recycling = WorkerRecycling(pool, settings.worker_max_jobs, retire=retire)

    def ready(**_: Any) -> None:
        if pool.kind == "threads":
            get_runtime(pool_size=pool.concurrency + 3).warm(pool.name)
        presence.start()
        recycling.start()
        notify(READY)
        _log.info("worker_ready", pool=pool.name, kind=pool.kind, concurrency=pool.concurrency)

    def stopping(**_: Any) -> None:
        if retiring.is_set():
            # Running jobs have all the time they need; the next SIGTERM comes from outside and means now.
            retiring.clear()
            return
        presence.leave()
        timer = threading.Timer(settings.drain_seconds, drain.begin)
        timer.daemon = True
        timer.start()
        _log.info("worker_draining", pool=pool.name, drain_seconds=settings.drain_seconds)

    def forked(**_: Any) -> None:
        get_runtime().warm(pool.name)

    signals.worker_ready.connect(ready, weak=False)
    signals.worker_process_init.connect(forked, weak=False)
    signals.worker_shutting_down.connect(stopping, weak=False)
    signals.task_received.connect(presence.taken, weak=False)
    signals.task_received.connect(recycling.taken, weak=False)
    signals.setup_logging.connect(_keep_our_logging, weak=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    app.amqp.queues.select_add(queue(pool.name), routing_key=queue(pool.name).routing_key)
    worker = app.Worker(
        hostname=f"{pool.name}-{os.getpid()}@{socket.gethostname()}",
        pool=pool.kind,
        concurrency=pool.concurrency,
        queues=[queue(pool.name).name],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=False,
        # For Flower; every two seconds unless it is given.
        heartbeat_interval=10,
        task_events=True,
        loglevel=settings.log_level,
        optimization="fair",
        # Its banner is not a log line.
        quiet=True,
        # Celery itself does this for the children of a prefork pool; in a thread pool they are the process.
        max_tasks_per_child=settings.worker_max_jobs or None,
        max_memory_per_child=pool.memory_mb * 1000,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _keep_our_logging(**_: Any) -> None:
    """Connected to Celery's signal, so that it leaves the logging configuration unchanged."""

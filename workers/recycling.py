"""Watches the growth of a worker process, and reports when another should replace it.

At its limit the process *retires*: it takes nothing new and finishes its running jobs. A job that keeps growing
would take the machine's memory, and other processes with it, so at twice the limit the process ends at once. The
leases of its jobs expire, and each continues in isolation (`workers.isolated`).
"""

import os
import threading
from collections.abc import Callable
from typing import Any, Literal

from celery.worker import state

from core.kit.logging import get_logger
from core.kit.parentage import resident_mb
from workers.pools import Pool

EXIT_TOO_LARGE = 76
Cause = Literal["memory", "jobs"]
_TOO_MUCH = 2
# A process that runs nothing does not grow.
_LOOK_SECONDS, _IDLE_LOOK_SECONDS = 0.25, 2.0
_log = get_logger(__name__)


class WorkerRecycling:
    """The limits of one process; `retire` is called once, with the cause, from a separate thread."""

    def __init__(self, pool: Pool, max_jobs: int, *, retire: Callable[[Cause], None]) -> None:
        self._pool = pool
        self._max_jobs = max_jobs
        self._retire = retire
        self._jobs = 0
        self._begins = threading.Event()
        self._is_retired = False

    def start(self) -> None:
        """Start watching."""
        threading.Thread(target=self._watch, name="recycling", daemon=True).start()

    def taken(self, **_: Any) -> None:
        """Count a job."""
        self._jobs += 1
        self._begins.set()

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            # Of a message that comes now, Celery knows a moment later.
            if not state.reserved_requests and not self._begins.wait(_IDLE_LOOK_SECONDS):
                self._judge(resident_mb())
                continue
            self._begins.clear()
            pause.wait(_LOOK_SECONDS)
            self._judge(resident_mb())

    def _judge(self, memory_mb: float) -> None:
        if memory_mb > _TOO_MUCH * self._pool.memory_mb:
            _log.critical(
                "worker_too_large", pool=self._pool.name, memory_mb=round(memory_mb), bound_mb=self._pool.memory_mb
            )
            os._exit(EXIT_TOO_LARGE)
        if self._is_retired:
            return
        if memory_mb > self._pool.memory_mb:
            self._end("memory", memory_mb)
        elif 0 < self._max_jobs <= self._jobs:
            self._end("jobs", memory_mb)

    def _end(self, cause: Cause, memory_mb: float) -> None:
        self._is_retired = True
        # Reaching the number of jobs is normal.
        log = _log.warning if cause == "memory" else _log.info
        log("worker_retires", pool=self._pool.name, cause=cause, memory_mb=round(memory_mb), jobs_taken=self._jobs)
        self._retire(cause)

"""Watches what a worker process has grown to, and says when another should take its place.

At its bound the process is to *retire*: it takes nothing new and finishes what it runs. A job that goes on growing
would take the machine's memory, and other processes with it, so at twice the bound the process ends at once; the leases
of its jobs run out and each goes on alone (`workers.alone`).
"""

import os
import threading
from collections.abc import Callable
from typing import Any, Literal

from core.kit.logging import get_logger
from core.kit.parentage import resident_mb
from workers.pools import Pool

EXIT_TOO_LARGE = 76
Cause = Literal["memory", "jobs"]
_TOO_MUCH = 2
_LOOK_SECONDS = 0.25
_log = get_logger(__name__)


class Lifespan:
    """The bounds of one process; `retire` is called once, with the cause, from a thread of its own."""

    def __init__(self, pool: Pool, max_jobs: int, *, retire: Callable[[Cause], None]) -> None:
        self._pool = pool
        self._max_jobs = max_jobs
        self._retire = retire
        self._jobs = 0
        self._is_retired = False

    def start(self) -> None:
        """Watch from now on."""
        threading.Thread(target=self._watch, name="lifespan", daemon=True).start()

    def taken(self, **_: Any) -> None:
        """A job was taken."""
        self._jobs += 1

    def _watch(self) -> None:
        look = threading.Event()
        while not look.wait(_LOOK_SECONDS):
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
        # One that has run its number of jobs is as it should be.
        log = _log.warning if cause == "memory" else _log.info
        log("worker_retires", pool=self._pool.name, cause=cause, memory_mb=round(memory_mb), jobs_taken=self._jobs)
        self._retire(cause)

"""When keys were last used: noted in memory while a request is served, written later by a dedicated thread."""

import threading
from datetime import timedelta
from time import monotonic
from uuid import UUID

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from core.keys import repository
from core.kit.db import Database
from core.kit.logging import get_logger

_RECORDED_MAX = 10_000
_log = get_logger(__name__)


class KeyUsage:
    """Writes ``last_used_at`` at most once per key and `every_seconds`, across all processes.

    `gather_seconds` is how long uses are collected into one statement. A use that cannot be written is retried with the
    next ones; the next use makes up for one lost in a crash.
    """

    def __init__(self, database: Database, *, every_seconds: float = 60.0, gather_seconds: float = 1.0) -> None:
        self._database = database
        self._every_seconds = every_seconds
        self._gather_seconds = gather_seconds
        self._lock = threading.Lock()
        self._recorded: dict[UUID, float] = {}
        self._pending: set[UUID] = set()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="key-usage", daemon=True)

    def start(self) -> None:
        """Start the writing thread."""
        self._thread.start()

    def close(self) -> None:
        """Write the remaining uses and stop."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def record_use(self, key_id: UUID) -> None:
        """Note that a key was used. Costs a dictionary lookup."""
        now = monotonic()
        with self._lock:
            if now - self._recorded.get(key_id, float("-inf")) < self._every_seconds:
                return
            if len(self._recorded) >= _RECORDED_MAX:
                self._recorded.clear()
            self._recorded[key_id] = now
            self._pending.add(key_id)
        self._wake.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._closing.wait(self._gather_seconds)
            self._wake.clear()
            self._write()

    def _write(self) -> None:
        with self._lock:
            taken = sorted(self._pending)
            self._pending.clear()
        if not taken:
            return
        try:
            repository.touch_keys(self._database.single_system(), taken, timedelta(seconds=self._every_seconds))
        except (SQLAlchemyError, psycopg.Error) as error:
            _log.warning("key_usage_not_written", keys=len(taken), error=type(error).__name__)
            with self._lock:
                self._pending.update(taken)

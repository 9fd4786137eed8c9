"""Caches database answers in the process for a moment, and refreshes them before anyone has to wait for them."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

from core.kit.db import Executor, SingleStatement

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

# After this part of its lifetime, an answer that is used is refreshed in the background.
_RENEW_FROM = 0.4


@dataclass(frozen=True, slots=True)
class Remembered(Generic[Value]):
    """An answer, and when it was requested, by `time.monotonic`.

    An answer's age counts from before the query, so that a slow query does not extend it.
    """

    value: Value
    asked_at: float


class Memory(Generic[Key, Value]):
    """Answers by key, none older than `seconds`. Thread-safe: a race costs an extra query.

    A key in steady use is refreshed by the database's background thread, so that only its first use waits.
    """

    def __init__(self, seconds: float, *, entries_max: int) -> None:
        self._seconds = seconds
        self._entries_max = entries_max
        self._entries: dict[Key, Remembered[Value]] = {}
        self._renewing: set[Key] = set()
        self._evictions = 0
        self._lock = Lock()

    def get(self, executor: Executor, key: Key, read: Callable[[Executor], Value]) -> Remembered[Value]:
        """The answer for `key`: cached, or `read` now. Raises the exceptions of `read`."""
        known = self._entries.get(key)
        age = monotonic() - known.asked_at if known is not None else 0.0
        if known is None or age > self._seconds:
            return self._read(executor, key, read)
        if age > self._seconds * _RENEW_FROM and isinstance(executor, SingleStatement):
            self._renew(executor, key, read)
        return known

    def evict(self) -> None:
        """Discard all answers, including those of queries still running."""
        with self._lock:
            self._evictions += 1
            self._entries.clear()

    def _renew(self, executor: SingleStatement, key: Key, read: Callable[[Executor], Value]) -> None:
        with self._lock:
            if key in self._renewing:
                return
            self._renewing.add(key)

        def renew() -> None:
            try:
                self._read(executor, key, read)
            finally:
                self._renewing.discard(key)

        executor.in_background(renew)

    def _read(self, executor: Executor, key: Key, read: Callable[[Executor], Value]) -> Remembered[Value]:
        evictions, asked_at = self._evictions, monotonic()
        answer = Remembered(read(executor), asked_at)
        with self._lock:
            if evictions == self._evictions:
                if len(self._entries) >= self._entries_max:
                    self._entries.clear()
                self._entries[key] = answer
        return answer

"""Answers of the database that a process remembers for a moment, and renews before anyone has to wait for them."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

from core.kit.db import Executor, SingleStatement

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

# From this part of its life on, an answer that is used is asked for again, beside whoever uses it.
_RENEW_FROM = 0.4


@dataclass(frozen=True, slots=True)
class Remembered(Generic[Value]):
    """An answer, and when it was asked for, by `time.monotonic`.

    An answer's age counts from before the question, so that a slow query does not stretch it.
    """

    value: Value
    asked_at: float


class Memory(Generic[Key, Value]):
    """Answers by key, none older than `seconds`. Safe in threads: a race costs a query too many.

    A key in steady use is renewed by the database's background thread, so that nobody waits for it but the first.
    """

    def __init__(self, seconds: float, *, entries_max: int) -> None:
        self._seconds = seconds
        self._entries_max = entries_max
        self._entries: dict[Key, Remembered[Value]] = {}
        self._renewing: set[Key] = set()
        self._forgotten = 0
        self._lock = Lock()

    def get(self, executor: Executor, key: Key, read: Callable[[Executor], Value]) -> Remembered[Value]:
        """The answer for `key`: remembered, or `read` now. Raises what `read` raises."""
        known = self._entries.get(key)
        age = monotonic() - known.asked_at if known is not None else 0.0
        if known is None or age > self._seconds:
            return self._read(executor, key, read)
        if age > self._seconds * _RENEW_FROM and isinstance(executor, SingleStatement):
            self._renew(executor, key, read)
        return known

    def forget(self) -> None:
        """Ask anew from now on; also what is being asked at this moment is not kept."""
        with self._lock:
            self._forgotten += 1
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
        forgotten, asked_at = self._forgotten, monotonic()
        answer = Remembered(read(executor), asked_at)
        with self._lock:
            if forgotten == self._forgotten:
                if len(self._entries) >= self._entries_max:
                    self._entries.clear()
                self._entries[key] = answer
        return answer

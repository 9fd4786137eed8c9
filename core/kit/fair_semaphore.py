"""A fair semaphore: a limited number of threads at once, first come, first served."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from sqlalchemy.exc import TimeoutError as PoolTimeout


class FairSemaphore:
    """Admits `places` threads at a time, in order of arrival; `threading.Semaphore` promises no order."""

    def __init__(
        self, places: int, timeout_seconds: float, *, waited: Callable[[float, bool], None] = lambda _, __: None
    ) -> None:
        """`waited` receives the seconds of each wait, and whether a slot became free in time."""
        self._free = places
        self._timeout_seconds = timeout_seconds
        self._waited = waited
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot during the block. Raises SQLAlchemy's `TimeoutError` when none became free in time."""
        if not self._acquire():
            raise PoolTimeout(f"no connection came free within {self._timeout_seconds:g} s")
        try:
            yield
        finally:
            self._release()

    def _acquire(self) -> bool:
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        began = monotonic()
        has_place = mine.acquire(timeout=self._timeout_seconds)
        if not has_place:
            with self._lock:
                if mine in self._waiting:
                    self._waiting.remove(mine)
                else:
                    has_place = True  # it was handed over just when the time ran out
        self._waited(monotonic() - began, has_place)
        return has_place

    def _release(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

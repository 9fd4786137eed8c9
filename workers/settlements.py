"""Writes settlements in the background, so that a call's caller continues with its answer meanwhile.

No later change may be visible before a call's settlement: everything that persists or ends something for the attempt
waits for it first (`Settlements.wait`). ``docs/adr/0019-settlements-behind-the-call.md`` gives the reasons.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

# A settlement takes a few milliseconds and a connection; an attempt writes its own one after the other.
_THREADS = 4


class SettlementWriter:
    """The threads of a process that write settlements. They start with the first one; create it after any fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    def submit(self, write: Callable[[], None]) -> "Future[None]":
        """Call `write` soon, in the caller's context (trace, log fields)."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="settlement")
            return self._threads.submit(copy_context().run, write)

    def close(self) -> None:
        """Write the submitted settlements, and end the threads."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown()


class Settlements:
    """The pending settlements of one attempt. Safe in threads."""

    def __init__(self, writer: SettlementWriter) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._pending: list[Future[None]] = []

    def write_behind(self, write: Callable[[], None]) -> None:
        """Call `write` in another thread. The next `wait` raises its error."""
        with self._lock:
            self._pending.append(self._writer.submit(write))

    def wait(self) -> None:
        """Wait until every pending settlement is written; costs nothing when there is none.

        Raises the first error among them, once all have ended.
        """
        with self._lock:
            pending = list(self._pending)
        if not pending:
            return
        errors = [error for each in pending if (error := each.exception()) is not None]
        with self._lock:
            # Not before they have ended: other threads that wait by then wait for the same ones.
            self._pending = [each for each in self._pending if each not in pending]
        if errors:
            raise errors[0]

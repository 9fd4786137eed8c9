"""Settlements are written behind the call that they settle: whoever made it goes on with its answer meanwhile.

Nothing that comes after a call may be known before its settlement is: whatever keeps or ends something for the attempt
waits for it first (`Settlements.wait`). ``docs/adr/0019-settlements-behind-the-call.md`` gives the reasons.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

# A settlement takes a few milliseconds and a connection; an attempt writes its own one after the other.
_THREADS = 4


class SettlementWriter:
    """The threads of a process that write settlements. They start with the first one; made after any fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    def submit(self, write: Callable[[], None]) -> "Future[None]":
        """Have `write` called soon, in the context (trace, log fields) of whoever asks for it."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="settlement")
            return self._threads.submit(copy_context().run, write)

    def close(self) -> None:
        """Write what was submitted, and end the threads."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown()


class Settlements:
    """What one attempt has on its way. Safe in threads."""

    def __init__(self, writer: SettlementWriter) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._pending: list[Future[None]] = []

    def write_behind(self, write: Callable[[], None]) -> None:
        """Have `write` called in another thread. What it raises, the next `wait` raises."""
        with self._lock:
            self._pending.append(self._writer.submit(write))

    def wait(self) -> None:
        """Until everything that was on its way is written; free when nothing is.

        Raises the first error among them, once every one of them has ended.
        """
        with self._lock:
            pending = list(self._pending)
        if not pending:
            return
        errors = [error for each in pending if (error := each.exception()) is not None]
        with self._lock:
            # Not before they have ended: whoever else waits by then waits for the same ones.
            self._pending = [each for each in self._pending if each not in pending]
        if errors:
            raise errors[0]

"""One event loop in a thread, for clients whose calls must be interruptible.

A synchronous socket read can not be woken from outside, so a call that waits for a slow model would notice its
cancellation only at the next byte. An asynchronous task can be cancelled at any moment, and closes its socket then.
"""

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any, TypeVar

Item = TypeVar("Item")

_ASK_EVERY_SECONDS = 0.1
_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _End:
    """The last entry of a queue: how the producer ended."""

    error: BaseException | None


class LoopThread:
    """A daemon thread that runs an event loop. It starts at the first use, so that a fork before it does no harm."""

    def __init__(self) -> None:
        self._starting = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    def iterate(
        self, produce: Callable[[], AsyncIterator[Item]], check: Callable[[], None]
    ) -> Generator[Item, None, None]:
        """The items of ``produce()``, which runs in the loop, handed over as they come.

        `check` is called ten times a second while waiting. When it raises, or when the generator is closed, the
        producer is cancelled and has released its connection before the error passes on. Its errors are raised here.
        """
        loop = self._running()
        entries: queue.SimpleQueue[Item | _End] = queue.SimpleQueue()
        tasks: list[asyncio.Task[None]] = []

        async def pump() -> None:
            async for item in produce():
                entries.put(item)

        def begin() -> None:
            tasks.append(loop.create_task(pump()))
            tasks[0].add_done_callback(lambda task: entries.put(_End(None if task.cancelled() else task.exception())))

        loop.call_soon_threadsafe(begin)
        ended = False
        try:
            while True:
                try:
                    entry = entries.get(timeout=_ASK_EVERY_SECONDS)
                except queue.Empty:
                    check()
                    continue
                if isinstance(entry, _End):
                    ended = True
                    if entry.error is not None:
                        raise entry.error
                    return
                yield entry
        finally:
            if not ended:
                # `begin` was scheduled before this, so the task exists by then.
                loop.call_soon_threadsafe(lambda: tasks[0].cancel())  # noqa: PLW0108
                _await_end(entries)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the loop to its end."""
        asyncio.run_coroutine_threadsafe(coroutine, self._running()).result(_CLOSE_SECONDS)

    def close(self) -> None:
        """Stop the loop and its thread; the next use starts them again."""
        with self._starting:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_CLOSE_SECONDS)
            loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = Thread(target=self._loop.run_forever, name="gateway-io", daemon=True)
                self._thread.start()
            return self._loop


def _await_end(entries: "queue.SimpleQueue[Item | _End]") -> None:
    """Wait until the producer has ended: then its connection is closed and nothing more is counted."""
    while True:
        try:
            if isinstance(entries.get(timeout=_CLOSE_SECONDS), _End):
                return
        except queue.Empty:
            # The loop is stuck in somebody's callback; the caller must not be held longer for it.
            return

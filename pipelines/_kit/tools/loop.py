"""One event loop in its own thread, for libraries that offer only coroutines."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

Answer = TypeVar("Answer")
_GLANCE_SECONDS = 0.25


class LoopThread:
    """Runs coroutines for callers in other threads, until `close`. Starts when first used; does not survive a fork."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def run(
        self,
        coroutine: Coroutine[Any, Any, Answer],
        *,
        timeout_seconds: float,
        check: Callable[[], None] | None = None,
    ) -> Answer:
        """The result of `coroutine`, or its exception; TimeoutError when it takes longer.

        `check` is called four times a second; its exception cancels the coroutine.
        """
        bounded = asyncio.wait_for(coroutine, timeout_seconds)
        future = asyncio.run_coroutine_threadsafe(bounded, self._started())
        while True:
            try:
                return future.result(_GLANCE_SECONDS)
            except FutureTimeoutError:
                if future.done():
                    raise
            try:
                if check is not None:
                    check()
            except BaseException:
                future.cancel()
                raise

    def close(self) -> None:
        """End the loop and its thread."""
        with self._starting:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="tools", daemon=True)
                self._thread.start()
            return self._loop

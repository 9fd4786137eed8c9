"""SIGTERM and SIGINT as a request to stop."""

import signal
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread


def on_termination(stop: Callable[[], None]) -> None:
    """Call `stop` for every SIGTERM and SIGINT from now on, in its own thread. Call this in the main thread.

    A handler runs between two steps of the main thread, which may hold the lock of the event that `stop` sets, or be in
    `stop` for the previous signal: it would deadlock. Among the ways for a handler to wake another thread,
    `SimpleQueue.put` is documented as reentrant.
    """
    requests: SimpleQueue[int] = SimpleQueue()

    def listen() -> None:
        while True:
            requests.get()
            stop()

    Thread(target=listen, name="termination", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: requests.put(number))

"""SIGTERM and SIGINT, as a request to end what the process does."""

import signal
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread


def on_termination(stop: Callable[[], None]) -> None:
    """Call `stop` for every SIGTERM and SIGINT from now on, in a thread of its own. Call this in the main thread.

    A handler runs between two steps of the main thread, which may hold the lock of the very event that `stop` sets, or
    be in `stop` for the signal before: it would wait for itself for ever. Of what a handler may wake another thread by,
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

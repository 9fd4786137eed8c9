"""Keeps what a process imports out of the garbage collector's work."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Import a process's modules here: without collections, and left out of every later one (`gc.freeze`).

    Modules live as long as the process. Looking through them takes a sixth of the imports, and later some 100 ms of
    every full collection, in which no request is answered.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()

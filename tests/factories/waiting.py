"""Waiting for something to become true, with a bound and a name for what was awaited.

Most conditions ask a database. Asked fifty times a second, each wait would take a fifth of a core from what is awaited,
so the pauses grow: what takes seconds is asked for ten times a second.
"""

import time
from collections.abc import Callable

_FIRST_SECONDS, _LONGEST_SECONDS, _GROWTH = 0.02, 0.1, 1.25


def wait_until(
    condition: Callable[[], bool], *, timeout_seconds: float, what: str, pause_seconds: float | None = None
) -> float:
    """Wait until `condition()` holds; returns how many seconds it took. Fails the test when it never does.

    A test that measures gives the length of all pauses.
    """
    began = time.monotonic()
    pause = pause_seconds or _FIRST_SECONDS
    while not condition():
        waited = time.monotonic() - began
        assert waited < timeout_seconds, f"waited {waited:.1f} s for {what}"
        time.sleep(pause)
        if pause_seconds is None:
            pause = min(pause * _GROWTH, _LONGEST_SECONDS)
    return time.monotonic() - began

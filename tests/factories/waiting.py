"""Waiting for something to become true, with a bound and a name for what was awaited."""

import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], bool], *, timeout_seconds: float, what: str, pause_seconds: float = 0.02
) -> float:
    """Wait until `condition()` holds; returns how many seconds it took. Fails the test when it never does."""
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        assert waited < timeout_seconds, f"waited {waited:.1f} s for {what}"
        time.sleep(pause_seconds)
    return time.monotonic() - began

"""How long to wait before the next try, and a wait that notices cancellation."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.gateway.errors import GatewayError

_ASK_EVERY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential with full jitter: uniform in [0, min(`max_seconds`, `base_seconds` · 2ⁿ)].

    Brooker, Exponential Backoff And Jitter (AWS Architecture Blog, 2015): clients that failed together do not return
    together. A ``Retry-After`` up to `retry_after_max_seconds` is obeyed; a longer one ends the tries: a job that must
    wait long waits in the queue.
    """

    base_seconds: float = 0.25
    max_seconds: float = 8.0
    retry_after_max_seconds: float = 3.0

    def seconds(self, failures: int, error: GatewayError) -> float | None:
        """How long to wait after the `failures`-th failure, counted from 1; None when it is not worth waiting."""
        return self.pause(failures, error.retry_after_seconds)

    def pause(self, failures: int, retry_after_seconds: float | None) -> float | None:
        """The same for any failure, given the ``Retry-After`` it came with."""
        # Jitter that spreads load need not be secret.
        jitter = random.uniform(0, min(self.max_seconds, self.base_seconds * 2 ** (failures - 1)))  # noqa: S311
        if retry_after_seconds is None:
            return jitter
        if retry_after_seconds > self.retry_after_max_seconds:
            return None
        return max(jitter, retry_after_seconds)


def wait(seconds: float, check: Callable[[], None]) -> None:
    """Wait, calling `check` twenty times a second; an exception from it ends the wait."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        check()
        time.sleep(min(left, _ASK_EVERY_SECONDS))
    check()

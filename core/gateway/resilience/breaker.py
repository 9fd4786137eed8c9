"""A circuit breaker per deployment: after many failures in a row nothing is sent for a while, then one call probes."""

from collections.abc import Callable
from enum import StrEnum
from threading import Lock
from time import monotonic

FAILURES = 5
OPEN_SECONDS = 10.0


class State(StrEnum):
    """What a breaker does with the next call."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Closed → open after `failures` in a row → half-open after `open_seconds` → closed or open by one probe.

    After Nygard, Release It! (2007), chapter 5. In this process only: a shared state would cost a round trip per call,
    and each process learns within a few calls. Safe in threads.
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        open_seconds: float = OPEN_SECONDS,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._most = failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """The state now."""
        with self._lock:
            return self._state()

    def enter(self) -> bool:
        """Whether a call may be made now. Whoever is let in calls one of `succeed`, `fail` and `abandon` afterwards."""
        with self._lock:
            state = self._state()
            if state is State.OPEN or (state is State.HALF_OPEN and self._probing):
                return False
            self._probing = state is State.HALF_OPEN
            return True

    def succeed(self) -> None:
        """The deployment answered."""
        with self._lock:
            self._failures, self._opened_at, self._probing = 0, None, False

    def fail(self) -> None:
        """The deployment did not answer."""
        with self._lock:
            self._failures += 1
            if self._probing or self._failures >= self._most:
                self._opened_at, self._probing = self._clock(), False

    def abandon(self) -> None:
        """The call ended without telling anything about the deployment."""
        with self._lock:
            self._probing = False

    def _state(self) -> State:
        if self._opened_at is None:
            return State.CLOSED
        return State.OPEN if self._clock() - self._opened_at < self._open_seconds else State.HALF_OPEN


class Breakers:
    """The breakers of a process, by the name of the deployment."""

    def __init__(self, *, failures: int = FAILURES, open_seconds: float = OPEN_SECONDS) -> None:
        self._failures = failures
        self._open_seconds = open_seconds
        self._breakers: dict[str, Breaker] = {}
        self._lock = Lock()

    def of(self, deployment: str) -> Breaker:
        """The deployment's breaker."""
        with self._lock:
            found = self._breakers.get(deployment)
            if found is None:
                found = self._breakers[deployment] = Breaker(failures=self._failures, open_seconds=self._open_seconds)
            return found

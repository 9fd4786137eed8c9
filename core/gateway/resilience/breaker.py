"""A circuit breaker per deployment and kind of call.

After many outages in a row nothing is sent for a while, then one probe call is made.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from threading import Lock
from time import monotonic

from core.gateway.errors import GatewayError, ProviderUnavailable
from core.gateway.resilience.rests import SharedRests
from core.kit.metrics.models import observe_breaker, observe_rest

FAILURES = 5
OPEN_SECONDS = 10.0


class State(StrEnum):
    """How a breaker treats the next call."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Closed → open after `failures` in a row → half-open after `open_seconds` → closed or open by one probe.

    After Nygard, Release It! (2007), chapter 5. It counts in this process only, because shared counting would cost a
    round trip per call; only its opening is shared (`Breakers`). Thread-safe. `report` receives each new state when a
    call reveals it: the end of an open period shows with the next call.
    """

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        open_seconds: float = OPEN_SECONDS,
        clock: Callable[[], float] = monotonic,
        report: Callable[[State], None] = lambda _: None,
    ) -> None:
        self._max = failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._report = report
        self._reported = State.CLOSED
        report(State.CLOSED)
        self._lock = Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        """The current state."""
        with self._lock:
            return self._state()

    def enter(self) -> bool:
        """Whether a call may be made now. If so, the caller must call `succeed`, `fail` or `abandon` afterwards."""
        with self._lock:
            state = self._state()
            if state is State.OPEN or (state is State.HALF_OPEN and self._probing):
                return False
            self._probing = state is State.HALF_OPEN
            self._notify(state)
            return True

    @property
    def remaining_seconds(self) -> float:
        """How long it will stay open."""
        with self._lock:
            if self._opened_at is None:
                return 0.0
            return max(0.0, self._opened_at + self._open_seconds - self._clock())

    def succeed(self) -> None:
        """The deployment answered, even if with an odd response or a refusal."""
        with self._lock:
            self._failures, self._opened_at, self._probing = 0, None, False
            self._notify(State.CLOSED)

    def fail(self) -> None:
        """The deployment is unavailable."""
        with self._lock:
            self._failures += 1
            if self._probing or self._failures >= self._max:
                self._opened_at, self._probing = self._clock(), False
                self._notify(State.OPEN)

    def abandon(self) -> None:
        """The call ended without revealing anything about the deployment."""
        with self._lock:
            self._probing = False

    def _notify(self, state: State) -> None:
        if state is not self._reported:
            self._reported = state
            self._report(state)

    def _state(self) -> State:
        if self._opened_at is None:
            return State.CLOSED
        return State.OPEN if self._clock() - self._opened_at < self._open_seconds else State.HALF_OPEN


class Breakers:
    """The breakers of a process, by deployment and kind of call: a deployment may serve chats but not embeddings.

    With `shared`, a breaker that opens here pauses the deployment in every process.
    """

    def __init__(
        self, *, failures: int = FAILURES, open_seconds: float = OPEN_SECONDS, shared: SharedRests | None = None
    ) -> None:
        self._failures = failures
        self._open_seconds = open_seconds
        self._shared = shared
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._lock = Lock()

    def close(self) -> None:
        """Release the connections that share the rests."""
        if self._shared is not None:
            self._shared.close()

    def of(self, deployment: str, kind: str) -> Breaker:
        """The deployment's breaker for ``chat`` or ``embeddings``."""
        with self._lock:
            found = self._breakers.get((deployment, kind))
            if found is None:
                report = partial(observe_breaker, deployment, kind)
                found = Breaker(failures=self._failures, open_seconds=self._open_seconds, report=report)
                self._breakers[deployment, kind] = found
            return found

    @contextmanager
    def guard(self, deployment: str, kind: str) -> Iterator[Breaker]:
        """One call of a deployment. Raises `ProviderUnavailable` (``deployment_resting``) while the breaker is open.

        An outage counts against the deployment; any other error shows that it responds. Leaving in another way, such as
        by cancellation, counts as neither.
        """
        breaker = self.of(deployment, kind)
        elsewhere = 0.0 if self._shared is None else self._shared.seconds(deployment, kind)
        if elsewhere > 0 or not breaker.enter():
            observe_rest(deployment, kind, "breaker")
            raise ProviderUnavailable(
                f"The deployment {deployment!r} was unavailable many times in a row and rests for some seconds.",
                code="deployment_resting",
                retry_after_seconds=max(elsewhere, breaker.remaining_seconds),
                is_outage=True,
            )
        try:
            yield breaker
        except GatewayError as error:
            if error.is_outage:
                breaker.fail()
                if self._shared is not None and breaker.state is State.OPEN:
                    self._shared.begin(deployment, kind, self._open_seconds)
            elif isinstance(error, ProviderUnavailable):
                breaker.abandon()
            else:
                breaker.succeed()
            raise
        except BaseException:
            breaker.abandon()
            raise
        breaker.succeed()

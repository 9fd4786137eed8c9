"""Shares the rest periods of deployments through Redis, so that each process need not discover an outage itself."""

from collections.abc import Callable
from threading import Lock
from time import monotonic

from redis import Redis, RedisError

from core.kit.logging import get_logger

# A deployment is looked up at most this often, and only while in use: one round trip a second, not one per call.
_LOOK_SECONDS = 1.0
# Without Redis every process learns on its own, and does not wait for Redis at each call.
_BLIND_SECONDS = 10.0
_log = get_logger(__name__)


class SharedRests:
    """How long a deployment rests for a kind of call, as any process found out. Thread-safe. Never raises.

    `key` builds the name of a Redis key from its parts.
    """

    def __init__(self, redis: Redis, key: Callable[..., str], *, clock: Callable[[], float] = monotonic) -> None:
        self._redis = redis
        self._key = key
        self._clock = clock
        self._until: dict[tuple[str, str], float] = {}
        self._look_at: dict[tuple[str, str], float] = {}
        self._lock = Lock()

    def seconds(self, deployment: str, kind: str) -> float:
        """How many seconds it still rests; 0 when it does not."""
        name, now = (deployment, kind), self._clock()
        with self._lock:
            is_due = now >= self._look_at.get(name, 0.0)
            if is_due:
                self._look_at[name] = now + _LOOK_SECONDS
        if is_due:
            self._look(name)
        with self._lock:
            return max(0.0, self._until.get(name, 0.0) - self._clock())

    def begin(self, deployment: str, kind: str, seconds: float) -> None:
        """Let it rest from now on, in every process."""
        with self._lock:
            self._until[deployment, kind] = self._clock() + seconds
        try:
            self._redis.set(self._key("rest", kind, deployment), b"1", px=max(1, round(seconds * 1000)))
        except RedisError as error:
            _log.warning("rest_not_shared", deployment=deployment, error=type(error).__name__)

    def close(self) -> None:
        """Release the connections."""
        self._redis.close()

    def _look(self, name: tuple[str, str]) -> None:
        try:
            left = self._redis.pttl(self._key("rest", name[1], name[0]))
        except RedisError:
            with self._lock:
                self._look_at[name] = self._clock() + _BLIND_SECONDS
            return
        with self._lock:
            if left > 0:
                self._until[name] = self._clock() + left / 1000

"""Usage checkpoints of open calls in Redis: the consumption so far, which a killed process cannot report.

Best effort: without a checkpoint, a lost call is settled at its bound. A checkpoint holds amounts, never text.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import orjson
from redis.exceptions import RedisError

from core.kit.json_values import dumps
from core.kit.logging import get_logger
from core.kit.settings import Settings
from core.ledger.records import CallIdentity, Unit

if TYPE_CHECKING:
    from redis import Redis

# The sweep runs within seconds; a day covers a dispatcher outage.
_TTL_SECONDS = 86_400
# The first keys get the values, the rest are deleted. One command for any number of calls: most of the cost of a
# checkpoint is the client's work per command.
_WRITE = """
for place = 1, #ARGV - 1 do
  redis.call('SET', KEYS[place], ARGV[place + 1], 'EX', ARGV[1])
end
for place = #ARGV, #KEYS do
  redis.call('DEL', KEYS[place])
end
"""
_log = get_logger(__name__)


class UsageCheckpoints:
    """Reads and writes usage checkpoints. Never raises when Redis is unavailable."""

    def __init__(self, client: "Redis", settings: Settings) -> None:
        self._redis = client
        self._settings = settings
        self._write = client.register_script(_WRITE)

    def update(self, current: Mapping[CallIdentity, Mapping[str, int]], settled: Sequence[CallIdentity] = ()) -> None:
        """Store these amounts, by the ledger's units, and delete the checkpoints of settled calls; one round trip."""
        if not current and not settled:
            return
        try:
            self._write(
                keys=[self._key(call) for call in (*current, *settled)],
                args=[_TTL_SECONDS, *(dumps(dict(quantities)) for quantities in current.values())],
            )
        except RedisError as error:
            _log.warning("usage_checkpoints_unwritten", error=type(error).__name__)

    def read(self, calls: Sequence[CallIdentity]) -> dict[CallIdentity, dict[Unit, int]]:
        """The checkpoints of those of `calls` that have one."""
        if not calls:
            return {}
        try:
            found = self._redis.mget([self._key(call) for call in calls])
        except RedisError as error:
            _log.warning("usage_checkpoints_unread", error=type(error).__name__)
            return {}
        checkpoints = {}
        for call, raw in zip(calls, found, strict=True):
            if raw is not None:
                checkpoints[call] = {Unit(unit): int(amount) for unit, amount in orjson.loads(raw).items()}
        return checkpoints

    def _key(self, call: CallIdentity) -> str:
        return self._settings.key("call", str(call.job_id), str(call.attempt), str(call.number))

"""Rates of requests: the generic cell rate algorithm, in Redis for all processes or in memory for one.

GCRA (ITU-T I.371, annex A; "the leaky bucket as a meter") keeps one number per bucket: the *theoretical arrival time*,
at which the bucket will be full again. A bucket holds a minute's requests and refills evenly, so that after a pause a
minute's requests may arrive at once.

A request is charged to all of its buckets or to none. One call of `SCRIPT` decides any number of requests; all keys
carry one hash tag (`Settings.key`), so that a call never spans several slots of a cluster.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from time import monotonic
from uuid import UUID

MINUTE_US = 60_000_000
_KNOWN_MAX = 10_000

# KEYS: the buckets of every request, one after the other. ARGV: for each request the number of its buckets, then the
# microseconds between requests of each. Returns, for each request, 1 or 0 (charged or refused), then the microseconds
# until each of its buckets is full again. Only Redis' clock is used, so that processes need not agree on the time.
SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local minute = 60000000
local answer, key, argument = {}, 1, 1
while argument <= #ARGV do
  local count = tonumber(ARGV[argument])
  local levels, passes = {}, 1
  for i = 1, count do
    local full_at = tonumber(redis.call('GET', KEYS[key + i - 1]) or now)
    levels[i] = math.max(full_at - now, 0)
    if levels[i] + tonumber(ARGV[argument + i]) > minute + 1 then passes = 0 end
  end
  answer[#answer + 1] = passes
  for i = 1, count do
    if passes == 1 then
      levels[i] = levels[i] + tonumber(ARGV[argument + i])
      redis.call('SET', KEYS[key + i - 1], string.format('%.0f', now + levels[i]),
        'PX', math.ceil(levels[i] / 1000) + 1)
    end
    answer[#answer + 1] = math.floor(levels[i] + 0.5)
  end
  key = key + count
  argument = argument + count + 1
end
return answer
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A rate: `per_minute` requests of a key, a person, a project or an organization; `key` is its name in Redis."""

    scope: str
    scope_id: UUID | None
    shown_id: str
    per_minute: int
    key: str

    @property
    def interval_us(self) -> float:
        """Microseconds between requests at exactly this rate."""
        return MINUTE_US / self.per_minute


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about a request: `levels_us` holds, for each of its buckets, the time until it is full again."""

    buckets: tuple[Bucket, ...]
    passes: bool
    levels_us: tuple[int, ...]

    @property
    def empty(self) -> tuple[Bucket, int]:
        """For a refused request: the bucket with the longest wait, and its seconds (at least 1)."""
        waits = [
            (level + bucket.interval_us - MINUTE_US, bucket)
            for bucket, level in zip(self.buckets, self.levels_us, strict=True)
        ]
        wait_us, bucket = max(waits, key=lambda each: each[0])
        return bucket, max(1, ceil(wait_us / 1e6))

    def remaining(self, index: int) -> int:
        """How many requests the bucket at `index` would let pass now."""
        bucket = self.buckets[index]
        return max(0, int((MINUTE_US + 1 - self.levels_us[index]) / bucket.interval_us))

    def policy_header(self) -> str:
        """``RateLimit-Policy`` (draft-ietf-httpapi-ratelimit-headers-10, section 3)."""
        return ", ".join(f'"{bucket.scope}";q={bucket.per_minute};w=60' for bucket in self.buckets)

    def state_header(self) -> str:
        """``RateLimit`` (section 4 there): the remaining requests, and the seconds until the bucket is full again."""
        return ", ".join(
            f'"{bucket.scope}";r={self.remaining(index)};t={ceil(self.levels_us[index] / 1e6)}'
            for index, bucket in enumerate(self.buckets)
        )


def script_input(requests: Sequence[tuple[Bucket, ...]]) -> tuple[list[str], list[str]]:
    """Keys and arguments of `SCRIPT` for these requests."""
    keys = [bucket.key for buckets in requests for bucket in buckets]
    arguments: list[str] = []
    for buckets in requests:
        arguments.append(str(len(buckets)))
        arguments.extend(f"{bucket.interval_us:.3f}" for bucket in buckets)
    return keys, arguments


def script_output(requests: Sequence[tuple[Bucket, ...]], answer: Sequence[int]) -> list[Verdict]:
    """The result of `SCRIPT`, request by request."""
    verdicts, at = [], 0
    for buckets in requests:
        end = at + 1 + len(buckets)
        verdicts.append(Verdict(buckets, bool(answer[at]), tuple(answer[at + 1 : end])))
        at = end
    return verdicts


class LocalBuckets:
    """The same buckets in this process's memory, for when Redis is unavailable: each process then grants the full rate.

    `note` keeps them at the levels that Redis last reported, so that an outage does not start with full buckets. Not
    thread-safe: it belongs to an event loop.
    """

    def __init__(self) -> None:
        self._full_at: dict[str, float] = {}
        self._reported_at: dict[str, float] = {}

    def has_ample(self, buckets: tuple[Bucket, ...], requests: int, reported_within_us: float) -> bool:
        """Whether Redis reported each of `buckets` within that time, and each has room for that many more requests."""
        now_us = monotonic() * 1e6
        for bucket in buckets:
            if now_us - self._reported_at.get(bucket.key, 0.0) > reported_within_us:
                return False
            if self._full_at[bucket.key] - now_us + requests * bucket.interval_us > MINUTE_US:
                return False
        return True

    def note(self, verdict: Verdict) -> None:
        """Store the levels that Redis reported; requests charged here that Redis does not know of yet stay charged."""
        now_us = monotonic() * 1e6
        if len(self._full_at) > _KNOWN_MAX:
            self._evict(now_us)
        for bucket, level in zip(verdict.buckets, verdict.levels_us, strict=True):
            self._full_at[bucket.key] = max(self._full_at.get(bucket.key, 0.0), now_us + level)
            self._reported_at[bucket.key] = now_us

    def _evict(self, now_us: float) -> None:
        self._reported_at.clear()
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now_us}
        if len(self._full_at) > _KNOWN_MAX:
            self._full_at.clear()

    def decide(self, buckets: tuple[Bucket, ...], now_us: float | None = None) -> Verdict:
        """Charge a request to all of `buckets`, or refuse it; `now_us` defaults to the monotonic clock."""
        now = monotonic() * 1e6 if now_us is None else now_us
        levels = [max(self._full_at.get(bucket.key, now) - now, 0.0) for bucket in buckets]
        passes = all(level + bucket.interval_us <= MINUTE_US + 1 for level, bucket in zip(levels, buckets, strict=True))
        if passes:
            levels = [level + bucket.interval_us for level, bucket in zip(levels, buckets, strict=True)]
        for bucket, level in zip(buckets, levels, strict=True):
            self._full_at[bucket.key] = now + level
        return Verdict(buckets, passes, tuple(round(level) for level in levels))

"""Checks request rates before anything else is done for a caller: at most one Redis call, no Postgres query.

Requests of a bucket that is far from empty do not wait: they pass on this process's view, and are charged in Redis
within `GATHER_SECONDS`, many in one call. The view must be younger than `FRESH_SECONDS` and show room for `AMPLE` more,
which other processes cannot have used up meanwhile. Otherwise, and so always for limits up to `AMPLE`, a request waits
for Redis; requests that arrive during a call share the next one.

When Redis fails or is slow, this process decides locally (`core.limits.rates.LocalBuckets`), and asks Redis again only
once it has answered: an outage costs the requests that notice it `PATIENCE_SECONDS`, and later ones nothing.
"""

import asyncio
from collections.abc import Sequence
from typing import cast

import redis
import redis.asyncio

from core.kit.logging import get_logger
from core.kit.redis import connect_async
from core.kit.settings import Settings
from core.limits.rates import SCRIPT, Bucket, LocalBuckets, Verdict, script_input, script_output

PATIENCE_SECONDS = 0.25
GATHER_SECONDS = 0.02
FRESH_SECONDS = 0.1
AMPLE = 1000
_PROBE_SECONDS = 1.0
# The number of decisions per call: the script blocks Redis for about a millisecond.
_DECIDED_AT_ONCE = 200
_FAILURES = (redis.RedisError, OSError, TimeoutError)
_Buckets = tuple[Bucket, ...]
# A request, and the future of its verdict; None if it has passed already.
_Waiting = tuple[_Buckets, asyncio.Future[Verdict] | None]
_log = get_logger(__name__)


class RateGate:
    """Decides which requests pass. Belongs to one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = LocalBuckets()
        self._waiting: list[_Waiting] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._redis: redis.asyncio.Redis | None = None
        self._asking: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None

    async def decide(self, buckets: _Buckets) -> Verdict:
        """Charge one request to `buckets`, of which there is at least one, or refuse it."""
        if self._probing is not None:
            return self._local.decide(buckets)
        if self._local.has_ample(buckets, AMPLE, FRESH_SECONDS * 1e6):
            self._waiting.append((buckets, None))
            self._gather()
            return self._local.decide(buckets)
        decided: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((buckets, decided))
        self._start_asking()
        return await decided

    def _gather(self) -> None:
        if self._asking is None and self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._start_asking)

    def _start_asking(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())

    async def close(self) -> None:
        """Stop. Charges that were not sent yet are dropped."""
        if self._gathering is not None:
            self._gathering.cancel()
        tasks = [task for task in (self._asking, self._probing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._redis is not None:
            await self._redis.aclose()

    async def _ask(self) -> None:
        try:
            while True:
                taken, self._waiting = self._waiting[:_DECIDED_AT_ONCE], self._waiting[_DECIDED_AT_ONCE:]
                await self._settle(taken)
                if not any(decided for _, decided in self._waiting):
                    break
        finally:
            self._asking = None
        if self._waiting:
            self._gather()

    async def _settle(self, taken: Sequence[_Waiting]) -> None:
        try:
            verdicts = await self._ask_redis([buckets for buckets, _ in taken])
        except BaseException:
            # No request may wait for an answer that will not come.
            for _, decided in (*taken, *self._waiting):
                if decided is not None:
                    decided.cancel()
            raise
        for index, (buckets, decided) in enumerate(taken):
            if decided is not None and not decided.done():
                decided.set_result(self._local.decide(buckets) if verdicts is None else verdicts[index])

    async def _ask_redis(self, requests: Sequence[_Buckets]) -> list[Verdict] | None:
        """The decision of Redis; None when it is unavailable."""
        if self._probing is not None:
            return None
        keys, arguments = script_input(requests)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await self._client().eval(SCRIPT, len(keys), *keys, *arguments)
            verdicts = script_output(requests, cast("Sequence[int]", answer))
        except _FAILURES as error:
            _log.warning("rates_kept_in_process", error=type(error).__name__)
            self._probing = asyncio.create_task(self._probe())
            return None
        for verdict in verdicts:
            self._local.note(verdict)
        return verdicts

    async def _probe(self) -> None:
        try:
            while True:
                await asyncio.sleep(_PROBE_SECONDS)
                try:
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        await self._client().ping()
                except _FAILURES:
                    continue
                _log.info("rates_kept_in_redis")
                return
        finally:
            self._probing = None

    def _client(self) -> redis.asyncio.Redis:
        if self._redis is None:
            self._redis = connect_async(self._settings)
        return self._redis

"""Rates of requests, checked before anything else is done for a caller: at most one call of Redis, none of Postgres.

Requests that arrive while a call of Redis is under way share the next one. When Redis fails or is slow, this process
decides by itself (`core.limits.rates.LocalBuckets`), and asks Redis again only when it has been seen to answer: an
outage costs the requests that notice it `PATIENCE_SECONDS`, and later ones nothing.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import cast

import redis
import redis.asyncio

from core.kit.logging import get_logger
from core.kit.redis import connect_async
from core.kit.settings import Settings
from core.limits.rates import SCRIPT, Bucket, LocalBuckets, Verdict, script_input, script_output

PATIENCE_SECONDS = 0.25
_PROBE_SECONDS = 1.0
# What one call may decide: the script holds up Redis for about a millisecond.
_DECIDED_AT_ONCE = 200
_FAILURES = (redis.RedisError, OSError, TimeoutError)
_Buckets = tuple[Bucket, ...]
_log = get_logger(__name__)


class RateGate:
    """Decides which requests pass. Belongs to one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = LocalBuckets()
        self._waiting: list[tuple[_Buckets, asyncio.Future[Verdict]]] = []
        self._redis: redis.asyncio.Redis | None = None
        self._asking: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None

    async def decide(self, buckets: _Buckets) -> Verdict:
        """Charge one request to `buckets`, of which there is at least one, or refuse it."""
        if self._probing is not None:
            return self._local.decide(buckets)
        decided: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((buckets, decided))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await decided

    async def close(self) -> None:
        """End what is under way."""
        tasks = [task for task in (self._asking, self._probing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._redis is not None:
            await self._redis.aclose()

    async def _ask(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[:_DECIDED_AT_ONCE], self._waiting[_DECIDED_AT_ONCE:]
                try:
                    verdicts = await self._decide([buckets for buckets, _ in taken])
                except BaseException:
                    # Nobody may wait for an answer that will not come.
                    for _, decided in (*taken, *self._waiting):
                        decided.cancel()
                    raise
                for (_, decided), verdict in zip(taken, verdicts, strict=True):
                    if not decided.done():
                        decided.set_result(verdict)
        finally:
            self._asking = None

    async def _decide(self, requests: Sequence[_Buckets]) -> list[Verdict]:
        if self._probing is None:
            keys, arguments = script_input(requests)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    answer = await self._client().eval(SCRIPT, len(keys), *keys, *arguments)  # type: ignore[misc]
                verdicts = script_output(requests, cast("Sequence[int]", answer))
            except _FAILURES as error:
                _log.warning("rates_kept_in_process", error=type(error).__name__)
                self._probing = asyncio.create_task(self._probe())
            else:
                for verdict in verdicts:
                    self._local.note(verdict)
                return verdicts
        return [self._local.decide(buckets) for buckets in requests]

    async def _probe(self) -> None:
        try:
            while True:
                await asyncio.sleep(_PROBE_SECONDS)
                try:
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        await cast("Awaitable[bool]", self._client().ping())
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

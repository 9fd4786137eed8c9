"""The dispatcher's side of Celery on Redis: pushes job ids, inspects a queue, notices that the broker lost its data."""

from collections.abc import Sequence
from time import time
from typing import cast
from uuid import UUID

import orjson
import redis
from kombu.exceptions import BatchPublishError
from kombu.exceptions import OperationalError as BrokerDown

from core.kit.settings import Settings
from workers.app import TASK, create_app, queue
from workers.pools import queue_name

PRESENCE_SECONDS = 15


class BrokerUnavailable(Exception):
    """Redis cannot be reached. Nothing was lost, because no data lives only there."""


class Broker:
    """A dispatcher's connection to the broker."""

    def __init__(self, settings: Settings, client: "redis.Redis") -> None:
        self._settings = settings
        self._redis = client
        self._app = create_app(settings)

    def push(self, pool: str, job_ids: Sequence[UUID]) -> None:
        """Send one message per job, in order. Raises `BrokerUnavailable`; some messages may then have been sent."""
        try:
            with self._app.producer_or_acquire() as producer, producer.batch():
                # Bound once: otherwise each message makes two copies of it.
                destination = queue(pool).bind(producer.channel)  # type: ignore[no-untyped-call]
                for job_id in job_ids:
                    self._app.send_task(
                        TASK,
                        args=(str(job_id),),
                        # The job's id is also the task's: the queue can be compared with the table, and Flower
                        # shows which job it is.
                        task_id=str(job_id),
                        argsrepr=f"('{job_id}',)",
                        kwargsrepr="{}",
                        queue=destination,
                        producer=producer,
                        ignore_result=True,
                        retry=False,
                    )
        except (BrokerDown, BatchPublishError, redis.RedisError, OSError) as error:
            raise BrokerUnavailable(type(error).__name__) from error

    def queued_ids(self, pool: str) -> set[UUID]:
        """The jobs whose messages wait in the pool's queue, which is short by design. Raises `BrokerUnavailable`."""
        try:
            bodies = self._redis.lrange(self._list_key(pool), 0, -1)
        except (redis.RedisError, OSError) as error:
            raise BrokerUnavailable(type(error).__name__) from error
        return {UUID(orjson.loads(body)["headers"]["id"]) for body in bodies}

    def depth(self, pool: str) -> int:
        """Messages in the pool's queue. Raises `BrokerUnavailable`."""
        try:
            return int(self._redis.llen(self._list_key(pool)))
        except (redis.RedisError, OSError) as error:
            raise BrokerUnavailable(type(error).__name__) from error

    def lost_its_data(self) -> bool:
        """Whether the marker key was missing; it is set again. Raises `BrokerUnavailable`."""
        try:
            return bool(self._redis.set(self._settings.key("broker", "epoch"), str(time()), nx=True))
        except (redis.RedisError, OSError) as error:
            raise BrokerUnavailable(type(error).__name__) from error

    def announce(self, pool: str, worker: str, slots: int) -> None:
        """Announce that `worker` has `slots` for the pool; expires unless repeated within `PRESENCE_SECONDS`."""
        key = self._presence_key(pool)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.zremrangebyscore(key, "-inf", time())
        pipeline.zadd(key, {f"{worker}|{slots}": time() + PRESENCE_SECONDS})
        pipeline.expire(key, PRESENCE_SECONDS * 2)
        pipeline.execute()

    def withdraw(self, pool: str, worker: str, slots: int) -> None:
        """Withdraw an announcement: the worker takes nothing new."""
        self._redis.zrem(self._presence_key(pool), f"{worker}|{slots}")

    def slots(self, pools: Sequence[str]) -> dict[str, int]:
        """The slots that live workers have announced for each of `pools`. Raises `BrokerUnavailable`."""
        pipeline = self._redis.pipeline(transaction=False)
        for pool in pools:
            pipeline.zrangebyscore(self._presence_key(pool), time(), "+inf")
        try:
            found = cast("list[list[bytes]]", pipeline.execute())
        except (redis.RedisError, OSError) as error:
            raise BrokerUnavailable(type(error).__name__) from error
        announced = zip(pools, found, strict=True)
        return {pool: sum(int(each.rpartition(b"|")[2]) for each in members) for pool, members in announced}

    def close(self) -> None:
        """Close the producer's connections."""
        self._app.close()

    def _list_key(self, pool: str) -> str:
        return self._settings.key(queue_name(pool))

    def _presence_key(self, pool: str) -> str:
        return self._settings.key("workers", pool)

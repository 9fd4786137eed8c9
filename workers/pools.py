"""The worker pools, one row each: how a pool runs and how wide it is. ``docs/adr`` has the measurements."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Pool:
    """A Celery pool and queue: `concurrency` slots per worker process, at most `limit` running jobs over all."""

    name: str
    kind: Literal["threads", "prefork"]
    concurrency: int
    limit: int = 10_000
    # Resident memory at which a process is replaced, well above its normal use (docs/reference/performance.md).
    memory_mb: int = 2048

    @property
    def queue(self) -> str:
        """The name of the Celery queue."""
        return queue_name(self.name)


def queue_name(pool: str) -> str:
    """The Celery queue of a pool."""
    return f"queue.{pool}"


_POOLS: dict[str, Pool] = {
    pool.name: pool
    for pool in (
        Pool("knowledge", "threads", concurrency=4),
        Pool("customer_operations", "threads", concurrency=4),
        # Their jobs mostly wait for providers.
        Pool("models", "threads", concurrency=8),
        # Recognition, in a child, keeps two cores busy for one job; the second slot opens files and waits for models.
        Pool("multimodal", "threads", concurrency=2),
        # Crews wait for models; a second process would hold CrewAI's 240 MB again.
        Pool("research", "threads", concurrency=2),
    )
}


def get_pool(name: str, memory_mb: Mapping[str, int] | None = None) -> Pool:
    """The pool's row; a capability installed from elsewhere gets a thread pool of four.

    `memory_mb` are the operator's limits by pool, which replace those of the rows.
    """
    row = _POOLS.get(name) or Pool(name, "threads", concurrency=4)
    return replace(row, memory_mb=(memory_mb or {}).get(name, row.memory_mb))

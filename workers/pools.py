"""One row per worker pool: how it runs and how wide. ``docs/adr`` says what was measured to choose the kind."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Pool:
    """A Celery pool and queue: `concurrency` slots a worker process, at most `limit` running jobs over all of them."""

    name: str
    kind: Literal["threads", "prefork"]
    concurrency: int
    limit: int = 10_000

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
        # Recognition keeps two cores busy for one job; the second slot opens files and waits for models meanwhile.
        Pool("multimodal", "threads", concurrency=2),
        # Crews wait for models; a second process would hold CrewAI's 240 MB once more.
        Pool("research", "threads", concurrency=2),
    )
}


def get_pool(name: str) -> Pool:
    """The pool's row; a capability installed from elsewhere gets a thread pool of four."""
    return _POOLS.get(name) or Pool(name, "threads", concurrency=4)

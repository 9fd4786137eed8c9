"""The load of a deployment and its limits: the model's inputs, with the default of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """A pool's `share` of all jobs (0 to 1), their mean duration and their own processor time, in seconds."""

    share: float
    seconds: float
    cpu_seconds: float = 0.0


# A mix to start with; every figure is an assumption that an option replaces.
DEFAULT_MIX: Mapping[str, PoolLoad] = {
    "knowledge": PoolLoad(0.50, 4.0),
    "models": PoolLoad(0.30, 3.0),
    "customer_operations": PoolLoad(0.15, 12.0),
    "multimodal": PoolLoad(0.04, 20.0),
    "research": PoolLoad(0.01, 180.0),
}
# Slots of a pod and its memory request, as in the chart's values; a test compares them.
PODS: Mapping[str, tuple[int, int]] = {
    "knowledge": (4, 1024),
    "customer_operations": (4, 768),
    "models": (8, 512),
    "multimodal": (2, 3072),
    "research": (2, 1024),
}
OTHER_POD = (4, 1024)


@dataclass(frozen=True, slots=True)
class Load:
    """The busiest minute, and an average job. Sizes are in kB of 1,000 bytes."""

    jobs_per_minute: float
    pools: Mapping[str, PoolLoad] = field(default_factory=lambda: DEFAULT_MIX)
    payload_kb: float = 4.0
    model_calls: float = 3.0
    deltas: float = 50.0
    webhooks: float = 0.0
    # None: one stream for every running job.
    streams: float | None = None
    retention_days: float = 90.0
    average_share: float = 1.0
    headroom: float = 0.3

    @property
    def jobs_per_second(self) -> float:
        """Jobs a second in the busiest minute."""
        return self.jobs_per_minute / 60

    @property
    def running_jobs(self) -> float:
        """Jobs that run at once (Little's law)."""
        return self.jobs_per_second * sum(pool.share * pool.seconds for pool in self.pools.values())

    @property
    def open_streams(self) -> float:
        """Event streams that are open at once."""
        return self.running_jobs if self.streams is None else self.streams

    @property
    def drivers(self) -> dict[str, float]:
        """The components of the load a second, by `units.DRIVERS`, without the dispatcher's looks."""
        rate = self.jobs_per_second
        return {
            "job": rate,
            "payload_kb": rate * self.payload_kb,
            "model_call": rate * self.model_calls,
            "delta": rate * self.deltas,
            "webhook": rate * self.webhooks,
            "running_second": self.running_jobs,
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """The capacity of the parts that do not scale out; by default, the sizes in `infra/azure/prod.tfvars`."""

    postgres_cores: float = 8
    postgres_iops: float = 2300
    postgres_mb_per_second: float = 150
    postgres_connections: int = 3422
    postgres_storage_gb: float = 32_768
    redis_cores: float = 1
    redis_gb: float = 6

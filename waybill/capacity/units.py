"""The unit costs that the model multiplies: one file, written by ``python -m tests.bench.units``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

UNITS_FILE = Path(__file__).with_name("units.json")

# The drivers of cost. The load gives the number of each a second.
DRIVERS = ("job", "payload_kb", "model_call", "delta", "webhook", "running_second", "look")
# The resources, in seconds, bytes and counts; Redis holds events for as long as their streams live.
RESOURCES = (
    "cpu_api",
    "cpu_worker",
    "cpu_dispatcher",
    "cpu_deliverer",
    "cpu_postgres",
    "cpu_redis",
    "statements",
    "statement_seconds",
    "transactions",
    "wal_bytes",
    "wal_fsyncs",
    "page_writes",
    "redis_commands",
    "redis_bytes_held",
)


@dataclass(frozen=True, slots=True)
class Units:
    """Measured costs. `costs` are by driver and resource, `idle` by resource and second of the smallest deployment."""

    measured: Mapping[str, Any]
    phases: Mapping[str, Mapping[str, float]]
    costs: Mapping[str, Mapping[str, float]]
    idle: Mapping[str, float]
    idle_worker: Mapping[str, float]
    dispatcher: Mapping[str, float]
    stream: Mapping[str, float]
    row_bytes: Mapping[str, Mapping[str, float]]
    memory_mb: Mapping[str, float]
    connections: Mapping[str, int]

    def used(self, resource: str, drivers: Mapping[str, float]) -> float:
        """How much of `resource` that many `drivers` use, without the use of an idle deployment."""
        return sum(self.costs[driver][resource] * count for driver, count in drivers.items())


@lru_cache(maxsize=1)
def measured_units() -> Units:
    """The units of this release."""
    return Units(**json.loads(UNITS_FILE.read_text(encoding="utf-8")))

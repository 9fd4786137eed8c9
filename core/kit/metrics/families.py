"""How a metric is defined: once, with the processes that export it, so that the reference can be generated.

Labels are bounded. A tenant's id is never one, except for the organizations that the operator names
(`core.kit.metrics.money`). A value chosen by others, such as a step's name, goes through `bounded`.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Literal

import prometheus_client
from opentelemetry import trace
from opentelemetry.trace import SpanContext
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.registry import Collector

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

Process = Literal["api", "dispatcher", "deliverer", "worker", "guard"]
EVERY: tuple[Process, ...] = ("api", "dispatcher", "deliverer", "worker", "guard")
# How processes that share a folder combine one gauge: prometheus_client's multiprocess modes.
Mode = Literal["livesum", "livemax", "max", "mostrecent"]

OTHER = "other"
VALUES_MAX = 200

# Durations in seconds of a request, a wait or a job.
REQUEST_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
WAIT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
JOB_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)


@dataclass(frozen=True, slots=True)
class Family:
    """A metric and the processes that count it. `name` is as Prometheus shows it, without a histogram's suffixes.

    `theme` is the module that defines it.
    """

    theme: str
    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    processes: tuple[Process, ...]
    exemplars: bool
    collector: Collector


FAMILIES: list[Family] = []


def counter(name: str, text: str, labels: Sequence[str] = (), *, by: tuple[Process, ...]) -> Counter:
    """A counter `name`, whose series ends in ``_total``, counted by the processes `by`."""
    made = Counter(name, text, tuple(labels))
    FAMILIES.append(
        Family(_theme(), f"{name}_total", "counter", tuple(labels), text, by, exemplars=False, collector=made)
    )
    return made


def gauge(name: str, text: str, labels: Sequence[str] = (), *, by: tuple[Process, ...], mode: Mode) -> Gauge:
    """A gauge `name`; `mode` is how processes that share a folder combine it."""
    made = Gauge(name, text, tuple(labels), multiprocess_mode=mode)
    FAMILIES.append(Family(_theme(), name, "gauge", tuple(labels), text, by, exemplars=False, collector=made))
    return made


def histogram(
    name: str,
    text: str,
    labels: Sequence[str] = (),
    *,
    by: tuple[Process, ...],
    buckets: Sequence[float],
    exemplars: bool = False,
) -> Histogram:
    """A histogram `name`; `exemplars`: its observations carry the trace's id, from `exemplar`."""
    made = Histogram(name, text, tuple(labels), buckets=tuple(buckets))
    FAMILIES.append(Family(_theme(), name, "histogram", tuple(labels), text, by, exemplars=exemplars, collector=made))
    return made


def _theme() -> str:
    return str(sys._getframe(2).f_globals["__name__"]).rpartition(".")[2]  # noqa: SLF001 - who defines it


def exemplar() -> dict[str, str] | None:
    """Labels that link an observation to the current trace; None outside any trace, and in one not sampled."""
    return exemplar_of(trace.get_current_span().get_span_context())


def exemplar_of(context: SpanContext) -> dict[str, str] | None:
    """The same for the trace of a span that is not the current one."""
    if not context.is_valid or not context.trace_flags.sampled:
        return None
    return {"trace_id": f"{context.trace_id:032x}"}


class BoundedLabel:
    """A label with values chosen by others: a process keeps the first `most`, all later ones are ``other``."""

    def __init__(self, most: int = VALUES_MAX) -> None:
        self._max = most
        self._seen: set[str] = set()
        self._lock = Lock()

    def of(self, value: str) -> str:
        """`value`, or ``other``."""
        if value in self._seen:
            return value
        with self._lock:
            if value not in self._seen and len(self._seen) >= self._max:
                return OTHER
            self._seen.add(value)
            return value


class Snapshot:
    """A gauge that is set as a whole: a value that was reported before and is missing now becomes 0."""

    def __init__(self, made: Gauge) -> None:
        self._gauge = made
        self._seen: set[tuple[str, ...]] = set()

    def set(self, values: Iterable[tuple[tuple[str, ...], float]]) -> None:
        """Set the gauge's values, by labels."""
        missing = set(self._seen)
        for labels, value in values:
            missing.discard(labels)
            self._seen.add(labels)
            self._gauge.labels(*labels).set(value)
        for labels in missing:
            self._gauge.labels(*labels).set(0)

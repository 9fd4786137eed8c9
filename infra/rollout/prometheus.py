"""Prometheus' figures about the two releases that run side by side."""

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass

_TIMEOUT_SECONDS = 10.0
_ANSWER_MAX_BYTES = 1024 * 1024


class NoAnswer(Exception):
    """Prometheus cannot be reached, or does not answer with a figure."""


@dataclass(frozen=True, slots=True)
class Target:
    """A process of the chart: the API, or the workers of a pool."""

    name: str
    process: str

    @property
    def is_api(self) -> bool:
        """Whether it answers requests."""
        return self.name == "api"

    @property
    def canary(self) -> "Target":
        """Its other release."""
        return Target(self.name, f"{self.process}-canary")


@dataclass(frozen=True, slots=True)
class Measured:
    """Requests answered, or attempts at jobs ended, in a window; the share that failed; the 95th percentile."""

    count: float
    failed_share: float
    p95_seconds: float | None

    def __str__(self) -> str:
        slow = "" if self.p95_seconds is None else f", p95 {self.p95_seconds:.3g} s"
        return f"{self.count:.0f} with {self.failed_share:.1%} failed{slow}"


class Prometheus:
    """The HTTP API of a Prometheus that scrapes the chart's PodMonitor."""

    def __init__(self, url: str, namespace: str) -> None:
        self._url = url.rstrip("/")
        self._namespace = namespace

    def measure(self, target: Target, window_seconds: int) -> Measured | None:
        """Measure the last `window_seconds`; None when nothing happened. Raises `NoAnswer`."""
        queries = self.queries(target, window_seconds)
        count = self._value(queries["count"])
        if not count:
            return None
        failed = self._value(queries["failed"]) or 0.0
        p95 = self._value(queries["p95"]) if "p95" in queries else None
        return Measured(count, failed / count, p95)

    def queries(self, target: Target, window_seconds: int) -> dict[str, str]:
        """The PromQL queries. An attempt's duration depends on its job, so workers have no p95."""
        chosen = f'namespace="{self._namespace}",waybill_io_process="{target.process}"'
        window = f"[{window_seconds}s]"
        if not target.is_api:
            attempts = "waybill_job_attempt_duration_seconds_count"
            return {
                "count": f"sum(increase({attempts}{{{chosen}}}{window}))",
                "failed": f'sum(increase({attempts}{{{chosen},outcome="failed"}}{window}))',
            }
        requests, buckets = "waybill_http_requests_total", "waybill_http_request_duration_seconds_bucket"
        return {
            "count": f"sum(increase({requests}{{{chosen}}}{window}))",
            "failed": f'sum(increase({requests}{{{chosen},status="5xx"}}{window}))',
            "p95": f"histogram_quantile(0.95, sum by (le) (rate({buckets}{{{chosen}}}{window})))",
        }

    def _value(self, query: str) -> float | None:
        url = f"{self._url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - the operator's own
                found = json.loads(answer.read(_ANSWER_MAX_BYTES))["data"]["result"]
            value = float(found[0]["value"][1]) if found else None
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise NoAnswer(f"{self._url}: {error}") from error
        return None if value is None or math.isnan(value) else value

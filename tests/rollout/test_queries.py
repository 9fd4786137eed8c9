"""The queries of a rollout, asked of a real Prometheus that scrapes what the product exports."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

from core.kit import metrics
from infra.rollout.prometheus import Measured, NoAnswer, Prometheus, Target
from tests.factories.waiting import wait_until
from waybill.stack.postgres import free_port

_program = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(_program is None, reason="needs prometheus (Debian: apt install prometheus)")

API, WORKER = Target("api", "api"), Target("knowledge", "worker-knowledge")


class Process:
    """What one process exports, under the product's names and labels, at a port of its own."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.requests = Counter("waybill_http_requests", "…", metrics.HTTP_REQUESTS._labelnames, registry=registry)
        self.seconds = Histogram(
            "waybill_http_request_duration_seconds", "…", metrics.HTTP_DURATION._labelnames, registry=registry
        )
        self.attempts = Histogram(
            "waybill_job_attempt_duration_seconds", "…", metrics.JOB_ATTEMPT_DURATION._labelnames, registry=registry
        )
        # As of a process that has run for a while: a series that begins is no increase.
        for status in ("2xx", "5xx"):
            self.requests.labels("GET", "/v1/jobs", status)
        for outcome in ("succeeded", "failed"):
            self.attempts.labels("knowledge.search", outcome)
        self.seconds.labels("GET", "/v1/jobs")
        self.port = free_port()
        self._server, _ = start_http_server(self.port, addr="127.0.0.1", registry=registry)

    def answer(self, times: int, status: str, seconds: float) -> None:
        """Count requests."""
        for _ in range(times):
            self.requests.labels("GET", "/v1/jobs", status).inc()
            self.seconds.labels("GET", "/v1/jobs").observe(seconds)

    def attempt(self, times: int, outcome: str) -> None:
        """Count attempts at jobs."""
        for _ in range(times):
            self.attempts.labels("knowledge.search", outcome).observe(1.0)

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def processes() -> Iterator[dict[str, Process]]:
    with ExitStack() as stack:
        made = {name: Process() for name in ("api", "api-canary", "worker-knowledge", "worker-knowledge-canary")}
        for process in made.values():
            stack.callback(process.close)
        yield made


@pytest.fixture
def prometheus(processes: dict[str, Process], tmp_path: Path) -> Iterator[Prometheus]:
    targets = "".join(
        f"    - targets: ['127.0.0.1:{process.port}']\n"
        f"      labels: {{namespace: waybill, waybill_io_process: {name}}}\n"
        for name, process in processes.items()
    )
    config = f"scrape_configs:\n- job_name: waybill\n  scrape_interval: 1s\n  static_configs:\n{targets}"
    (tmp_path / "prometheus.yml").write_text(config, encoding="utf-8")
    port = free_port()
    assert _program is not None
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            [
                _program,
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield Prometheus(f"http://127.0.0.1:{port}", "waybill")
    finally:
        running.terminate()
        running.wait(30)


def _measured(prometheus: Prometheus, target: Target) -> Measured | None:
    try:
        return prometheus.measure(target, 120)
    except NoAnswer:
        return None


def test_each_release_is_measured_by_itself(prometheus: Prometheus, processes: dict[str, Process]) -> None:
    def seen(*targets: Target) -> bool:
        found = [_measured(prometheus, target) for target in targets]
        return all(found)

    def count() -> bool:
        processes["api"].answer(20, "2xx", 0.02)
        processes["api-canary"].answer(3, "2xx", 0.02)
        processes["api-canary"].answer(1, "5xx", 2.0)
        processes["worker-knowledge"].attempt(4, "succeeded")
        processes["worker-knowledge-canary"].attempt(1, "succeeded")
        processes["worker-knowledge-canary"].attempt(1, "failed")
        return seen(API, API.canary, WORKER, WORKER.canary)

    wait_until(count, timeout_seconds=90, what="Prometheus to have scraped", pause_seconds=0.5)
    stable, canary = prometheus.measure(API, 120), prometheus.measure(API.canary, 120)
    assert stable is not None
    assert canary is not None
    assert stable.failed_share == 0.0
    assert canary.failed_share == pytest.approx(0.25, abs=0.08)
    assert stable.p95_seconds is not None
    assert canary.p95_seconds is not None
    assert stable.p95_seconds < 0.03
    assert canary.p95_seconds > 1.0
    old, new = prometheus.measure(WORKER, 120), prometheus.measure(WORKER.canary, 120)
    assert old is not None
    assert new is not None
    assert old.failed_share == 0.0
    assert new.failed_share == pytest.approx(0.5, abs=0.15)
    assert (old.p95_seconds, new.p95_seconds) == (None, None)
    assert prometheus.measure(Target("models", "worker-models"), 120) is None

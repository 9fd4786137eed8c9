import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.kit import metrics
from core.kit.ids import ORGANIZATION, encode, new_id
from core.kit.metrics.families import OTHER, BoundedLabel, Snapshot
from core.kit.metrics.models import ModelLabels
from core.kit.metrics.money import name_organizations, observe_attempt_of, observe_spend
from core.kit.telemetry import span
from waybill.stack.postgres import free_port

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Job:
    capability: str = "metrics.test"
    attempt: int = 1
    created_at: datetime = NOW
    run_at: datetime = NOW
    started_at: datetime | None = NOW


@dataclass
class Depth:
    pool: str
    state: str
    jobs: int
    wait_seconds: float


def sample(name: str, **labels: str) -> float | None:
    text = metrics.exposition()[0].decode()
    for family in text_string_to_metric_families(text):
        for found in family.samples:
            if found.name == name and labels.items() <= found.labels.items():
                return float(found.value)
    return None


def test_the_wait_counts_from_when_the_job_was_due() -> None:
    due = NOW + timedelta(seconds=60)
    metrics.observe_started_job(Job("metrics.wait", run_at=due, started_at=due + timedelta(seconds=2)))
    metrics.observe_started_job(Job("metrics.wait", attempt=2, started_at=due + timedelta(hours=1)))
    assert sample("waybill_job_wait_seconds_count", capability="metrics.wait") == 1
    assert sample("waybill_job_wait_seconds_sum", capability="metrics.wait") == 2.0


@pytest.mark.parametrize(("event", "outcome"), [("job.succeeded", "succeeded"), ("job.queued", "requeued")])
def test_durations_are_kept_by_outcome(event: str, outcome: str) -> None:
    metrics.observe_finished_job(Job(f"metrics.{outcome}"), event, 1.5)
    name = "waybill_job_attempt_duration_seconds_sum"
    assert sample(name, capability=f"metrics.{outcome}", outcome=outcome) == 1.5


def test_a_queue_that_is_not_reported_any_more_is_empty() -> None:
    metrics.observe_depths([Depth("mpool", "queued", 5, 3.0), Depth("mpool", "running", 1, 0.0)])
    assert sample("waybill_queue_depth", pool="mpool", state="queued") == 5
    assert sample("waybill_queue_oldest_wait_seconds", pool="mpool", state="queued") == 3
    metrics.observe_depths([Depth("mpool", "running", 2, 0.0)])
    assert sample("waybill_queue_depth", pool="mpool", state="queued") == 0
    assert sample("waybill_queue_oldest_wait_seconds", pool="mpool", state="queued") == 0
    assert sample("waybill_queue_depth", pool="mpool", state="running") == 2


def test_metrics_are_served() -> None:
    port = free_port()
    metrics.LIVE_PUBLISH_FAILURES.inc()
    server, thread = metrics.serve_metrics(port, "127.0.0.1")
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert answer.status_code == 200
    assert "waybill_live_publish_failures_total" in answer.text


def test_processes_that_share_a_folder_are_counted_together(tmp_path: Path) -> None:
    script = (
        "from core.kit import metrics\n"
        "metrics.LIVE_PUBLISH_FAILURES.inc()\n"
        "metrics.HTTP_REQUESTS.labels('GET', '/x', '2xx').inc(2)\n"
        "from core.kit.telemetry import span\n"
        "with span('a'): metrics.HTTP_DURATION.labels('GET', '/x').observe(1, metrics.families.exemplar())\n"
        "print(metrics.exposition()[0].decode())\n"
        "print(metrics.exposition('application/openmetrics-text; version=1.0.0')[0].decode())\n"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    run = [sys.executable, "-c", script]
    root = Path(__file__).resolve().parents[3]
    subprocess.run(run, env=environment, cwd=root, check=True, capture_output=True, timeout=60)
    second = subprocess.run(run, env=environment, cwd=root, check=True, capture_output=True, text=True, timeout=60)
    assert "waybill_live_publish_failures_total 2.0" in second.stdout
    assert 'waybill_http_requests_total{method="GET",route="/x",status="2xx"} 4.0' in second.stdout
    assert 'waybill_http_request_duration_seconds_count{method="GET",route="/x"} 2.0' in second.stdout
    # As the reference says: the library has no exemplars here.
    assert second.stdout.rstrip().endswith("# EOF")
    assert "trace_id" not in second.stdout


def test_a_scraper_that_asks_for_openmetrics_gets_the_trace_behind_an_observation() -> None:
    with span("a request", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
        metrics.observe_finished_job(Job("metrics.linked"), "job.succeeded", 1.5)
    with span("one that is not sampled", "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"):
        metrics.observe_finished_job(Job("metrics.unlinked"), "job.succeeded", 1.5)
    body, content_type = metrics.exposition("application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
    text = body.decode()
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    linked = [line for line in text.splitlines() if 'capability="metrics.linked"' in line and " # {" in line]
    assert len(linked) == 1
    assert '# {trace_id="0af7651916cd43dd8448eb211c80319c"} 1.5' in linked[0]
    assert not [line for line in text.splitlines() if "metrics.unlinked" in line and " # {" in line]
    plain, content_type = metrics.exposition("text/plain")
    assert content_type.startswith("text/plain")
    assert b"trace_id" not in plain


def test_what_others_name_is_bounded() -> None:
    label = BoundedLabel(2)
    assert [label.of(each) for each in ("a", "b", "c", "a", "d")] == ["a", "b", OTHER, "a", OTHER]


def test_a_snapshot_shows_nothing_of_what_is_gone() -> None:
    shown = Snapshot(metrics.TABLE_PARTITIONS)
    shown.set([(("one",), 3.0), (("two",), 4.0)])
    shown.set([(("two",), 5.0)])
    assert sample("waybill_table_partitions", table="one") == 0
    assert sample("waybill_table_partitions", table="two") == 5


def test_only_the_organizations_that_the_operator_names_are_in_the_metrics() -> None:
    named, other = new_id(), new_id()
    labels = ModelLabels.of("anthropic", "main", "metrics-model", 3)
    name_organizations([named])
    try:
        for organization_id in (named, other):
            observe_spend(
                organization_id, "metrics.spend", labels, {"input_tokens": 10}, Decimal("0.25"), is_priced=True
            )
            observe_attempt_of(organization_id, "metrics.spend", "job.queued")
    finally:
        name_organizations([])
    label = encode(ORGANIZATION, named)
    assert sample("waybill_organization_spend_usd_total", organization=label) == 0.25
    assert sample("waybill_organization_job_attempts_total", organization=label, outcome="requeued") == 1
    assert sample("waybill_spend_usd_total", capability="metrics.spend", version="3", deployment="main") == 0.5
    assert sample("waybill_tokens_total", capability="metrics.spend", kind="input_tokens") == 20
    assert encode(ORGANIZATION, other) not in metrics.exposition()[0].decode()

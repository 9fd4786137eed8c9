"""Every way an attempt can end is counted once, under what a person would look for."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from core.guard.guard import open_guard
from core.jobs import queue
from core.kit.settings import Settings
from tests.factories.api import probe_capabilities
from tests.factories.jobs import Tenant
from workers.execute import execute
from workers.runtime import Runtime


def value(name: str, **labels: str) -> float:
    found = 0.0
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                found += sample.value
    return found


@pytest.fixture
def runtime(settings: Settings) -> Iterator[Runtime]:
    with probe_capabilities():
        made = Runtime(settings, open_guard(settings), pool_size=4)
        made.pool = "probe"
        yield made
        made._heartbeat.stop()
        made.services.settlements.close()
        made.database.close()


def attempt(runtime: Runtime, job_id: UUID) -> None:
    with runtime.database.system() as session:
        queue.mark_dispatched(session, [job_id])
    execute(runtime, job_id)


def test_attempts_are_counted_by_how_they_ended(runtime: Runtime, tenant: Tenant) -> None:
    capability = "probe.act"
    ends = {
        "noop": ("succeeded", None),
        "fail": ("failed", "asked_to_fail"),
        "crash": ("requeued", "capability_error"),
        "suspend": ("waiting", "input"),
    }
    name, reasons = "waybill_job_attempt_duration_seconds_count", "waybill_job_attempts_ended_total"
    before = {
        act: (value(name, capability=capability, outcome=outcome), value(reasons, outcome=outcome, reason=reason or ""))
        for act, (outcome, reason) in ends.items()
    }
    duplicates = value("waybill_duplicate_messages_refused_total", pool="probe")
    for act in ends:
        attempt(runtime, tenant.submit(act, retryable=False))
    assert {
        act: (value(name, capability=capability, outcome=outcome), value(reasons, outcome=outcome, reason=reason or ""))
        for act, (outcome, reason) in ends.items()
    } == {act: (seen + 1, reported + (ends[act][1] is not None)) for act, (seen, reported) in before.items()}
    assert value("waybill_worker_slots_busy", pool="probe") == 0

    done = tenant.submit()
    attempt(runtime, done)
    execute(runtime, done)
    assert value("waybill_duplicate_messages_refused_total", pool="probe") == duplicates + 1


def test_what_calls_outside_the_gateway_consume_is_counted_too(runtime: Runtime, tenant: Tenant) -> None:
    labels = {"provider": "local", "model": "local/probe"}
    tokens = value("waybill_tokens_total", capability="probe.act", kind="output_tokens", **labels)
    attempt(runtime, tenant.submit("spend", calls=2, used_tokens=7))
    assert value("waybill_tokens_total", capability="probe.act", kind="output_tokens", **labels) == tokens + 14

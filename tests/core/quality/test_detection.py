"""A worse version raises one alert that names it and shows cases; drift of inputs does too; closing begins anew."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from core.kit.blob import open_blob_store
from core.kit.ids import JOB, MODEL_VERSION, QUALITY_ALERT, encode, new_id
from core.kit.settings import Settings
from core.quality.signals import Signal
from core.quality.statistics.stream import LEARN_JOBS
from core.webhooks.events import EventType
from tests.factories.jobs import Tenant
from tests.factories.quality import SEARCH, Collector, Ended, answer, write_ended
from workers.quality import QualityCollector

pytestmark = pytest.mark.own_database


def write(settings: Settings, tenant: Tenant, jobs: list[Ended]) -> list[UUID]:
    assert settings.database_url is not None
    who = tenant.principal
    return write_ended(settings.database_url.get_secret_value(), who.organization_id, who.project_id, jobs)


def answers(rng: random.Random, version: UUID, share: float, count: int, **more: Any) -> list[Ended]:
    """Jobs of a version that gives two quotes each, `share` of which stand in the documents."""
    verified = [sum(rng.random() < share for _ in range(2)) for _ in range(count)]
    return [Ended(answer(number, 2 - number), model_version=str(version), **more) for number in verified]


def test_a_version_that_quotes_worse_raises_one_alert(settings: Settings, tenant: Tenant, collector: Collector) -> None:
    rng, old, new = random.Random(3), new_id(), new_id()
    before = datetime.now(UTC) - timedelta(days=30)
    organization_id = tenant.principal.organization_id
    with tenant.database.system() as session:
        session.execute(
            text(
                "INSERT INTO webhook_endpoints (id, organization_id, project_id, url, events) VALUES"
                " (:named, :organization, :project, 'https://a.example', ARRAY['quality.alert']),"
                " (:all, :organization, :project, 'https://b.example', '{}')"
            ),
            {
                "named": new_id(),
                "all": new_id(),
                "organization": organization_id,
                "project": tenant.principal.project_id,
            },
        )
    # History alarms nobody, however bad a part of it was.
    history = answers(rng, old, 0.95, LEARN_JOBS, ended_at=before)
    history += answers(rng, old, 0.5, 30, ended_at=before) + answers(rng, old, 0.95, 470, ended_at=before)
    write(settings, tenant, history)
    assert collector.collect(len(history), limit=500) == []
    written = write(settings, tenant, answers(rng, new, 0.80, 400))
    raised = collector.collect(400)
    assert len(raised) == 1
    alert = raised[0].alert
    assert (alert.signal, alert.capability) == (Signal.QUOTES_VERIFIED, SEARCH)
    assert alert.model_version == encode(MODEL_VERSION, new)
    assert alert.baseline_version == encode(MODEL_VERSION, old)
    assert alert.observed_mean is not None
    assert alert.baseline_mean is not None
    assert alert.observed_mean < alert.baseline_mean - 0.08
    assert len(set(alert.job_ids)) == 10
    assert set(alert.job_ids) <= set(written)
    with tenant.database.system() as session:
        values = session.execute(
            text("SELECT numerator FROM quality_signals WHERE job_id = ANY(:ids) AND signal = 'quotes_verified'"),
            {"ids": list(alert.job_ids)},
        ).scalars()
        assert max(values) <= 1
        trail = session.execute(
            text("SELECT subject_id, detail FROM audit_inbox WHERE action = 'dispatcher:quality:alert'")
        ).one()
        [sent] = session.execute(
            text("SELECT body FROM webhook_deliveries WHERE event = :event"), {"event": EventType.QUALITY_ALERT}
        ).scalars()
    assert trail.subject_id == encode(QUALITY_ALERT, raised[0].id)
    assert trail.detail["model_version"] == alert.model_version
    body = bytes(sent).decode()
    assert alert.model_version in body
    assert all(encode(JOB, job_id) in body for job_id in alert.job_ids)
    # It goes on as badly: no second alert, and the gauge counts one.
    write(settings, tenant, answers(rng, new, 0.80, 200))
    assert collector.collect(200) == []
    QualityCollector(settings, tenant.database, open_blob_store(settings)).report()
    labels = {"capability": SEARCH, "signal": "quotes_verified"}
    assert REGISTRY.get_sample_value("waybill_quality_alerts_open", labels) == 1


def test_inputs_about_something_else_raise_an_alert_with_ten_of_them(
    settings: Settings, tenant: Tenant, collector: Collector
) -> None:
    rng = random.Random(4)
    common = ["how", "is", "the", "a", "what", "do", "i", "when"]

    def asked(subject: str, count: int) -> list[Ended]:
        words = [*common, *(f"{subject}{number}" for number in range(40))]
        weights = [1 / rank for rank in range(1, len(words) + 1)]
        return [Ended(answer(), input={"query": " ".join(rng.choices(words, weights, k=12))}) for _ in range(count)]

    write(settings, tenant, asked("parcel", 800))
    assert collector.collect(800) == []
    strange = write(settings, tenant, asked("income", 150))
    # In small rounds, as they come.
    [raised, *others] = collector.collect(150, limit=50)
    assert others == []
    assert (raised.alert.signal, raised.alert.direction, raised.alert.is_worse) == (Signal.INPUT_WORDS, "drift", False)
    assert len(raised.alert.job_ids) == 10
    assert set(raised.alert.job_ids) <= set(strange)

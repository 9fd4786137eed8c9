"""Signals are derived from what is stored, once a job, whatever dies in between; ratings replace each other."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from core.jobs import endings, feedback
from core.keys.principal import Principal
from core.kit.ids import MODEL_VERSION, encode, new_id
from core.kit.settings import Settings
from core.quality.signals import Signal
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.quality import SEARCH, Collector, Ended, answer, write_ended

pytestmark = pytest.mark.own_database


def write(settings: Settings, tenant: Tenant, *jobs: Ended) -> list[UUID]:
    assert settings.database_url is not None
    who = tenant.principal
    return write_ended(settings.database_url.get_secret_value(), who.organization_id, who.project_id, jobs)


def signals(tenant: Tenant, job_id: UUID) -> dict[str, tuple[float, float]]:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        rows = session.execute(
            text("SELECT signal, numerator, denominator FROM quality_signals WHERE job_id = :id"), {"id": job_id}
        )
        return {row.signal: (row.numerator, row.denominator) for row in rows}


def sums(tenant: Tenant, signal: Signal) -> tuple[int, float, float]:
    """Jobs, numerators and denominators over all hours."""
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        row = session.execute(
            text(
                "SELECT coalesce(sum(jobs), 0)::bigint, coalesce(sum(numerators), 0),"
                " coalesce(sum(denominators), 0) FROM quality_hours WHERE signal = :signal"
            ),
            {"signal": signal},
        ).one()
        return tuple(row)


def rate(tenant: Tenant, job_id: UUID, score: str, key: UUID | None = None) -> None:
    who = tenant.principal
    rater = Principal(who.organization_id, who.project_id, None, frozenset(), "key", str(key or "key_one"))
    with tenant.database.tenant(who.organization_id) as session:
        feedback.give(session, rater, job_id, Decimal(score), None)


def test_signals_of_every_kind_of_job_are_written_once(
    settings: Settings, tenant: Tenant, collector: Collector
) -> None:
    version = new_id()
    good, mixed, failed, cancelled, shadow = write(
        settings,
        tenant,
        Ended(answer(3, 1), model_version=str(version)),
        Ended(
            {
                "valid": False,
                "fields": {"a": {"confidence": 0.5}, "b": {"confidence": 0}, "withheld": {"confidence": 0.3}},
                "data": {"a": 1, "b": None, "withheld": None},
                "answer": None,
            },
            tools=("done", "unknown", None, "refused"),
            answers=({"approved": True}, {"approved": True, "amount": 3}, {"approved": False}, {"name": "x"}),
            failures=1,
            capability="multimodal.understand",
        ),
        Ended(state="failed", failures=3),
        Ended(state="cancelled"),
        Ended(answer(0, 5), is_shadow=True),
    )
    assert collector.collect(5, limit=2) == []
    found = signals(tenant, good)
    assert found.pop("run_seconds") == (1.0, 1.0)
    assert found == {
        "succeeded": (1, 1),
        "retried": (0, 1),
        "outage": (0, 1),
        "guard_found": (0, 1),
        "abstained": (0, 1),
        "quotes_verified": (3, 4),
        "result_length": (22, 1),
        "input_length": (30, 1),
    }
    found = signals(tenant, mixed)
    assert {name: value for name, value in found.items() if name.startswith(("human", "tool", "field", "conf"))} == {
        "human_approved": (1, 3),
        "human_corrected": (1, 3),
        "human_refused": (1, 3),
        "tool_failed": (2, 4),
        "fields_found": (1, 3),
        "confidence": (0.5, 1),
    }
    assert found["schema_valid"] == (0, 1)
    assert signals(tenant, failed)["succeeded"] == (0, 1)
    assert signals(tenant, cancelled) == {}
    # A shadow has signals, and is in no series.
    assert signals(tenant, shadow)["quotes_verified"] == (0, 5)
    assert sums(tenant, Signal.QUOTES_VERIFIED) == (1, 3, 4)
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        row = session.execute(
            text("SELECT model_version, prompt_version, capability FROM quality_signals WHERE job_id = :id LIMIT 1"),
            {"id": good},
        ).one()
    assert tuple(row) == (encode(MODEL_VERSION, version), "sha256:p", SEARCH)
    again = collector.once()
    assert (again.jobs, again.rated) == (0, 0)


def test_a_round_that_dies_counts_nothing_and_two_collectors_count_nothing_twice(
    settings: Settings, tenant: Tenant, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings, tenant, *(Ended(answer()) for _ in range(5)))

    def die(*_: object) -> None:
        raise RuntimeError("the process was killed")

    with monkeypatch.context() as patched:
        patched.setattr(endings, "move_cursor", die)
        with pytest.raises(RuntimeError):
            collector.collect(5)
    assert sums(tenant, Signal.SUCCEEDED) == (0, 0, 0)
    with tenant.database.system() as session:
        assert endings.take_cursor(session, endings.Reader.QUALITY) is not None
        # Somebody else holds the cursor.
        assert collector.once().jobs == 0
    collector.collect(5, limit=3)
    assert sums(tenant, Signal.SUCCEEDED) == (5, 5, 5)


def test_what_commits_late_is_not_skipped(settings: Settings, tenant: Tenant, collector: Collector) -> None:
    assert settings.database_url is not None
    who = tenant.principal
    with psycopg.connect(settings.database_url.get_secret_value()) as slow:
        # An older transaction that is still open: what it writes comes below what is committed meanwhile.
        slow.execute("SELECT pg_current_xact_id()")
        write(settings, tenant, Ended(answer()))
        assert collector.once().jobs == 0
        late = new_id()
        slow.execute(
            "INSERT INTO jobs (id, organization_id, project_id, capability, pool, state, finished_at)"
            " VALUES (%s, %s, %s, 'probe.act', 'probe', 'succeeded', now())",
            (late, who.organization_id, who.project_id),
        )
        slow.execute(
            "INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt)"
            " VALUES (%s, 1, 0, %s, 'job.succeeded', 1)",
            (late, who.organization_id),
        )
        slow.commit()
    collector.collect(2)
    assert signals(tenant, late)["succeeded"] == (1, 1)


def test_a_later_rating_replaces_the_one_before(settings: Settings, tenant: Tenant, collector: Collector) -> None:
    early, job = write(settings, tenant, Ended(answer()), Ended(answer()))
    rate(tenant, early, "0.5")
    # Rated before it was read: once.
    collector.collect(2, rated=1)
    assert signals(tenant, early)["feedback"] == (0.5, 1)
    rate(tenant, job, "1")
    collector.collect(rated=1)
    rate(tenant, job, "0", new_id())
    rate(tenant, job, "0.5")
    collector.collect(rated=1)
    assert signals(tenant, job)["feedback"] == (0.25, 1)
    assert sums(tenant, Signal.FEEDBACK) == (2, 0.75, 2)
    # The signals that no person gave are as they were.
    assert sums(tenant, Signal.SUCCEEDED) == (2, 2, 2)


def test_other_organizations_see_nothing_and_no_text_is_written(
    settings: Settings, tenant: Tenant, collector: Collector
) -> None:
    canary = "zanzibar4711"
    [job_id] = write(
        settings,
        tenant,
        Ended({**answer(), "answer": canary}, input={"query": canary}, ended_at=datetime.now(UTC) - timedelta(days=2)),
    )
    collector.collect(1)
    stranger = new_tenant(settings)
    assert signals(stranger, job_id) == {}
    assert sums(stranger, Signal.SUCCEEDED) == (0, 0, 0)
    stranger.close()
    with tenant.database.system() as session:
        for table in ("signals", "inputs", "hours", "streams", "alerts"):
            rows = session.execute(text(f"SELECT row_to_json(t)::text FROM quality_{table} AS t")).scalars().all()
            assert canary not in "".join(rows)
            assert rows or table == "alerts"

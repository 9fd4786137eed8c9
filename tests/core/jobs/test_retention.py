"""Retention: payloads are blanked past their project's clock, months go past every clock, and the sums still hold."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import text

from core.audit.actions import AuditAction
from core.jobs import artifacts
from core.jobs.retention.records import Kind
from core.jobs.retention.removal import run_once
from core.jobs.retention.service import RetentionService
from core.kit.blob import BlobNotFound, BlobStore, open_blob_store
from core.kit.errors import Unprocessable
from core.kit.ids import new_id
from core.kit.settings import Settings
from core.ledger.invariants import check_invariants
from tests.factories.audit import new_signer
from tests.factories.charges import id_at, month_start
from tests.factories.jobs import Tenant, new_tenant

pytestmark = pytest.mark.own_database


@pytest.fixture
def owner(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection as the tables' owner, for what only time could do."""
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    with opened.database.system() as session:
        session.execute(text("DELETE FROM retention_policies"))
        # What is past its clock would be blanked by the next test's run.
        session.execute(text("DELETE FROM jobs WHERE created_at < now() - interval '1 day' OR finished_at IS NOT NULL"))
    opened.close()


@pytest.fixture
def blobs(settings: Settings) -> BlobStore:
    return open_blob_store(settings)


def ended_job(owner: psycopg.Connection, tenant: Tenant, *, days_ago: float, is_open: bool = False) -> UUID:
    """A job that was submitted, and unless it `is_open` also ended, so many days ago."""
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    job_id = id_at(moment)
    owner.execute(
        "INSERT INTO jobs (id, organization_id, project_id, capability, pool, state, reason, attempt, created_at,"
        " finished_at, input, result, input_digest, result_digest)"
        " VALUES (%s, %s, %s, 'probe.act', 'probe', %s, %s, 1, %s, %s, %s, %s, sha256('in'), sha256('out'))",
        (
            job_id,
            tenant.principal.organization_id,
            tenant.principal.project_id,
            *(("waiting", "input") if is_open else ("succeeded", None)),
            moment,
            None if is_open else moment,
            Jsonb({"prompt": "secret"}),
            None if is_open else Jsonb({"answer": "secret"}),
        ),
    )
    return job_id


def month_partition(owner: psycopg.Connection, parent: str, months: int) -> str:
    """The partition of `parent` for the month so many months ago, made when it is missing."""
    first, past = month_start(-months), month_start(-months + 1)
    name = f"{parent}_{first:%Y%m}"
    owner.execute(
        f"DO $$ BEGIN EXECUTE format('CREATE TABLE IF NOT EXISTS {name} PARTITION OF {parent} FOR VALUES FROM (%L) TO"
        f" (%L)', uuid7_floor('{first}'), uuid7_floor('{past}')); END $$"
    )
    return name


def exists(owner: psycopg.Connection, table: str) -> bool:
    row = owner.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()
    return bool(row and row[0])


def payload(tenant: Tenant, job_id: UUID) -> tuple[object, object]:
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    _, given, result = tenant.service.get_with_payloads(single, tenant.principal, job_id)
    return given, result


def set_days(tenant: Tenant, settings: Settings, kind: Kind, days: int | None) -> None:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        RetentionService(settings).set(session, tenant.principal, kind, days, for_project=True)


@pytest.mark.survive("P8")
def test_artifacts_go_with_their_jobs_payload(
    settings: Settings, owner: psycopg.Connection, tenant: Tenant, blobs: BlobStore
) -> None:
    jobs = {days: ended_job(owner, tenant, days_ago=days) for days in (2, 40)}
    for job_id in jobs.values():
        stored = blobs.put(artifacts.place(job_id, 1, "report.md"), b"# Secret", "text/markdown")
        owner.execute(
            "INSERT INTO job_artifacts (job_id, name, organization_id, project_id, attempt, content_type, size_bytes,"
            " sha256, blob_key) VALUES (%s, 'report.md', %s, %s, 1, 'text/markdown', 8, 'x', %s)",
            (job_id, tenant.principal.organization_id, tenant.principal.project_id, stored.key),
        )
    run_once(tenant.database, blobs, settings.model_copy(update={"retention_payload_days": 30}), None)
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    left = {days: artifacts.list_artifacts(single, tenant.principal, job_id) for days, job_id in jobs.items()}
    assert [each.name for each in left[2]] == ["report.md"]
    assert left[40] == []
    assert [list(blobs.list(f"jobs/{job_id}/")) != [] for job_id in jobs.values()] == [True, False]


def test_payloads_past_their_projects_clock_are_blanked_and_nothing_else(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, blobs: BlobStore
) -> None:
    neighbour = new_tenant(settings)
    set_days(tenant, settings, Kind.PAYLOADS, 10)
    old, young = ended_job(owner, tenant, days_ago=11), ended_job(owner, tenant, days_ago=9)
    waits = ended_job(owner, tenant, days_ago=50, is_open=True)
    theirs = ended_job(owner, neighbour, days_ago=11)
    run = run_once(tenant.database, blobs, settings, None)
    assert run.blanked == {tenant.principal.organization_id: 1}
    assert run.is_complete
    assert payload(tenant, old) == (None, None)
    assert tenant.job(old).payload_erased_at is not None
    assert payload(tenant, young) == ({"prompt": "secret"}, {"answer": "secret"})
    assert payload(tenant, waits)[0] == {"prompt": "secret"}
    assert payload(neighbour, theirs)[0] == {"prompt": "secret"}
    digests = owner.execute("SELECT input_digest, result_digest FROM jobs WHERE id = %s", (old,)).fetchone()
    assert digests is not None
    assert None not in digests
    assert run_once(tenant.database, blobs, settings, None).blanked == {}
    owner.execute("DELETE FROM jobs WHERE id = %s", (waits,))
    neighbour.close()


def test_what_was_written_about_a_result_goes_with_it_and_the_rating_stays(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, blobs: BlobStore
) -> None:
    set_days(tenant, settings, Kind.PAYLOADS, 10)
    jobs = {days: ended_job(owner, tenant, days_ago=days) for days in (9, 11)}
    for job_id in jobs.values():
        owner.execute(
            "INSERT INTO job_feedback (job_id, actor, organization_id, project_id, score, comment)"
            " VALUES (%s, 'key:x', %s, %s, 0.5, 'it quotes the secret')",
            (job_id, tenant.principal.organization_id, tenant.principal.project_id),
        )
    run_once(tenant.database, blobs, settings, None)
    kept = {
        days: owner.execute("SELECT score, comment FROM job_feedback WHERE job_id = %s", (job_id,)).fetchone()
        for days, job_id in jobs.items()
    }
    assert kept == {9: (Decimal("0.5000"), "it quotes the secret"), 11: (Decimal("0.5000"), None)}


def test_ratings_and_arms_go_with_the_month_of_their_jobs(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, blobs: BlobStore
) -> None:
    partition = month_partition(owner, "jobs", 30)
    old, young = id_at(month_start(-30) + timedelta(days=1)), ended_job(owner, tenant, days_ago=2)
    organization = tenant.principal.organization_id
    for job_id in (old, young):
        owner.execute(
            "INSERT INTO job_feedback (job_id, actor, organization_id, project_id, score)"
            " VALUES (%s, 'key:x', %s, %s, 1)",
            (job_id, organization, tenant.principal.project_id),
        )
        owner.execute(
            "INSERT INTO experiment_exposures (experiment_id, job_id, organization_id, arm_id, allocation, unit_digest)"
            " VALUES (uuidv7(), %s, %s, uuidv7(), 1, 'x')",
            (job_id, organization),
        )
        owner.execute(
            "INSERT INTO shadow_runs (arm_id, job_id, organization_id, project_id, experiment_id, state, reason)"
            " VALUES (uuidv7(), %s, %s, %s, uuidv7(), 'dropped', 'tested')",
            (job_id, organization, tenant.principal.project_id),
        )
    assert partition in run_once(tenant.database, blobs, settings, None).dropped
    for table in ("job_feedback", "experiment_exposures", "shadow_runs"):
        left = owner.execute(f"SELECT job_id FROM {table} WHERE organization_id = %s", (organization,)).fetchall()
        assert left == [(young,)], table


def test_a_retention_period_without_end_keeps_payloads(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, blobs: BlobStore
) -> None:
    set_days(tenant, settings, Kind.PAYLOADS, None)
    ancient = ended_job(owner, tenant, days_ago=3000)
    assert tenant.principal.organization_id not in run_once(tenant.database, blobs, settings, None).blanked
    assert payload(tenant, ancient)[1] == {"answer": "secret"}


def test_blanking_goes_in_small_batches_and_says_when_more_is_left(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, blobs: BlobStore
) -> None:
    for _ in range(7):
        ended_job(owner, tenant, days_ago=400)
    first = run_once(tenant.database, blobs, settings, None, batch=2, batches=2)
    assert (first.blanked, first.is_complete) == ({tenant.principal.organization_id: 4}, False)
    second = run_once(tenant.database, blobs, settings, None, batch=2, batches=5)
    assert (second.blanked, second.is_complete) == ({tenant.principal.organization_id: 3}, True)
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        counts = session.execute(
            text("SELECT (detail ->> 'jobs')::int FROM audit_log WHERE action = :action ORDER BY id"),
            {"action": AuditAction.RETENTION_RUN},
        )
        assert list(counts.scalars()) == [2, 2, 2, 1]


class PowerCut(Exception):
    """The process ends here."""


class DyingStore:
    """A blob store whose process dies just after it removed blobs."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def delete_prefix(self, prefix: str) -> int:
        self._blobs.delete_prefix(prefix)
        raise PowerCut


def test_a_crash_after_the_blobs_went_leaves_nothing_that_the_next_run_does_not_find(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, blobs: BlobStore
) -> None:
    job_id = ended_job(owner, tenant, days_ago=400)
    key = f"jobs/{job_id}/result-1.json"
    blobs.put(key, b'{"answer": "secret"}', "application/json")
    owner.execute("UPDATE jobs SET result = NULL, result_ref = %s WHERE id = %s", (key, job_id))
    with pytest.raises(PowerCut):
        run_once(tenant.database, DyingStore(blobs), settings, None)  # type: ignore[arg-type]
    assert tenant.job(job_id).payload_erased_at is None
    # Between the two a client is told that there is nothing, not that something is broken.
    assert payload(tenant, job_id) == (None, None)
    assert run_once(tenant.database, blobs, settings, None).blanked == {tenant.principal.organization_id: 1}
    with pytest.raises(BlobNotFound):
        blobs.get(key)
    assert tenant.job(job_id).payload_erased_at is not None


@pytest.mark.survive("P8")
def test_a_month_of_the_ledger_goes_and_budgets_still_agree(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, blobs: BlobStore
) -> None:
    partition, jobs = month_partition(owner, "ledger_entries", 100), month_partition(owner, "jobs", 100)
    kept = month_partition(owner, "ledger_entries", 70)
    organization, project = tenant.principal.organization_id, tenant.principal.project_id
    budget, balance = new_id(), new_id()
    owner.execute(
        "INSERT INTO budgets (id, organization_id, name, scope, scope_id, period, limit_usd)"
        " VALUES (%s, %s, 'for ever', 'organization', %s, 'total', 100)",
        (budget, organization, organization),
    )
    owner.execute(
        "INSERT INTO budget_balances (id, budget_id, organization_id, period_start, spent_usd)"
        " VALUES (%s, %s, %s, '-infinity', 5)",
        (balance, budget, organization),
    )
    for months, amount in ((100, "2"), (70, "3")):
        job_id = id_at(month_start(-months) + timedelta(days=3))
        owner.execute(
            "INSERT INTO jobs (id, organization_id, project_id, capability, pool, state, attempt, finished_at,"
            " cost_usd, payload_erased_at) VALUES (%s, %s, %s, 'probe.act', 'probe', 'succeeded', 1, now(), %s, now())",
            (job_id, organization, project, amount),
        )
        for entry, kind, spent in ((0, "intent", "0"), (1, "settlement", amount)):
            owner.execute(
                "INSERT INTO ledger_entries (job_id, attempt, call, entry, organization_id, project_id, root_job_id,"
                " kind, capability, provider, model, bound_usd, amount_usd, balance_ids)"
                " VALUES (%s, 1, 1, %s, %s, %s, %s, %s, 'probe.act', 'p', 'm', 5, %s, %s)",
                (job_id, entry, organization, project, job_id, kind, spent, [balance] if entry else []),
            )

    def mine() -> list[str]:
        with tenant.database.system() as session:
            return [str(each) for each in check_invariants(session) if each.subject in {balance, job_id}]

    assert mine() == []
    dropped = run_once(tenant.database, blobs, settings, None).dropped
    assert {partition, jobs} <= set(dropped)
    assert not exists(owner, partition)
    assert exists(owner, kept)
    assert mine() == []
    carried = owner.execute("SELECT amount_usd FROM ledger_carried WHERE balance_id = %s", (balance,)).fetchone()
    assert carried == (Decimal(2),)
    # Whoever drops a partition by hand is found out: five were spent, and only two are explained.
    owner.execute(f"ALTER TABLE ledger_entries DETACH PARTITION {kept}")
    assert len(mine()) == 2
    owner.execute(f"DROP TABLE {kept}")
    owner.execute("UPDATE budget_balances SET spent_usd = 2 WHERE id = %s", (balance,))
    owner.execute("UPDATE jobs SET cost_usd = 0 WHERE project_id = %s", (project,))


def test_a_month_stays_while_one_clock_or_one_open_job_needs_it(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, blobs: BlobStore
) -> None:
    partition = month_partition(owner, "job_events", 5)
    set_days(tenant, settings, Kind.EVENTS, 3650)
    assert partition not in run_once(tenant.database, blobs, settings, None).dropped
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        RetentionService(settings).remove(session, tenant.principal, Kind.EVENTS, for_project=True)
    waits = ended_job(owner, tenant, days_ago=0, is_open=True)
    within = id_at(month_start(-5) + timedelta(days=1))
    owner.execute("UPDATE jobs SET id = %s WHERE id = %s", (within, waits))
    assert partition not in run_once(tenant.database, blobs, settings, None).dropped
    owner.execute("DELETE FROM jobs WHERE id = %s", (within,))
    assert partition in run_once(tenant.database, blobs, settings, None).dropped


def test_a_month_of_the_audit_trail_needs_the_signing_key_to_go(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, blobs: BlobStore
) -> None:
    partition = month_partition(owner, "audit_records", 120)
    assert run_once(tenant.database, blobs, settings, None).dropped == []
    assert partition in run_once(tenant.database, blobs, settings, new_signer()).dropped


def test_a_table_in_long_use_is_left_for_the_next_run(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, blobs: BlobStore
) -> None:
    partition = month_partition(owner, "job_events", 6)
    with tenant.database.system() as session:
        session.execute(text("SELECT count(*) FROM job_events"))
        assert partition not in run_once(tenant.database, blobs, settings, None).dropped
    assert partition in run_once(tenant.database, blobs, settings, None).dropped


@pytest.mark.parametrize("days", [0, -1, 36_501])
def test_days_out_of_range_are_refused(settings: Settings, tenant: Tenant, days: int) -> None:
    with (
        pytest.raises(Unprocessable) as refusal,
        tenant.database.tenant(tenant.principal.organization_id) as session,
    ):
        RetentionService(settings).set(session, tenant.principal, Kind.PAYLOADS, days, for_project=True)
    assert refusal.value.extra["errors"][0]["path"] == "body.days"

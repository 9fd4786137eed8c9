"""Payloads of a data class and above go by the shortest clock that holds for their job, and no others go with them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import text

from core.audit.actions import AuditAction
from core.jobs.retention.records import Kind, RetentionPeriod
from core.jobs.retention.removal import run_once
from core.jobs.retention.service import RetentionService
from core.keys.principal import Principal
from core.kit.blob import BlobStore, open_blob_store
from core.kit.data_classes import DataClass
from core.kit.errors import NotFound, Unprocessable
from core.kit.ids import new_id
from core.kit.settings import Settings
from tests.factories.charges import id_at
from tests.factories.jobs import Tenant, new_tenant, tenant_of

pytestmark = pytest.mark.own_database

PUBLIC, INTERNAL, CONFIDENTIAL, RESTRICTED = DataClass


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    with opened.database.system() as session:
        session.execute(text("DELETE FROM retention_policies"))
        session.execute(text("DELETE FROM retention_class_policies"))
        session.execute(text("DELETE FROM jobs"))
    opened.close()


@pytest.fixture
def blobs(settings: Settings) -> BlobStore:
    return open_blob_store(settings)


@pytest.fixture
def service(settings: Settings) -> RetentionService:
    return RetentionService(settings)


@pytest.fixture
def others(settings: Settings, tenant: Tenant) -> Iterator[tuple[Tenant, Tenant]]:
    """Another project of the same organization, and another organization."""
    project_id, organization_id = new_id(), tenant.principal.organization_id
    with tenant.database.system() as session:
        session.execute(
            text("INSERT INTO projects (id, organization_id, name) VALUES (:id, :organization, 'beside')"),
            {"id": project_id, "organization": organization_id},
        )
    project = tenant_of(settings, Principal(organization_id, project_id, None, frozenset()))
    organization = new_tenant(settings)
    yield project, organization
    project.close()
    organization.close()


def ended_job(tenant: Tenant, data_class: DataClass, *, days_ago: float) -> UUID:
    """A job of this class that was submitted and ended so many days ago."""
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    job_id = id_at(moment)
    with tenant.database.system() as session:
        session.connection().exec_driver_sql(
            "INSERT INTO jobs (id, organization_id, project_id, capability, pool, state, attempt, created_at,"
            " finished_at, input, result, data_class)"
            " VALUES (%s, %s, %s, 'probe.act', 'probe', 'succeeded', 1, %s, %s, %s, %s, %s)",
            (
                job_id,
                tenant.principal.organization_id,
                tenant.principal.project_id,
                moment,
                moment,
                Jsonb({"prompt": "secret"}),
                Jsonb({"answer": "secret"}),
                data_class.value,
            ),
        )
    return job_id


def set_days(
    tenant: Tenant,
    service: RetentionService,
    days: int | None,
    data_class: DataClass | None = None,
    *,
    for_project: bool = True,
) -> list[RetentionPeriod]:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        return service.set(
            session, tenant.principal, Kind.PAYLOADS, days, for_project=for_project, data_class=data_class
        )


def blanked(tenant: Tenant, jobs: dict[str, UUID]) -> set[str]:
    """The names of the jobs without a payload; each has either both of input and result or none."""
    single, found = tenant.database.single_tenant(tenant.principal.organization_id), set()
    for name, job_id in jobs.items():
        job, given, result = tenant.service.get_with_payloads(single, tenant.principal, job_id)
        assert (given is None) == (result is None) == (job.payload_erased_at is not None), name
        if given is None:
            found.add(name)
    return found


def test_a_class_and_above_go_after_its_days_and_nothing_else(
    settings: Settings,
    tenant: Tenant,
    others: tuple[Tenant, Tenant],
    service: RetentionService,
    blobs: BlobStore,
) -> None:
    set_days(tenant, service, 10, CONFIDENTIAL)
    jobs = {f"{each} {days}": ended_job(tenant, each, days_ago=days) for each in DataClass for days in (9, 11, 91)}
    theirs = [{"restricted": ended_job(other, RESTRICTED, days_ago=11)} for other in others]
    run = run_once(tenant.database, blobs, settings, None)
    due = {"public 91", "internal 91", "confidential 11", "confidential 91", "restricted 11", "restricted 91"}
    assert blanked(tenant, jobs) == due
    assert run.blanked == {tenant.principal.organization_id: len(due)}
    assert [blanked(other, jobs) for other, jobs in zip(others, theirs, strict=True)] == [set(), set()]
    assert run_once(tenant.database, blobs, settings, None).blanked == {}


def test_the_shortest_clock_wins(
    settings: Settings, tenant: Tenant, service: RetentionService, blobs: BlobStore
) -> None:
    set_days(tenant, service, 20)
    set_days(tenant, service, 10, CONFIDENTIAL)
    # Longer than that of the class below, and than that of all payloads: neither counts.
    set_days(tenant, service, 15, RESTRICTED)
    set_days(tenant, service, 40, PUBLIC)
    jobs = {f"{each} {days}": ended_job(tenant, each, days_ago=days) for each in DataClass for days in (9, 12, 21)}
    run_once(tenant.database, blobs, settings, None)
    assert blanked(tenant, jobs) == {
        *("public 21", "internal 21", "confidential 12", "confidential 21", "restricted 12", "restricted 21")
    }


def test_a_class_is_blanked_where_all_other_payloads_stay_for_ever(
    settings: Settings, tenant: Tenant, service: RetentionService, blobs: BlobStore
) -> None:
    set_days(tenant, service, None)
    set_days(tenant, service, 10, RESTRICTED)
    jobs = {each.value: ended_job(tenant, each, days_ago=400) for each in DataClass}
    run_once(tenant.database, blobs, settings, None)
    assert blanked(tenant, jobs) == {"restricted"}


def test_a_projects_clock_takes_the_place_of_its_organizations_for_the_same_class_only(
    settings: Settings,
    tenant: Tenant,
    others: tuple[Tenant, Tenant],
    service: RetentionService,
    blobs: BlobStore,
) -> None:
    other_project, other_organization = others
    set_days(tenant, service, 10, CONFIDENTIAL, for_project=False)
    set_days(tenant, service, 5, RESTRICTED, for_project=False)
    set_days(tenant, service, 30, CONFIDENTIAL)
    mine, theirs, foreign = (
        {f"{each} {days}": ended_job(whose, each, days_ago=days) for each in DataClass for days in (6, 11, 31)}
        for whose in (tenant, other_project, other_organization)
    )
    run_once(tenant.database, blobs, settings, None)
    restricted = {"restricted 6", "restricted 11", "restricted 31"}
    assert blanked(tenant, mine) == {"confidential 31", *restricted}
    assert blanked(other_project, theirs) == {"confidential 11", "confidential 31", *restricted}
    assert blanked(other_organization, foreign) == set()


def test_the_class_counts_that_a_job_has_when_the_run_looks(
    settings: Settings, tenant: Tenant, service: RetentionService, blobs: BlobStore
) -> None:
    set_days(tenant, service, 10, RESTRICTED)
    jobs = {name: ended_job(tenant, INTERNAL, days_ago=11) for name in ("rises", "stays")}
    run_once(tenant.database, blobs, settings, None)
    assert blanked(tenant, jobs) == set()
    with tenant.database.system() as session:
        session.execute(text("UPDATE jobs SET data_class = 'restricted' WHERE id = :id"), {"id": jobs["rises"]})
    run_once(tenant.database, blobs, settings, None)
    assert blanked(tenant, jobs) == {"rises"}


def test_what_is_stored_beside_the_row_goes_with_it(
    settings: Settings, tenant: Tenant, service: RetentionService, blobs: BlobStore
) -> None:
    set_days(tenant, service, 10, RESTRICTED)
    jobs = {each: ended_job(tenant, each, days_ago=11) for each in (CONFIDENTIAL, RESTRICTED)}
    for job_id in jobs.values():
        blobs.put(f"jobs/{job_id}/1/report.md", b"# Secret", "text/markdown")
        with tenant.database.system() as session:
            session.execute(
                text(
                    "INSERT INTO guard_pseudonyms (root_job_id, kind, number, organization_id, digest, sealed)"
                    " VALUES (:id, 'person', 1, :organization, sha256('name'), 'sealed')"
                ),
                {"id": job_id, "organization": tenant.principal.organization_id},
            )
    run_once(tenant.database, blobs, settings, None)
    assert {each: list(blobs.list(f"jobs/{job_id}/")) != [] for each, job_id in jobs.items()} == {
        CONFIDENTIAL: True,
        RESTRICTED: False,
    }
    with tenant.database.system() as session:
        left = session.execute(
            text("SELECT root_job_id FROM guard_pseudonyms WHERE organization_id = :organization"),
            {"organization": tenant.principal.organization_id},
        )
        assert list(left.scalars()) == [jobs[CONFIDENTIAL]]


def test_a_runs_record_says_of_which_classes_the_jobs_were(
    settings: Settings, tenant: Tenant, service: RetentionService, blobs: BlobStore
) -> None:
    set_days(tenant, service, 10, CONFIDENTIAL)
    for each in (INTERNAL, CONFIDENTIAL, CONFIDENTIAL, RESTRICTED):
        ended_job(tenant, each, days_ago=11)
    run_once(tenant.database, blobs, settings, None)
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        details = session.execute(
            text("SELECT detail FROM audit_log WHERE action = :action"), {"action": AuditAction.RETENTION_RUN}
        )
        assert list(details.scalars()) == [
            {"kind": "payloads", "jobs": 3, "data_classes": {"confidential": 2, "restricted": 1}}
        ]


def test_batches_of_a_run_find_every_class_once(
    settings: Settings, tenant: Tenant, service: RetentionService, blobs: BlobStore
) -> None:
    set_days(tenant, service, 10, CONFIDENTIAL)
    jobs = {f"{each} {days}": ended_job(tenant, each, days_ago=days) for each in DataClass for days in (91, 92, 93)}
    first = run_once(tenant.database, blobs, settings, None, batch=5, batches=2)
    assert (first.blanked, first.is_complete) == ({tenant.principal.organization_id: 10}, False)
    second = run_once(tenant.database, blobs, settings, None, batch=5, batches=2)
    assert (second.blanked, second.is_complete) == ({tenant.principal.organization_id: 2}, True)
    assert blanked(tenant, jobs) == set(jobs)


def test_clocks_of_classes_are_listed_after_those_of_kinds(tenant: Tenant, service: RetentionService) -> None:
    set_days(tenant, service, 7, RESTRICTED)
    set_days(tenant, service, 30, CONFIDENTIAL, for_project=False)
    periods = set_days(tenant, service, 14, RESTRICTED, for_project=False)
    assert [(each.kind, each.data_class) for each in periods[:5]] == [(kind, None) for kind in Kind]
    assert [(each.kind, each.data_class, each.days, each.source) for each in periods[5:]] == [
        (Kind.PAYLOADS, CONFIDENTIAL, 30, "organization"),
        (Kind.PAYLOADS, RESTRICTED, 7, "project"),
    ]
    assert all(each.set_at is not None for each in periods[5:])


@pytest.mark.parametrize(
    ("kind", "days", "path"),
    [
        (Kind.PAYLOADS, None, "body.days"),
        (Kind.PAYLOADS, 0, "body.days"),
        (Kind.EVENTS, 7, "body.data_class"),
        (Kind.JOBS, None, "body.data_class"),
    ],
)
def test_what_a_class_cannot_have_is_refused(
    tenant: Tenant, service: RetentionService, kind: Kind, days: int | None, path: str
) -> None:
    with (
        pytest.raises(Unprocessable) as refusal,
        tenant.database.tenant(tenant.principal.organization_id) as session,
    ):
        service.set(session, tenant.principal, kind, days, for_project=True, data_class=RESTRICTED)
    assert refusal.value.extra["errors"][0]["path"] == path


def test_removing_a_class_leaves_the_other_clocks(tenant: Tenant, service: RetentionService) -> None:
    set_days(tenant, service, 30)
    set_days(tenant, service, 14, CONFIDENTIAL)
    set_days(tenant, service, 7, RESTRICTED)

    def remove(data_class: DataClass | None, kind: Kind = Kind.PAYLOADS) -> list[tuple[DataClass | None, int | None]]:
        with tenant.database.tenant(tenant.principal.organization_id) as session:
            found = service.remove(session, tenant.principal, kind, for_project=True, data_class=data_class)
        return [(each.data_class, each.days) for each in found if each.kind is Kind.PAYLOADS]

    assert remove(CONFIDENTIAL) == [(None, 30), (RESTRICTED, 7)]
    with pytest.raises(NotFound):
        remove(CONFIDENTIAL)
    with pytest.raises(Unprocessable) as refusal:
        remove(RESTRICTED, Kind.JOBS)
    assert refusal.value.extra["errors"][0]["path"] == "query.data_class"
    assert remove(None) == [(None, 90), (RESTRICTED, 7)]

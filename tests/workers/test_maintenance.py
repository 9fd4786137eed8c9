"""The dispatcher's regular duties: what they find is said, counted, and left as it is."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from core.audit.anchors import read_anchors
from core.audit.sealer import seal_once
from core.jobs.live import LivePublisher
from core.kit.blob import open_blob_store
from core.kit.redis import connect
from core.kit.settings import Settings
from core.kit.signing import Signer
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.processes import dispatcher, settings_of
from tests.factories.waiting import wait_until
from workers.maintenance import Maintenance


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


@pytest.fixture
def owner(settings: Settings) -> Iterator[psycopg.Connection]:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def publisher(settings: Settings) -> Iterator[LivePublisher]:
    redis = connect(settings)
    yield LivePublisher(redis, settings)
    redis.close()


def violations() -> float | None:
    return REGISTRY.get_sample_value("waybill_invariant_violations")


def test_what_does_not_agree_is_counted_until_it_agrees_again(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, publisher: LivePublisher
) -> None:
    maintenance = Maintenance(settings, tenant.database, Signer.from_settings(settings), publisher)
    job_id = tenant.submit("noop")
    maintenance.check()
    before = violations()
    assert before is not None
    owner.execute("UPDATE jobs SET cost_usd = 1 WHERE id = %s", (job_id,))
    maintenance.check()
    assert violations() == before + 1
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        cost = session.execute(text("SELECT cost_usd FROM jobs WHERE id = :id"), {"id": job_id}).scalar_one()
    assert cost == 1
    owner.execute("UPDATE jobs SET cost_usd = 0 WHERE id = %s", (job_id,))
    maintenance.check()
    assert violations() == before


def test_a_ledger_line_without_its_job_is_noticed(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, publisher: LivePublisher
) -> None:
    maintenance = Maintenance(settings, tenant.database, None, publisher)
    maintenance.check()
    before = violations()
    assert before is not None
    organization, project = tenant.principal.organization_id, tenant.principal.project_id
    for entry, kind in ((0, "intent"), (1, "settlement")):
        owner.execute(
            "INSERT INTO ledger_entries (job_id, attempt, call, entry,"
            " organization_id, project_id, root_job_id, kind, capability, provider, model, bound_usd, amount_usd)"
            " SELECT %s, 1, 1, %s, %s, %s, %s, %s, 'probe.act', 'p', 'm', 0, 0",
            (project, entry, organization, project, project, kind),
        )
    maintenance.check()
    assert violations() == before + 2
    with owner.transaction():
        owner.execute("SET LOCAL session_replication_role = replica")
        owner.execute("DELETE FROM ledger_entries WHERE organization_id = %s", (organization,))
    maintenance.check()
    assert violations() == before


def test_a_forged_record_of_the_trail_is_counted(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, publisher: LivePublisher
) -> None:
    signer = Signer.from_settings(settings)
    maintenance = Maintenance(settings, tenant.database, signer, publisher)
    tenant.submit("noop")
    stop = threading.Event()
    sealing = threading.Thread(target=maintenance.seal_forever, args=(stop,))
    sealing.start()

    def is_sealed() -> bool:
        with tenant.database.tenant(tenant.principal.organization_id) as session:
            return bool(session.execute(text("SELECT count(*) FROM audit_seals")).scalar_one())

    try:
        wait_until(is_sealed, timeout_seconds=20, what="the seal")
    finally:
        stop.set()
        sealing.join(10)
    maintenance.export()
    assert read_anchors(open_blob_store(settings), tenant.principal.organization_id)
    maintenance.verify()
    maintenance.check()
    before = violations()
    assert before is not None
    mine = (tenant.principal.organization_id,)
    with owner.transaction():
        owner.execute("SET LOCAL session_replication_role = replica")
        owner.execute("UPDATE audit_records SET subject_id = subject_id || 'x' WHERE organization_id = %s", mine)
    maintenance.verify()
    assert violations() == before + 1
    with owner.transaction():
        owner.execute("SET LOCAL session_replication_role = replica")
        owner.execute("UPDATE audit_records SET subject_id = left(subject_id, -1) WHERE organization_id = %s", mine)
    maintenance.verify()
    assert violations() == before


def test_what_is_found_early_in_a_long_trail_counts_while_the_rest_is_read(
    settings: Settings, tenant: Tenant, owner: psycopg.Connection, publisher: LivePublisher
) -> None:
    signer = Signer.from_settings(settings)
    maintenance = Maintenance(settings, tenant.database, signer, publisher)
    for _ in range(3):
        tenant.submit("noop")
        assert seal_once(tenant.database, signer)
    for _ in range(3):
        maintenance.verify(max_records=1)
    maintenance.check()
    before = violations()
    assert before is not None
    first = (tenant.principal.organization_id,)
    change = "UPDATE audit_records SET subject_id = {} WHERE organization_id = %s AND sequence = 1"
    with owner.transaction():
        owner.execute("SET LOCAL session_replication_role = replica")
        owner.execute(change.format("subject_id || 'x'"), first)
    for _ in range(6):
        maintenance.verify(max_records=1)
        maintenance.check()
        assert violations() == before + 1
    with owner.transaction():
        owner.execute("SET LOCAL session_replication_role = replica")
        owner.execute(change.format("left(subject_id, -1)"), first)
    for _ in range(6):
        maintenance.verify(max_records=1)
    maintenance.check()
    assert violations() == before


def test_a_running_dispatcher_exports_checks_and_removes(settings: Settings, tenant: Tenant) -> None:
    seed = settings.signing_key
    assert seed is not None
    job_id = tenant.submit("noop")
    with dispatcher(
        settings_of(settings),
        WAYBILL_SIGNING_KEY=seed.get_secret_value(),
        WAYBILL_INVARIANT_INTERVAL_SECONDS="0.5",
        WAYBILL_RETENTION_INTERVAL_SECONDS="0.5",
    ) as process:
        tenant.cancel(job_id)
        with tenant.database.system() as session:
            session.execute(
                text(
                    "UPDATE jobs SET finished_at = now() - interval '1 year', id = uuidv7(interval '-1 year')"
                    " WHERE id = :id"
                ),
                {"id": job_id},
            )
        process.wait_for("retention_ran")
        assert "maintenance_failed" not in process.output()

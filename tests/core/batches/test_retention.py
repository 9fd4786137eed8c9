"""Results of batches go with the payloads of their project."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import text

from core.batches.errors import BatchErased
from core.batches.outcome import finish_once
from core.batches.records import BatchLine, BatchState, NewBatch
from core.batches.retention import erase_once
from core.batches.service import Batches
from core.batches.submission import submit_lines
from core.files.errors import FileNotFound
from core.files.records import blob_key
from core.files.service import FileService
from core.jobs.retention.records import Kind
from core.jobs.retention.service import RetentionService
from core.kit.blob import BlobNotFound, open_blob_store
from core.kit.data_classes import DataClass
from core.kit.settings import Settings
from tests.factories.capabilities import PROBE
from tests.factories.jobs import Tenant, new_tenant

pytestmark = pytest.mark.own_database


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    made = new_tenant(settings)
    yield made
    made.close()


@pytest.fixture
def neighbor(settings: Settings) -> Iterator[Tenant]:
    made = new_tenant(settings)
    yield made
    made.close()


def test_lines_and_file_go_and_counts_stay(tenant: Tenant, settings: Settings) -> None:
    blobs, batches = open_blob_store(settings), Batches(tenant.service)
    files = FileService(settings, blobs)
    organization_id = tenant.principal.organization_id
    single = tenant.database.single_tenant(organization_id)
    with tenant.database.tenant(organization_id) as session:
        new = NewBatch(lines=[BatchLine("a", "probe.act", {"note": "private"}, {"who": "me"})])
        made = batches.create(session, tenant.principal, new)
    with tenant.database.tenant(organization_id) as session:
        batches.cancel(session, tenant.principal, made.id)
    submit_lines(tenant.database, tenant.service, {PROBE.id: PROBE}, 10)
    finish_once(tenant.database, blobs, batches, files)
    ended = batches.get(single, tenant.principal, made.id)
    assert (ended.state, ended.counts.cancelled) == (BatchState.CANCELLED, 1)
    assert ended.results_file_id is not None
    assert erase_once(tenant.database, blobs, settings) == 0
    with tenant.database.system() as session:
        session.execute(
            text("UPDATE batches SET finished_at = now() - interval '400 days' WHERE id = :id"), {"id": made.id}
        )
    assert erase_once(tenant.database, blobs, settings) == 1
    erased = batches.get(single, tenant.principal, made.id)
    assert erased.payload_erased_at is not None
    assert (erased.counts, erased.results_sha256) == (ended.counts, ended.results_sha256)
    with pytest.raises(BatchErased):
        batches.results(single, tenant.principal, erased)
    with pytest.raises(FileNotFound):
        files.get(single, tenant.principal, ended.results_file_id)
    with pytest.raises(BlobNotFound):
        b"".join(blobs.open(blob_key(tenant.principal.project_id, ended.results_file_id)))
    assert erase_once(tenant.database, blobs, settings) == 0


def cancelled_batch(tenant: Tenant, settings: Settings, *, days_ago: int, data_class: str) -> UUID:
    """The id of a batch that ended so many days ago, and whose results are of this class."""
    batches, blobs = Batches(tenant.service), open_blob_store(settings)
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        made = batches.create(session, tenant.principal, NewBatch(lines=[BatchLine("a", "probe.act", {}, {})]))
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        batches.cancel(session, tenant.principal, made.id)
    submit_lines(tenant.database, tenant.service, {PROBE.id: PROBE}, 10)
    finish_once(tenant.database, blobs, batches, FileService(settings, blobs))
    with tenant.database.system() as session:
        session.execute(
            text(
                "WITH ended AS (UPDATE batches SET finished_at = now() - make_interval(days => :days) WHERE id = :id"
                " RETURNING results_file_id) UPDATE files SET data_class = CAST(:data_class AS data_class)"
                " WHERE id = (SELECT results_file_id FROM ended)"
            ),
            {"id": made.id, "days": days_ago, "data_class": data_class},
        )
    return made.id


def test_results_of_a_class_go_by_its_clock(tenant: Tenant, neighbor: Tenant, settings: Settings) -> None:
    batches, organization_id = Batches(tenant.service), tenant.principal.organization_id
    with tenant.database.tenant(organization_id) as session:
        RetentionService(settings).set(
            session, tenant.principal, Kind.PAYLOADS, 7, for_project=True, data_class=DataClass.CONFIDENTIAL
        )
    due = cancelled_batch(tenant, settings, days_ago=8, data_class="restricted")
    kept = [
        (tenant, cancelled_batch(tenant, settings, days_ago=6, data_class="restricted")),
        (tenant, cancelled_batch(tenant, settings, days_ago=8, data_class="internal")),
        (neighbor, cancelled_batch(neighbor, settings, days_ago=8, data_class="restricted")),
    ]
    assert erase_once(tenant.database, open_blob_store(settings), settings) == 1
    single = tenant.database.single_tenant(organization_id)
    assert batches.get(single, tenant.principal, due).payload_erased_at is not None
    for whose, batch_id in kept:
        single = whose.database.single_tenant(whose.principal.organization_id)
        assert Batches(whose.service).get(single, whose.principal, batch_id).payload_erased_at is None

"""What jobs do is sealed by the dispatcher as it runs, and verifies."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from core.audit.verification import verify
from core.jobs.states import JobState
from core.kit.settings import Settings
from core.kit.signing import Keyring, generate_seed
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.processes import dispatcher, worker
from tests.factories.waiting import wait_until


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


@pytest.mark.survive("S6")
def test_every_change_of_a_job_is_sealed_soon(settings: Settings, tenant: Tenant) -> None:
    seed = generate_seed()
    signed = settings.model_copy(update={"signing_key": SecretStr(seed)})
    job_id = tenant.submit()
    with dispatcher(settings, WAYBILL_SIGNING_KEY=seed), worker(settings):
        (job,) = tenant.wait(job_id)
        wait_until(lambda: actions(tenant, "audit_inbox") == [], timeout_seconds=15, what="the records to be sealed")
    assert job.state is JobState.SUCCEEDED
    assert actions(tenant, "audit_records") == ["api:job:submit", "worker:job:claim", "worker:job:succeed"]
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        report = verify(session, tenant.principal.organization_id, Keyring.from_settings(signed))
    assert report.is_intact, report


def actions(tenant: Tenant, table: str) -> list[str]:
    """The actions in `table`, in the order in which they were recorded."""
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        return list(session.execute(text(f"SELECT action FROM {table} ORDER BY recorded_at")).scalars())

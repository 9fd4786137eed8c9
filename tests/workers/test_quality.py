"""A dispatcher, with the login that it has, collects what workers left behind."""

from sqlalchemy import text

from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from tests.factories.attempts import attempt
from tests.factories.jobs import Tenant
from tests.factories.processes import dispatcher
from tests.factories.waiting import wait_until


def test_a_dispatcher_writes_the_signals_of_jobs_that_ended(settings: Settings, tenant: Tenant) -> None:
    job_id = tenant.submit()
    with attempt(settings, encode(JOB, job_id)) as run:
        run.succeed(answered=True, citations=[{"quote": "q"}], dropped_quotes=1)

    def signals() -> dict[str, float]:
        with tenant.database.tenant(tenant.principal.organization_id) as session:
            rows = session.execute(
                text("SELECT signal, numerator / denominator AS ratio FROM quality_signals WHERE job_id = :id"),
                {"id": job_id},
            )
            return {row.signal: row.ratio for row in rows}

    with dispatcher(settings):
        wait_until(lambda: bool(signals()), timeout_seconds=120, what="signals of the job")
    assert signals()["quotes_verified"] == 0.5
    assert signals()["abstained"] == 0

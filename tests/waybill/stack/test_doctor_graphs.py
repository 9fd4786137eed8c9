import psycopg
import pytest
from pydantic import BaseModel

from core.capability import JobSuspended, Manifest
from core.kit.ids import JOB, encode
from core.kit.processes import address_of
from core.kit.settings import Settings
from tests.factories.attempts import attempt
from tests.factories.jobs import new_tenant
from tests.factories.services import PASSWORDS
from waybill.stack.doctor.check import Check
from waybill.stack.doctor.graphs import check_graphs

# It counts the jobs of all of the database.
pytestmark = pytest.mark.own_database


class Nothing(BaseModel):
    pass


def release(version: int, *, resumes: tuple[int, ...] = ()) -> dict[str, Manifest]:
    earlier = dict.fromkeys(resumes, "x:y")
    made = Manifest(
        id="probe.act",
        version="1",
        title="t",
        description="d",
        input=Nothing,
        output=Nothing,
        entry="x:y",
        graph_version=version,
        earlier_graphs=earlier,
    )
    return {made.id: made}


def test_jobs_that_a_release_could_not_resume_are_counted_before_it_is_installed(settings: Settings) -> None:
    assert settings.database_url is not None
    tenant = new_tenant(settings)
    # Inside a container it is the process's own login that looks.
    address = address_of(settings.database_url.get_secret_value(), "waybill_api", PASSWORDS["waybill_api"])

    def look(known: dict[str, Manifest]) -> Check:
        with psycopg.connect(address, autocommit=True) as connection:
            return check_graphs(connection, known)

    def begin(version: int) -> str:
        job_id = encode(JOB, tenant.submit())
        with attempt(settings, job_id) as driven:
            driven.context.use_graph(version, begun=None)
            with pytest.raises(JobSuspended):
                driven.context.ask("well", "Well?", {"type": "object"})
            driven.suspend("input")
        return job_id

    try:
        assert look(release(3)).found == "this release resumes all 0 jobs that have begun"
        for version in (1, 2, 2):
            begin(version)
        tenant.submit()
        assert look(release(2, resumes=(1,))) == Check(
            "graph versions", "ok", "this release resumes all 3 jobs that have begun"
        )
        found = look(release(3, resumes=(1,)))
        assert (found.status, found.found.rpartition(": ")[2]) == ("warn", "2 of probe.act with 2")
        assert look({}).found.endswith("1 of probe.act with 1, 2 of probe.act with 2")
        for job_id in tenant.submitted:
            tenant.cancel(job_id)
        assert look(release(1)).status == "ok"
    finally:
        tenant.close()

"""The capability through a real dispatcher and real workers: killed in the middle, beside its children's pool."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
import yaml
from pypdf import PdfReader
from sqlalchemy import text

from core.guard.disclosure import SOURCE_TYPE
from core.jobs import artifacts
from core.jobs.states import JobState
from core.kit.blob import open_blob_store
from core.kit.ids import JOB, KNOWLEDGE_BASE, encode
from core.kit.settings import Settings
from core.knowledge.service import KnowledgeService
from pipelines.research.schemas import ReportOutput
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.knowledge import CORPUS, upload
from tests.factories.processes import dispatcher, worker
from tests.factories.provider_simulator import ProviderSimulator
from tests.factories.research_author import Author
from tests.factories.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("crews"), pytest.mark.timeout(175)]

QUESTION = "What is a roll cage, and what is a control tower?"


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    tenant = new_tenant(settings)
    yield tenant
    tenant.close()


def filled_base(settings: Settings, tenant: Tenant) -> str:
    """A knowledge base with the glossary, waiting to be ingested."""
    knowledge, blobs = KnowledgeService(), open_blob_store(settings)
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        base = knowledge.create_base(session, tenant.principal, "glossary")
    upload(tenant.database, tenant.principal, base, blobs, name="g.md", data=(CORPUS / "glossary.md").read_bytes())
    return encode(KNOWLEDGE_BASE, base.id)


def ingest(tenant: Tenant, base: str) -> None:
    [job] = tenant.wait(tenant.submit_input("knowledge.ingest", {"knowledge_base": base}), timeout_seconds=90)
    assert (job.state, job.error) == (JobState.SUCCEEDED, None)


def finished_steps(tenant: Tenant, job_id: UUID) -> list[str]:
    return [event.data["step"] for event in tenant.events(job_id) if event.type == "step.finished"]


def files(settings: Settings, tenant: Tenant, job_id: UUID) -> dict[str, bytes]:
    listed = artifacts.list_artifacts(
        tenant.database.single_tenant(tenant.principal.organization_id), tenant.principal, job_id
    )
    return {each.name: open_blob_store(settings).get(each.blob_key) for each in listed}


def children(tenant: Tenant, job_id: UUID) -> list[dict[str, Any]]:
    with tenant.database.system() as session:
        rows = session.execute(
            text("SELECT capability, state FROM jobs WHERE parent_id = :id ORDER BY id"), {"id": job_id}
        )
        return [dict(row._mapping) for row in rows]


def test_a_report_is_written_by_both_frameworks_through_child_jobs(settings: Settings, tenant: Tenant) -> None:
    base = filled_base(settings, tenant)
    with dispatcher(settings), worker(settings, "knowledge", 2), worker(settings, "research", 2):
        ingest(tenant, base)
        asked = {"question": QUESTION, "knowledge_bases": [base]}
        # Two at once in one process: crews share nothing.
        first, second = (tenant.submit_input("research.report", asked) for _ in range(2))
        jobs = tenant.wait(first, second, timeout_seconds=120)

    assert [(job.state, job.error) for job in jobs] == [(JobState.SUCCEEDED, None)] * 2
    reports = [ReportOutput.model_validate(tenant.result(job_id)) for job_id in (first, second)]
    assert reports[0].sections == reports[1].sections
    assert reports[0].answered
    assert "roll cage of 80 x 72 x 180 cm" in reports[0].markdown
    assert [artifact.name for artifact in reports[0].artifacts] == ["report.md", "report.pdf"]
    assert reports[0].seconds > 0
    marked = files(settings, tenant, first)
    assert yaml.safe_load(marked["report.md"].decode().split("---\n")[1])["job_id"] == encode(JOB, first)
    assert marked["report.md"].endswith(reports[0].markdown.encode())
    pdf = PdfReader(BytesIO(marked["report.pdf"]))
    assert pdf.xmp_metadata is not None
    assert SOURCE_TYPE.encode() in pdf.xmp_metadata.stream.get_data()
    assert (pdf.metadata and pdf.metadata.title) == QUESTION
    assert "roll cage" in pdf.pages[0].extract_text()
    assert reports[0].cost_usd == "0.00"
    assert [(child["capability"], child["state"]) for child in children(tenant, first)] == [
        ("knowledge.search", "succeeded")
    ] * 3
    steps = set(finished_steps(tenant, first))
    assert {"langgraph:plan", "langgraph:publish", "crewai:researcher", "crewai:writer", "crewai:reviewer"} <= steps
    events = [event.type for event in tenant.events(first)]
    assert {"research.planned", "research.checked", "progress.updated", "artifact.created"} <= set(events)


def test_a_worker_killed_inside_the_crew_goes_on_where_it_was_and_pays_no_finished_call_again(
    settings: Settings, tenant: Tenant
) -> None:
    base = filled_base(settings, tenant)
    author = Author(
        plan=("What is a roll cage?", "What is a control tower?"),
        quotes=(
            "a roll cage of 80 x 72 x 180 cm, for about 45 average parcels.",
            "the team in Rotterdam that steers linehaul by night, 18 people in shifts.",
        ),
        drafts=(
            "A roll cage of 80 x 72 x 180 cm is for about 45 average parcels [1].",
            "The team in Rotterdam steers linehaul by night, 18 people in shifts [2].",
        ),
        order="NONE",
    )
    killing: list[str] = []
    with ProviderSimulator(author) as server:
        model = {
            "WAYBILL_MODEL_BASE_URL": server.base_url,
            "WAYBILL_MODEL_API_KEY": "secret",
            "WAYBILL_MODEL_NAME": "strong",
        }
        with dispatcher(settings), worker(settings, "knowledge", 2), worker(settings, "research", 1, **model) as doomed:
            ingest(tenant, base)

            def kill(part: str) -> None:
                if part == "Writer" and not killing:
                    killing.append(part)
                    doomed.kill()

            author.before = kill
            job_id = tenant.submit_input("research.report", {"question": QUESTION, "knowledge_bases": [base]})
            wait_until(lambda: bool(killing), timeout_seconds=90, what="the writer to be asked")
            before = finished_steps(tenant, job_id)
            with worker(settings, "research", 1, **model):
                [job] = tenant.wait(job_id, timeout_seconds=90)

    assert (job.state, job.error) == (JobState.SUCCEEDED, None)
    whole = ["Planner", "Researcher", "Researcher", "Analyst", "Writer", "Writer", "Reviewer"]
    again = whole.index("Writer")
    assert author.parts[: len(whole) + 1] == [*whole[: again + 1], *whole[again:]], "only the open call is asked again"
    after = finished_steps(tenant, job_id)
    assert after[: len(before)] == before
    assert after.count("crewai:researcher") == 2
    assert after.count("crewai:analyst") == 1
    assert len(children(tenant, job_id)) == 3
    assert ReportOutput.model_validate(tenant.result(job_id)).answered

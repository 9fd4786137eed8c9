"""Both capabilities through a real dispatcher and a real worker process, on real servers."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from core.jobs.live import LivePublisher
from core.jobs.records import JobRecord, NewJob
from core.jobs.service import queued_event
from core.jobs.states import JobState, Priority
from core.kit.blob import open_blob_store
from core.kit.ids import KNOWLEDGE_BASE, encode
from core.kit.redis import connect
from core.kit.settings import Settings
from core.knowledge.service import KnowledgeService
from pipelines.knowledge.schemas import IngestOutput, SearchOutput
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.knowledge import CORPUS, upload
from tests.factories.processes import dispatcher, worker


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    tenant = new_tenant(settings)
    yield tenant
    tenant.close()


def run(settings: Settings, tenant: Tenant, capability: str, payload: dict[str, Any]) -> tuple[UUID, JobRecord]:
    new = NewJob(capability=capability, pool="knowledge", input=payload, priority=Priority("normal"))
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        job = tenant.service.submit(session, tenant.principal, new)
    with connect(settings) as redis:
        LivePublisher(redis, settings).publish([queued_event(job)], hint=job.pool)
    return job.id, tenant.wait(job.id, timeout_seconds=90)[0]


def test_documents_are_ingested_and_asked_through_a_worker(settings: Settings, tenant: Tenant) -> None:
    knowledge, blobs = KnowledgeService(), open_blob_store(settings)
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        base = knowledge.create_base(session, tenant.principal, "handbook")
    for name in ("glossary.md", "depot-bulletin-2026-02.txt"):
        upload(tenant.database, tenant.principal, base, blobs, name=name, data=(CORPUS / name).read_bytes())
    base_id = encode(KNOWLEDGE_BASE, base.id)
    nowhere = encode(KNOWLEDGE_BASE, tenant.principal.project_id)

    with dispatcher(settings), worker(settings, "knowledge", 2):
        ingest_id, ingested = run(settings, tenant, "knowledge.ingest", {"knowledge_base": base_id})
        question = {"knowledge_base": base_id, "query": "What is a roll cage?"}
        search_id, searched = run(settings, tenant, "knowledge.search", question)
        _, failed = run(settings, tenant, "knowledge.search", {**question, "knowledge_base": nowhere})

    assert (ingested.state, ingested.error) == (JobState.SUCCEEDED, None)
    assert (searched.state, searched.error) == (JobState.SUCCEEDED, None)
    assert IngestOutput.model_validate(tenant.result(ingest_id)).counts.ingested == 2
    answer = SearchOutput.model_validate(tenant.result(search_id))
    assert answer.answered
    assert answer.citations
    assert [line["model"] for line in searched.usage] == ["local/all-MiniLM-L6-v2-int8", "local/extractive"]
    kinds = [event.type for event in tenant.events(ingest_id)]
    assert kinds.count("document.ingested") == 2
    assert kinds[-1] == "job.succeeded"
    steps = [event.data["step"] for event in tenant.events(search_id) if event.type == "step.finished"]
    assert steps == ["retrieve", "answer", "verify"]
    assert failed.state is JobState.FAILED
    assert (failed.reason, failed.attempt) == ("knowledge_base_not_found", 1)

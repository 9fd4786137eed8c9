"""The class of a job: what it begins with, what raises it, who inherits it, and what is left to prove it."""

from pathlib import Path

import pytest
from sqlalchemy import text

from core.capability import ChildCall, JobSuspended, LeaseLost
from core.files.service import FileService
from core.jobs.records import declared_class
from core.jobs.states import JobState
from core.kit.blob import open_blob_store
from core.kit.data_classes import DataClass
from core.kit.errors import Unprocessable
from core.kit.ids import FILE, JOB, KNOWLEDGE_BASE, encode
from core.kit.settings import Settings
from core.knowledge.service import KnowledgeService
from pipelines._kit.bases import open_base
from tests.factories.api import probe_capabilities
from tests.factories.attempts import Attempt, attempt, worker_services
from tests.factories.jobs import Tenant

PUBLIC, INTERNAL, CONFIDENTIAL, RESTRICTED = DataClass


def label_project(tenant: Tenant, data_class: DataClass) -> None:
    with tenant.database.system() as session:
        session.execute(
            text("UPDATE projects SET data_class = :data_class WHERE id = :id"),
            {"data_class": data_class, "id": tenant.principal.project_id},
        )


def audited(tenant: Tenant, action: str) -> list[dict[str, str]]:
    with tenant.database.system() as session:
        rows = session.execute(
            text("SELECT detail FROM audit_inbox WHERE organization_id = :id AND action = :action ORDER BY id"),
            {"id": tenant.principal.organization_id, "action": action},
        )
        return [row.detail for row in rows]


@pytest.mark.parametrize(
    ("project", "declared", "inherited", "effective"),
    [
        (PUBLIC, None, None, INTERNAL),
        (PUBLIC, PUBLIC, None, PUBLIC),
        (INTERNAL, PUBLIC, None, INTERNAL),
        (CONFIDENTIAL, None, None, CONFIDENTIAL),
        (CONFIDENTIAL, RESTRICTED, None, RESTRICTED),
        (PUBLIC, None, PUBLIC, PUBLIC),
        (PUBLIC, PUBLIC, RESTRICTED, RESTRICTED),
    ],
)
def test_a_job_begins_with_the_highest_of_what_is_said_of_it(
    tenant: Tenant,
    project: DataClass,
    declared: DataClass | None,
    inherited: DataClass | None,
    effective: DataClass,
) -> None:
    label_project(tenant, project)
    job_id = tenant.submit(declared_class=declared, inherited_class=inherited)
    assert tenant.job(job_id).data_class is effective
    assert audited(tenant, "api:job:submit")[-1]["data_class"] == effective


def test_a_class_rises_once_with_an_event_and_a_policy_decision(settings: Settings, tenant: Tenant) -> None:
    job_id = tenant.submit()
    with attempt(settings, encode(JOB, job_id)) as driven:
        ctx = driven.context
        ctx.raise_class(PUBLIC, "nothing")
        ctx.raise_class(RESTRICTED, "secret")
        ctx.raise_class(CONFIDENTIAL, "card")
        assert ctx.data_class is RESTRICTED
        driven.emit("something.else")
        driven.requeue()
    assert tenant.job(job_id).data_class is RESTRICTED
    kept = tenant.events(job_id)
    found = [event.data for event in kept if event.type == "job.classified"]
    assert found == [{"data_class": "restricted", "from": "internal", "because": "secret"}]
    assert [event.previous for event in kept[1:]] == [event.id for event in kept[:-1]]
    assert audited(tenant, "policy:job:classify") == [{"from": "internal", "to": "restricted", "because": "secret"}]
    with attempt(settings, encode(JOB, job_id)) as driven:
        assert driven.context.data_class is RESTRICTED


def test_an_attempt_that_lost_its_lease_classifies_nothing(settings: Settings, tenant: Tenant) -> None:
    job_id = tenant.submit()
    with attempt(settings, encode(JOB, job_id)) as driven:
        with tenant.database.system() as session:
            session.execute(text("UPDATE jobs SET attempt = attempt + 1 WHERE id = :id"), {"id": job_id})
        with pytest.raises(LeaseLost):
            driven.context.raise_class(RESTRICTED, "secret")
        assert driven.context.data_class is INTERNAL
    assert audited(tenant, "policy:job:classify") == []


def test_what_a_job_reads_raises_its_class(settings: Settings, tenant: Tenant, tmp_path: Path) -> None:
    files, knowledge, owner = FileService(settings, open_blob_store(settings)), KnowledgeService(), tenant.principal
    content = tmp_path / "content"
    content.write_bytes(b"%PDF-1.7 hello")
    with content.open("rb") as opened, tenant.database.tenant(owner.organization_id) as session:
        file_id, _, kind = files.store(owner.project_id, opened, "application/octet-stream")
        files.register(
            session,
            owner,
            file_id,
            name="a.pdf",
            content_type=kind,
            size_bytes=14,
            sha256="0" * 64,
            data_class=CONFIDENTIAL,
        )
        base = knowledge.create_base(session, owner, "cases", data_class=RESTRICTED)
    named, base_id = encode(FILE, file_id), encode(KNOWLEDGE_BASE, base.id)
    job_id = tenant.submit()
    with attempt(settings, encode(JOB, job_id)) as driven:
        with driven.context.open_file(named):
            assert driven.context.data_class is CONFIDENTIAL
        open_base(knowledge, driven.context, base_id, base.embedding_model)
        assert driven.context.data_class is RESTRICTED
    assert [event.data["because"] for event in tenant.events(job_id) if event.type == "job.classified"] == [
        named,
        base_id,
    ]


def test_children_inherit_a_class_and_hand_theirs_back(settings: Settings, tenant: Tenant) -> None:
    calls = [ChildCall("a", "probe.act", {"act": "noop"}), ChildCall("b", "probe.act", {"act": "noop"})]
    with probe_capabilities(), worker_services(settings) as services:
        parent_id = tenant.submit(declared_class=CONFIDENTIAL)
        parent = Attempt(services, parent_id)
        with pytest.raises(JobSuspended):
            parent.context.call_all(calls)
        parent.suspend("children")
        with tenant.database.system() as session:
            rows = session.execute(text("SELECT id, data_class FROM jobs WHERE parent_id = :id"), {"id": parent_id})
            children = {row.id: row.data_class for row in rows}
        assert list(children.values()) == ["confidential", "confidential"]
        for child_id, data_class in zip(children, (RESTRICTED, PUBLIC), strict=True):
            child = Attempt(services, child_id)
            child.context.raise_class(data_class, "secret")
            child.succeed(attempt=1, said="")
        assert tenant.job(parent_id).state is JobState.QUEUED
        parent = Attempt(services, parent_id)
        assert parent.context.data_class is CONFIDENTIAL
        assert len(parent.context.call_all(calls)) == 2
        assert parent.context.data_class is RESTRICTED
    assert tenant.job(parent_id).data_class is RESTRICTED


def test_labels_declare_a_class_or_are_refused() -> None:
    assert declared_class({"ticket": "4711"}) is None
    assert declared_class({"data_class": "confidential"}) is CONFIDENTIAL
    with pytest.raises(Unprocessable, match="public, internal, confidential, restricted"):
        declared_class({"data_class": "secret"})

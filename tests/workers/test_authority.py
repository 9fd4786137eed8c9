"""A job does no more than the caller behind it, at every moment from its submission to its end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from core.capability import JobSuspended
from core.jobs.records import JobRecord
from core.jobs.states import JobState
from core.jobs.suspension import questions
from core.keys.errors import CapabilityDenied, ScopeMissing
from core.keys.roles import Role
from core.keys.service import IssuedKey, KeyService
from core.kit.db import Database
from core.kit.errors import CapabilityFailure
from core.kit.ids import FILE, JOB, MEMBER, encode, new_id
from core.kit.settings import Settings
from tests.factories.api import issue_key, principal_of, probe_capabilities, revoke_key
from tests.factories.attempts import attempt
from tests.factories.jobs import Tenant, tenant_of
from tests.factories.processes import dispatcher, worker

pytestmark = [pytest.mark.timeout(180), pytest.mark.survive("A6")]
YES = {"approved": True}


@pytest.fixture(autouse=True)
def _probes() -> Iterator[None]:
    with probe_capabilities():
        yield


@contextmanager
def caller(settings: Settings, key: IssuedKey) -> Iterator[Tenant]:
    opened = tenant_of(settings, principal_of(key))
    try:
        yield opened
    finally:
        opened.close()


def soon(seconds: float = 2.0) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def code_of(job: JobRecord) -> str | None:
    return None if job.error is None else str(job.error["code"])


def answer(tenant: Tenant, job_id: UUID, by: IssuedKey, *four_eyes: str) -> JobState:
    with tenant.database.tenant(by.organization_id) as session:
        job, _ = questions.answer(session, principal_of(by), job_id, None, YES, four_eyes)
    return job.state


def test_what_a_revoked_key_asked_for_is_neither_begun_nor_resumed_nor_finished(settings: Settings) -> None:
    key, beside = issue_key(settings), issue_key(settings)
    with caller(settings, key) as revoked, caller(settings, beside) as kept, dispatcher(settings), worker(settings):
        scheduled = revoked.submit(run_at=soon(4))
        others = kept.submit(run_at=soon(4))
        asking = revoked.submit_input("probe.ask", {})
        running = revoked.submit("sleep", seconds=60)
        retrying = revoked.submit("fail", until_attempt=1, run_at=soon(4))
        revoked.wait_for_state(asking, JobState.WAITING)
        revoked.wait_for_state(running, JobState.RUNNING)
        revoke_key(settings, key)
        answer(revoked, asking, beside)
        jobs = revoked.wait(scheduled, asking, running, retrying, timeout_seconds=60)
        assert [(job.state, job.reason, code_of(job)) for job in jobs] == [
            (JobState.FAILED, "key_revoked", "key_revoked")
        ] * 4
        assert kept.wait(others)[0].state is JobState.SUCCEEDED


def test_what_a_key_asked_for_before_it_expired_or_was_rotated_is_done(settings: Settings) -> None:
    expiring, old = issue_key(settings, expires_in=timedelta(seconds=1)), issue_key(settings)
    with (
        caller(settings, expiring) as first,
        caller(settings, old) as second,
        dispatcher(settings),
        worker(settings),
    ):
        job_ids = [each.submit(run_at=soon()) for each in (first, second)]
        with second.database.tenant(old.organization_id) as session:
            KeyService(settings).rotate(session, principal_of(old), old.id, timedelta(0))
        assert {first.wait(job_id)[0].state for job_id in job_ids} == {JobState.SUCCEEDED}


def test_a_person_who_was_removed_or_lost_a_role_asks_for_nothing_more(settings: Settings) -> None:
    key = issue_key(settings)
    staying, leaving, demoted = (new_id() for _ in range(3))
    with caller(settings, key) as tenant:
        with tenant.database.system() as session:
            for member in (staying, demoted):
                session.execute(
                    text(
                        "INSERT INTO members (id, organization_id, issuer, subject, role)"
                        " VALUES (:id, :organization, 'https://login.example', :subject, :role)"
                    ),
                    {"id": member, "organization": key.organization_id, "subject": str(member), "role": "developer"},
                )
        person = replace(tenant.principal, key_id=None, scopes=Role.DEVELOPER.scopes, actor_kind="user", actor_id=None)
        jobs = []
        with dispatcher(settings), worker(settings):
            for member in (staying, leaving):
                tenant.principal = replace(person, actor_id=encode(MEMBER, member))
                [job] = tenant.wait(tenant.submit())
                jobs.append((job.state, code_of(job)))
        assert jobs == [(JobState.SUCCEEDED, None), (JobState.FAILED, "not_a_member")]
        tenant.principal = replace(person, actor_id=encode(MEMBER, demoted))
        job_id = tenant.submit()
        with attempt(settings, encode(JOB, job_id)) as run:
            assert "knowledge:write" in run.context.caller().scopes
        with tenant.database.system() as session:
            session.execute(text("UPDATE members SET role = 'auditor' WHERE id = :id"), {"id": demoted})
        with attempt(settings, encode(JOB, tenant.submit())) as run:
            assert "knowledge:write" not in run.context.caller().scopes
            run.succeed()


def test_a_job_reads_no_file_that_its_key_may_not_read(settings: Settings) -> None:
    weak = issue_key(settings, scopes=("jobs:read", "jobs:write"))
    with caller(settings, weak) as tenant:
        with pytest.raises(ScopeMissing, match="files:read"):
            tenant.submit_input(
                "multimodal.understand", {"files": [encode(FILE, new_id())]}, needs=frozenset({"files:read"})
            )
        # Whatever was let in, and however: the job itself holds no more than its key.
        with attempt(settings, encode(JOB, tenant.submit())) as run:
            for scope in ("files:read", "knowledge:read"):
                with pytest.raises(CapabilityFailure) as refused:
                    run.context.require(scope)
                assert refused.value.code == "scope_missing"
            with pytest.raises(CapabilityFailure, match="files:read"), run.context.open_file(encode(FILE, new_id())):
                pass
            run.succeed()


def test_a_job_calls_nothing_that_its_key_may_not_ask_for(settings: Settings) -> None:
    narrowed = issue_key(settings, scopes=("jobs:read", "jobs:write", "capability:probe.fan"))
    with caller(settings, narrowed) as tenant, dispatcher(settings), worker(settings):
        with pytest.raises(CapabilityDenied):
            tenant.submit(capability="probe.act")
        [job] = tenant.wait(tenant.submit_input("probe.fan", {"children": [{"act": "noop"}]}))
        assert (job.state, code_of(job)) == (JobState.FAILED, "capability_denied")


def test_who_submits_does_not_approve_what_the_job_does(settings: Settings) -> None:
    submitter, other = issue_key(settings), issue_key(settings)
    with caller(settings, submitter) as tenant:
        with tenant.database.tenant(submitter.organization_id) as session:
            service = KeyService(settings)
            minted = service.issue(session, principal_of(submitter), name="mine", scopes=submitter.scopes)
            grown = service.issue(session, principal_of(minted), name="its", scopes=submitter.scopes)
            rotated = service.rotate(session, principal_of(other), submitter.id, timedelta(hours=1))

        def waiting(approves: str | None) -> UUID:
            job_id = tenant.submit_input("probe.ask", {})
            with attempt(settings, encode(JOB, job_id)) as run:
                with pytest.raises(JobSuspended):
                    run.context.ask("approve", "May it?", {"type": "object"}, approves=approves)  # type: ignore[arg-type]
                run.suspend("input")
            return job_id

        money = waiting("money")
        for own in (submitter, minted, grown, rotated):
            with pytest.raises(questions.SelfApproval):
                answer(tenant, money, own, "money")
        assert answer(tenant, money, other, "money") is JobState.QUEUED
        # What the operator does not keep for a second pair of eyes, and what approves nothing.
        assert answer(tenant, waiting("write"), submitter, "money") is JobState.QUEUED
        assert answer(tenant, waiting("money"), submitter) is JobState.QUEUED
        assert answer(tenant, waiting(None), submitter, "write", "money") is JobState.QUEUED


def test_a_member_does_not_approve_either(settings: Settings) -> None:
    key = issue_key(settings)
    with caller(settings, key) as tenant:
        person = replace(tenant.principal, key_id=None, actor_kind="user", actor_id=encode(MEMBER, new_id()))
        tenant.principal = person
        database: Database = tenant.database
        job = tenant.job(tenant.submit_input("probe.ask", {}))
        assert job.submitted_by == person.actor_id
        with database.tenant(key.organization_id) as session, pytest.raises(questions.SelfApproval):
            questions.require_other_hands(session, person, job, "money")

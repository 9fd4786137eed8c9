"""Questions to people on real workers: what is asked survives everything, and what is answered is acted upon once."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from core.jobs.records import JobRecord
from core.jobs.states import JobState
from core.jobs.suspension import questions
from core.kit.settings import Settings
from tests.factories.jobs import Tenant
from tests.factories.processes import dispatcher, worker
from tests.factories.waiting import wait_until

pytestmark = pytest.mark.timeout(120)
YES = {"approved": True}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With leases that outlast a stall of the machine: no attempt here is lost with its worker."""
    return settings.model_copy(update={"lease_seconds": 30.0})


def ask(tenant: Tenant, **given: Any) -> UUID:
    known = {name: given.pop(name) for name in ("deadline_seconds",) if name in given}
    return tenant.submit_input("probe.ask", given, **known)


def answer(tenant: Tenant, job_id: UUID, value: Any, key: str | None = None) -> tuple[JobRecord, bool]:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        return questions.answer(session, tenant.principal, job_id, key, value)


def refunds(ledger: Path) -> list[str]:
    return ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []


def test_an_answer_survives_the_restart_of_everything_and_is_acted_upon_once(
    settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    ledger = tmp_path / "refunds"
    with dispatcher(settings), worker(settings) as first:
        job_id = ask(tenant, ledger=str(ledger))
        waiting = tenant.wait_for_state(job_id, JobState.WAITING)
        first.signal(signal.SIGKILL)
        first.wait(10)
    assert (waiting.reason, waiting.failures) == ("input", 0)
    assert refunds(ledger) == []
    assert answer(tenant, job_id, YES)[1]
    assert not answer(tenant, job_id, YES)[1], "the same answer again changes nothing"
    with dispatcher(settings), worker(settings):
        [job] = tenant.wait(job_id)
    assert job.state is JobState.SUCCEEDED
    assert (job.attempt, job.failures) == (2, 0), "a resumed attempt is no failure"
    assert refunds(ledger) == [str(job_id)]
    result = tenant.result(job_id)
    assert result is not None
    assert result["answers"]["approve"] == {"value": YES, "by": "system", "timed_out": False}
    assert not answer(tenant, job_id, YES)[1]
    with pytest.raises(questions.QuestionAnswered):
        answer(tenant, job_id, {"approved": False})
    assert [event.type for event in tenant.events(job_id)] == [
        "job.queued",
        "job.started",
        "input.required",
        "job.waiting",
        "job.queued",
        "job.started",
        "job.succeeded",
    ]


def test_an_answer_given_by_many_at_once_resumes_the_job_once(
    settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    ledger = tmp_path / "refunds"
    with dispatcher(settings), worker(settings):
        job_id = ask(tenant, ledger=str(ledger))
        tenant.wait_for_state(job_id, JobState.WAITING)
        together = threading.Barrier(8)

        def say(_: int) -> bool:
            together.wait(30)
            return answer(tenant, job_id, YES)[1]

        with ThreadPoolExecutor(8) as pool:
            resumed = list(pool.map(say, range(8)))
        [job] = tenant.wait(job_id)
    assert resumed.count(True) == 1
    assert job.attempt == 2
    assert refunds(ledger) == [str(job_id)]


def test_a_question_no_one_answers_times_out_by_the_databases_clock(settings: Settings, tenant: Tenant) -> None:
    with dispatcher(settings), worker(settings):
        job_id = ask(tenant, timeout_seconds=1)
        [job] = tenant.wait(job_id)
    assert job.state is JobState.SUCCEEDED
    result = tenant.result(job_id)
    assert result is not None
    assert result["answers"]["approve"] == {"value": None, "by": None, "timed_out": True}
    [resumed] = [event for event in tenant.events(job_id) if event.data.get("resumed")]
    assert resumed.data == {"resumed": "input", "timed_out": True}
    with pytest.raises(questions.QuestionTimedOut):
        answer(tenant, job_id, YES)


def test_one_question_after_the_other_in_one_job(settings: Settings, tenant: Tenant) -> None:
    with dispatcher(settings), worker(settings):
        job_id = ask(tenant, keys=["first", "second"])
        tenant.wait_for_state(job_id, JobState.WAITING)
        answer(tenant, job_id, YES, "first")
        wait_until(lambda: is_asked(tenant, job_id, "second"), timeout_seconds=30, what="the second question")
        answer(tenant, job_id, {"approved": False})
        [job] = tenant.wait(job_id)
    assert (job.state, job.attempt, job.failures) == (JobState.SUCCEEDED, 3, 0)


def is_asked(tenant: Tenant, job_id: UUID, key: str) -> bool:
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    waiting = questions.open_questions(single, tenant.principal, tenant.job(job_id))
    return [question.key for question in waiting] == [key]


@pytest.mark.parametrize("end", ["cancel", "deadline"])
def test_a_job_that_waits_for_a_person_can_end_without(settings: Settings, tenant: Tenant, end: str) -> None:
    with dispatcher(settings), worker(settings):
        job_id = ask(tenant, deadline_seconds=8 if end == "deadline" else 600)
        tenant.wait_for_state(job_id, JobState.WAITING)
        if end == "cancel":
            tenant.cancel(job_id)
        [job] = tenant.wait(job_id)
    assert job.state is (JobState.CANCELLED if end == "cancel" else JobState.EXPIRED)
    with pytest.raises(questions.NotWaiting):
        answer(tenant, job_id, YES)

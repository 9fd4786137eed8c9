"""Questions to people on real workers: what is asked survives everything, and what is answered is acted upon once."""

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

pytestmark = pytest.mark.timeout(120)
YES = {"approved": True}


def ask(tenant: Tenant, **given: Any) -> UUID:
    known = {name: given.pop(name) for name in ("reserve_usd", "max_cost_usd", "deadline_seconds") if name in given}
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
        first.popen.kill()
        first.popen.wait(10)
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

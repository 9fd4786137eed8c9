"""Jobs that call jobs, on real workers: each child is started once, every end is reported, and a tree ends together."""

import time
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.jobs.records import JobRecord
from core.jobs.states import JobState
from core.jobs.suspension import children
from core.jobs.suspension.records import Node
from core.kit.settings import Settings
from tests.factories.jobs import Tenant
from tests.factories.processes import dispatcher, supervised_worker, worker
from tests.factories.waiting import wait_until

pytestmark = pytest.mark.timeout(180)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def fan(tenant: Tenant, inputs: list[dict[str, Any]], **given: Any) -> UUID:
    known = {name: given.pop(name) for name in ("traceparent",) if name in given}
    return tenant.submit_input("probe.fan", {"children": inputs, **given}, **known)


def tree(tenant: Tenant, job_id: UUID) -> list[Node]:
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    return list(children.tree(single, tenant.principal, job_id))


def below(tenant: Tenant, job_id: UUID) -> list[Node]:
    return tree(tenant, job_id)[1:]


def outcomes(tenant: Tenant, job: JobRecord) -> list[dict[str, Any]]:
    assert job.state is JobState.SUCCEEDED, job.error
    result = tenant.result(job.id)
    assert result is not None
    return list(result["outcomes"])


def test_a_parent_reports_every_end_of_its_twenty_children_and_finishes(settings: Settings, tenant: Tenant) -> None:
    inputs: list[dict[str, Any]] = [{"note": str(number)} for number in range(20)]
    inputs[3] = {"act": "fail", "retryable": False}
    inputs[7] = {"act": "sleep", "seconds": 600}
    inputs[11] = {"act": "sleep", "seconds": 600}
    with dispatcher(settings), worker(settings), worker(settings, "other"):
        job_id = fan(tenant, inputs, deadlines={"11": 2}, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
        tenant.wait_for_state(job_id, JobState.WAITING)
        [doomed] = [node for node in below(tenant, job_id) if node.key == "child-7"]
        tenant.cancel(doomed.id)
        [job] = tenant.wait(job_id, timeout_seconds=60)
    found = outcomes(tenant, job)
    states = [outcome["state"] for outcome in found]
    assert (states[3], states[7], states[11]) == ("failed", "cancelled", "expired")
    assert states.count("succeeded") == 17
    assert [outcome["key"] for outcome in found] == [f"child-{number}" for number in range(20)]
    assert found[5]["result"] == {"attempt": 1, "said": "5"}
    assert found[3]["code"] == "asked_to_fail"
    assert job.failures == 0
    assert {(tenant.job(node.id).traceparent or "").split("-")[1] for node in below(tenant, job_id)} == {TRACE}
    events = tenant.events(job_id)
    reported = [event.data["key"] for event in events if event.type == "child.finished"]
    assert sorted(reported) == sorted(outcome["key"] for outcome in found)
    assert all(later.previous == earlier.id for earlier, later in pairwise(events))


def test_cancelling_the_parent_cancels_the_tree_within_five_seconds(settings: Settings, tenant: Tenant) -> None:
    branch = {"capability": "probe.fan", "payload": {"children": [{"act": "sleep", "seconds": 600}] * 2}}
    leaf = {"capability": "other.act", "payload": {"act": "sleep", "seconds": 600}}
    with dispatcher(settings), worker(settings), worker(settings, "other", concurrency=6):
        job_id = fan(tenant, [branch, branch, leaf])
        wait_until(
            lambda: sum(node.state is JobState.RUNNING for node in tree(tenant, job_id)) == 5,
            timeout_seconds=60,
            what="five leaves to run",
        )
        asked = time.monotonic()
        tenant.cancel(job_id)
        nodes = tree(tenant, job_id)
        tenant.wait(*[node.id for node in nodes], timeout_seconds=30)
        took_seconds = time.monotonic() - asked
    assert len(nodes) == 8
    assert {node.state for node in tree(tenant, job_id)} == {JobState.CANCELLED}
    assert took_seconds < 5, "what the project promises, not a measure of speed"


@pytest.mark.parametrize("end", ["expired", "failed"])
def test_children_of_a_job_that_has_ended_otherwise_are_cancelled(settings: Settings, tenant: Tenant, end: str) -> None:
    inputs = [{"act": "sleep", "seconds": 600}, {"act": "sleep", "seconds": 600}]
    with dispatcher(settings), worker(settings), worker(settings, "other"):
        job_id = fan(tenant, inputs)
        tenant.wait_for_state(job_id, JobState.WAITING)
        wait_until(
            lambda: all(node.state is JobState.RUNNING for node in below(tenant, job_id)),
            timeout_seconds=30,
            what="the children to run",
        )
        end_by_force(tenant, job_id, end)
        tenant.wait(*[node.id for node in tree(tenant, job_id)])
    assert {node.state for node in below(tenant, job_id)} == {JobState.CANCELLED}


def end_by_force(tenant: Tenant, job_id: UUID, end: str) -> None:
    """What a deadline, or an operator's mistake, would do to a waiting job."""
    change = "deadline_at = now() - interval '1 second'" if end == "expired" else "state = 'queued', reason = NULL"
    with tenant.database.system() as session:
        session.execute(text(f"UPDATE jobs SET {change} WHERE id = :id"), {"id": job_id})
        if end == "failed":
            session.execute(
                text(
                    "UPDATE jobs SET state = 'running', attempt = attempt + 1, failures = max_attempts,"
                    " lease_expires_at = now() - interval '1 second' WHERE id = :id"
                ),
                {"id": job_id},
            )


def test_a_worker_killed_between_the_start_of_the_children_and_the_wait_starts_none_twice(
    settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    marker = tmp_path / "starts"
    inputs = [{"marker": str(marker)} for _ in range(5)]
    with dispatcher(settings), worker(settings, "other"), supervised_worker(settings):
        job_id = fan(tenant, inputs, die="after_start")
        [job] = tenant.wait(job_id, timeout_seconds=60)
    assert {outcome["state"] for outcome in outcomes(tenant, job)} == {"succeeded"}
    assert len(below(tenant, job_id)) == 5
    assert len(marker.read_text(encoding="utf-8").splitlines()) == 5
    assert job.failures == 1, "the kill counts, the waiting does not"

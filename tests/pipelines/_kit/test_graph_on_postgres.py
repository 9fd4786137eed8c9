"""A graph over the real checkpoint tables, fenced by real leases."""

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict
from uuid import UUID

import pytest
from langgraph.graph import END, START
from pydantic import BaseModel
from sqlalchemy import text

from core.capability import JobCancelled, JobContext, LeaseLost
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from pipelines._kit.graph import GraphRunner, add_step, new_graph
from tests.factories.attempts import attempt
from tests.factories.jobs import Tenant, new_tenant

pytestmark = pytest.mark.own_database


class Nothing(BaseModel):
    pass


class Counted(BaseModel):
    total: int


class State(TypedDict, total=False):
    total: int


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    tenant = new_tenant(settings)
    yield tenant
    tenant.close()


def counter(ran: list[tuple[int, str]], fail_in: str = "") -> GraphRunner[Nothing, Counted]:
    """Two nodes that count to two; `fail_in` raises in the first attempt."""
    graph = new_graph(State)
    for name in ("first", "second"):

        def node(state: State, ctx: JobContext, name: str = name) -> Mapping[str, Any]:
            ran.append((ctx.attempt, name))
            if name == fail_in and ctx.attempt == 1:
                raise JobCancelled
            return {"total": state["total"] + 1}

        add_step(graph, name, node)
    graph.add_edge(START, "first")
    graph.add_edge("first", "second")
    graph.add_edge("second", END)
    return GraphRunner(graph, begin=lambda _: {"total": 0}, finish=lambda state: Counted(total=state["total"]))


def count_rows(tenant: Tenant, job_id: UUID) -> int:
    with tenant.database.system() as session:
        found = session.execute(text("SELECT count(*) FROM job_checkpoints WHERE job_id = :id"), {"id": job_id})
        return int(found.scalar_one())


def test_the_next_attempt_continues_after_the_last_finished_node(settings: Settings, tenant: Tenant) -> None:
    job_id = tenant.submit()
    ran: list[tuple[int, str]] = []
    machine = counter(ran, fail_in="second")

    with attempt(settings, encode(JOB, job_id)) as first:
        with pytest.raises(JobCancelled):
            machine.run(first.context, Nothing())
        first.requeue()
    with attempt(settings, encode(JOB, job_id)) as second:
        result = machine.run(second.context, Nothing())
        second.succeed(total=result.total)

    assert result.total == 2
    assert ran == [(1, "first"), (1, "second"), (2, "second")]
    steps = [(event.type, event.attempt, event.data["step"]) for event in tenant.events(job_id) if "step" in event.data]
    assert steps == [
        ("step.started", 1, "first"),
        ("step.finished", 1, "first"),
        ("step.started", 1, "second"),
        ("step.started", 2, "second"),
        ("step.finished", 2, "second"),
    ]
    assert count_rows(tenant, job_id) == 0, "an ended job keeps no checkpoints"


def test_an_attempt_that_lost_its_lease_neither_runs_on_nor_writes(settings: Settings, tenant: Tenant) -> None:
    job_id = tenant.submit()
    ran: list[tuple[int, str]] = []
    with attempt(settings, encode(JOB, job_id)) as first:
        with tenant.database.system() as session:
            session.execute(
                text("UPDATE jobs SET state = 'queued', lease_expires_at = NULL WHERE id = :id"), {"id": job_id}
            )
        with pytest.raises(LeaseLost):
            counter(ran).run(first.context, Nothing())

    assert ran == []
    assert count_rows(tenant, job_id) == 0

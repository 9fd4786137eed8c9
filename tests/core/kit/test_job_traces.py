from uuid import UUID

from core.kit.job_traces import JobTrace, TraceScope, current_baggage, current_scope, traced_for

JOB = UUID("0199a1b2-0000-7000-8000-000000000001")
CHILD = UUID("0199a1b2-0000-7000-8000-000000000002")
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_ids_are_those_of_every_release() -> None:
    """Processes of two releases write one tree during a rollout: what an id is made of may not change."""
    alone = JobTrace(JOB, None)
    found = (alone.context, alone.attempt(1), alone.step(1, 7))
    assert f"{alone.context.trace_id:032x}" == "1db1511c69c86f389c6d70407d61ff3f"
    assert [f"{each.span_id:016x}" for each in found] == [
        "c6a97118bfcced4e",
        "f56dfd0317eaaef9",
        "82eacccecb6c697f",
    ]
    assert len({each.span_id for each in (*found, alone.attempt(2), alone.step(2, 7), alone.step(1, 8))}) == 6


def test_a_job_stands_in_the_trace_that_submitted_it() -> None:
    job = JobTrace(JOB, PARENT)
    assert job.parent is not None
    assert job.context.trace_id == job.attempt(1).trace_id == job.parent.trace_id
    assert job.context.span_id == JobTrace(JOB, None).context.span_id
    # A child was submitted from a step, and its place follows from its own id.
    assert job.of(CHILD) == JobTrace(CHILD, PARENT).context
    unsampled = JobTrace(JOB, PARENT[:-2] + "00")
    assert not unsampled.attempt(1).trace_flags.sampled
    assert JobTrace(JOB, "nonsense").context == JobTrace(JOB, None).context


def test_a_scope_says_whose_work_it_is_and_its_baggage_no_more_than_it_must() -> None:
    scope = TraceScope(JOB, CHILD, "knowledge.search", JOB, 2)
    assert scope.attributes["waybill.job.attempt"] == 2
    assert str(scope.attributes["waybill.organization.id"]).startswith("org_")
    assert current_scope() is None
    with traced_for(scope):
        assert current_scope() == scope
        assert current_baggage() == scope.baggage
    assert current_baggage() is None
    assert scope.baggage.count(",") == 2
    assert "job_" not in scope.baggage
    assert TraceScope(JOB, None, "odd, name=ü").baggage.endswith("waybill.capability=odd%2C%20name%3D%C3%BC")

"""An effect has a known outcome, wherever its process is killed: done once, not done, or a person is asked."""

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.capability import JobSuspended
from core.jobs import queue
from core.jobs.suspension import questions
from core.kit.errors import CapabilityFailure
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from pipelines._kit.tools.box import ToolBox
from pipelines._kit.tools.client import McpClient
from tests.factories.api import probe_capabilities
from tests.factories.attempts import attempt
from tests.factories.effect_orders import BOUNDARIES, Order, line_of
from tests.factories.effect_tools import EffectTools, effect_tools
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.processes import ROOT, environment

pytestmark = [pytest.mark.own_database, pytest.mark.survive("E3"), pytest.mark.timeout(240)]

# By the kind of tool: with an idempotency key, with read-back only, with neither.
KINDS = ("pay", "book", "note")
FRAMEWORKS = ("langgraph", "crewai")
# What becomes of it. Without a key or read-back it is not known once the intent is written.
EXPECTED = {
    (kind, boundary): "asked" if kind == "note" and boundary in {"after intent", "after call"} else "done"
    for kind in KINDS
    for boundary in BOUNDARIES
}


@pytest.fixture(autouse=True)
def _probes() -> Iterator[None]:
    with probe_capabilities():
        yield


@pytest.fixture(scope="module")
def tools() -> Iterator[EffectTools]:
    with effect_tools() as opened:
        yield opened


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


@pytest.fixture
def carry_out(settings: Settings) -> Iterator[Callable[[Order], str]]:
    """Carries an order out in a process that it may kill."""
    command = [sys.executable, "-m", "tests.factories.effect_child"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(settings), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as zygote:
        assert zygote.stdin is not None
        assert zygote.stdout is not None

        def send(order: Order) -> str:
            assert zygote.stdin is not None
            assert zygote.stdout is not None
            zygote.stdin.write(line_of(order) + "\n")
            zygote.stdin.flush()
            return zygote.stdout.readline().strip()

        yield send
        zygote.stdin.close()


def put_back(tenant: Tenant, job_id: UUID) -> None:
    """What the dispatcher does with a job whose worker is gone."""
    with tenant.database.system() as session:
        session.execute(
            text("UPDATE jobs SET lease_expires_at = now() - interval '1 second' WHERE id = :id"), {"id": job_id}
        )
    with tenant.database.system() as session:
        queue.sweep(session, "probe")
    with tenant.database.system() as session:
        # What lost its worker is claimed by a worker that does nothing else; these forks are such.
        session.execute(text("UPDATE jobs SET reason = 'retry' WHERE id = :id"), {"id": job_id})


def strike(tenant: Tenant, tools: EffectTools, carry_out: Callable[[Order], str], rounds: int) -> Counter[str]:
    """Kill at every boundary of every kind over both frameworks; returns how often each outcome came."""
    found: Counter[str] = Counter()
    for number in range(rounds):
        for turn, (kind, boundary) in enumerate(itertools.product(KINDS, BOUNDARIES), start=number):
            framework = FRAMEWORKS[turn % 2]
            job_id = tenant.submit()
            reference = f"{number}-{kind}-{boundary}-{framework}"
            ended = carry_out(Order(str(job_id), tools.url, kind, reference, framework, boundary))
            if boundary != "never":
                assert ended == "killed", ended
                put_back(tenant, job_id)
                ended = carry_out(Order(str(job_id), tools.url, kind, reference, framework, "never"))
            assert ended == EXPECTED[kind, boundary], (kind, boundary, framework)
            times = tools.done[kind, reference]
            assert times == 1 if ended == "done" else times <= 1, (kind, boundary, framework)
            found[ended] += 1
    return found


@pytest.mark.heavy
def test_a_process_killed_at_any_boundary_leaves_an_effect_whose_outcome_is_known(
    tenant: Tenant, tools: EffectTools, carry_out: Callable[[Order], str]
) -> None:
    assert strike(tenant, tools, carry_out, rounds=1) == {"done": 13, "asked": 2}


@pytest.mark.slow(1800)
@pytest.mark.timeout(7200)
def test_two_thousand_effects_are_done_once_or_asked_about(
    tenant: Tenant,
    tools: EffectTools,
    carry_out: Callable[[Order], str],
    record_property: Callable[[str, object], None],
) -> None:
    found = strike(tenant, tools, carry_out, rounds=134)
    assert found.total() >= 2000
    record_property(
        "figure", f"{found.total()} effects, {found['done']} done, {found['asked']} asked, 0 repeated, 0 lost"
    )


@pytest.mark.parametrize(("happened", "status"), [(True, "done"), (False, "refused")])
def test_what_a_person_found_out_is_what_became_of_it(
    settings: Settings, tenant: Tenant, tools: EffectTools, happened: bool, status: str
) -> None:
    job_id, client = tenant.submit(), McpClient()

    def call() -> Any:
        with attempt(settings, encode(JOB, job_id)) as driven:
            box = ToolBox(driven.context, tools.tool_policies(), client, "act")
            try:
                outcome = box.call("note", {"reference": str(job_id)}, call="0")
            except JobSuspended:
                driven.suspend("input")
                raise
            # Of the same call with other arguments nothing is known, and nothing is done.
            with pytest.raises(CapabilityFailure) as refused:
                box.call("note", {"reference": "other"}, call="0")
            assert refused.value.code == "tool_call_reused"
            return outcome

    with tenant.database.tenant(tenant.principal.organization_id) as session:
        session.execute(
            text(
                "INSERT INTO job_effects (job_id, call, organization_id, operation, tool, server, effect,"
                " arguments_digest, attempt) VALUES (:job, 'act:0', :organization, 'note', 'note', 'effects', 'write',"
                " encode(sha256(convert_to(:arguments, 'UTF8')), 'hex'), 1)"
            ),
            {
                "job": job_id,
                "organization": tenant.principal.organization_id,
                "arguments": json.dumps({"reference": str(job_id)}, separators=(",", ":")),
            },
        )
    with pytest.raises(JobSuspended):
        call()
    [asked] = [event.data for event in tenant.events(job_id) if event.type == "input.required"]
    assert asked["details"]["code"] == "outcome_unknown"
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        questions.answer(session, tenant.principal, job_id, None, {"happened": happened})
    assert call().status == status
    assert tools.done["note", str(job_id)] == 0
    client.close()

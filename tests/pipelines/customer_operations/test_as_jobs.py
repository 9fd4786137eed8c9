"""The capability through a real dispatcher and real worker processes, killed in the middle and restarted."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from api.jobs.schemas import to_wire
from core.jobs.states import JobState, Reason
from core.jobs.suspension import questions
from core.kit.migrate import upgrade
from core.kit.settings import Settings
from pipelines.customer_operations.schemas import ResolveOutput
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.processes import dispatcher, worker
from tests.factories.sample_system import Attached, attached
from tests.factories.waiting import wait_until
from waybill.stack.postgres import EmbeddedPostgres
from waybill.stack.valkey import EmbeddedValkey

POOL = "customer_operations"
LARGE = "Express 12 parcel VH-300002 came a day late, we want a refund"
CANCEL = "Please cancel VH-300005, the label was never used"

pytestmark = pytest.mark.timeout(170)


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    tenant = new_tenant(settings)
    yield tenant
    tenant.close()


@pytest.fixture
def system(postgres_url: str, tmp_path: Path) -> Iterator[Attached]:
    with attached(postgres_url, tmp_path) as system:
        yield system


def variables(system: Attached) -> dict[str, str]:
    assert system.settings.tool_servers_file is not None
    return {
        "WAYBILL_TOOL_SERVERS_FILE": str(system.settings.tool_servers_file),
        "WAYBILL_SECRETS_DIR": str(system.settings.secrets_dir),
    }


def submit(tenant: Tenant, message: str, sender: str) -> UUID:
    payload = {"message": message, "customer": {"email": sender, "verified": True}, "delivery": "send"}
    return tenant.submit_input("customer_operations.resolve", payload)


def result(tenant: Tenant, job_id: UUID) -> ResolveOutput:
    return ResolveOutput.model_validate(tenant.result(job_id))


def answer(tenant: Tenant, job_id: UUID, value: dict[str, Any]) -> bool:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        return questions.answer(session, tenant.principal, job_id, None, value)[1]


def open_calls(tenant: Tenant, job_id: UUID, tool: str) -> bool:
    """Whether a call of `tool` was announced and has not been answered."""
    reported = [event for event in tenant.events(job_id) if event.data.get("tool") == tool]
    return bool(reported) and reported[-1].type == "tool.called"


@pytest.mark.parametrize("tool", ["cancel_order", "issue_refund"])
def test_a_worker_killed_while_a_tool_works_leaves_one_effect(
    settings: Settings, tenant: Tenant, system: Attached, tool: str
) -> None:
    # The second attempt is the last one only if a busy machine never lets it miss its lease.
    settings = settings.model_copy(update={"lease_seconds": 8.0})
    with dispatcher(settings), worker(settings, POOL, 2, **variables(system)) as first:
        table = {"cancel_order": "orders", "issue_refund": "refunds"}[tool]
        with system.system.database.transaction() as held:
            # The tool's transaction waits here, so that the worker dies while its call is under way.
            held.execute(f"LOCK TABLE {table} IN SHARE MODE")
            job_id = submit(tenant, CANCEL, "orders@zonnig.example")
            wait_until(lambda: open_calls(tenant, job_id, tool), timeout_seconds=60, what=f"a call of {tool}")
            first.kill()
        with worker(settings, POOL, 2, **variables(system)):
            [job] = tenant.wait(job_id, timeout_seconds=90)

    assert (job.state, job.error) == (JobState.SUCCEEDED, None)
    assert job.attempt == 2
    assert [action.status for action in result(tenant, job_id).actions] == ["done", "done"]
    assert system.count("refunds", "order_id = 'VH-300005'") == 1
    assert system.count("operations", "tool <> 'send_message'") == 2
    assert system.rows("SELECT state, paid - refunded AS rest FROM orders WHERE id = 'VH-300005'") == [
        {"state": "cancelled", "rest": 0}
    ]


def test_a_refund_waits_for_a_person_over_the_restart_of_everything(
    settings: Settings, tenant: Tenant, system: Attached
) -> None:
    with dispatcher(settings), worker(settings, POOL, 2, **variables(system)) as first:
        job_id = submit(tenant, LARGE, "tom.dewit@example.org")
        declined_id = submit(tenant, LARGE, "tom.dewit@example.org")
        for waiting_id in (job_id, declined_id):
            assert tenant.wait_for_state(waiting_id, JobState.WAITING, timeout_seconds=60).reason == "input"
        first.kill()
    assert system.count("refunds", "order_id = 'VH-300002'") == 0
    assert answer(tenant, declined_id, {"approved": False})
    assert answer(tenant, job_id, {"approved": True, "note": "fine"})
    assert not answer(tenant, job_id, {"approved": True, "note": "fine"}), "approved twice is approved once"

    with dispatcher(settings), worker(settings, POOL, 2, **variables(system)):
        tenant.wait(job_id, declined_id, timeout_seconds=90)

    approved, declined = result(tenant, job_id), result(tenant, declined_id)
    assert [(action.amount, action.status) for action in approved.actions] == [("84.20", "done")]
    assert approved.actions[0].approved_by
    assert (declined.decision, declined.actions) == ("declined", [])
    assert system.count("refunds", "order_id = 'VH-300002'") == 1


@pytest.mark.survive("F1")
def test_jobs_outlive_a_restart_of_their_tool_server_and_spend_one_attempt(
    settings: Settings, tenant: Tenant, system: Attached, record_property: Callable[[str, object], None]
) -> None:
    payload = {"message": CANCEL, "customer": {"email": "orders@zonnig.example", "verified": True}, "delivery": "send"}
    with dispatcher(settings), worker(settings, POOL, 2, **variables(system)):
        with system.away():
            jobs = [tenant.submit_input("customer_operations.resolve", payload, max_attempts=1) for _ in range(3)]
            wait_until(
                lambda: all(tenant.job(job_id).reason == Reason.DEPENDENCY_UNAVAILABLE for job_id in jobs),
                timeout_seconds=60,
                what="the jobs to be put back",
            )
            waiting = tenant.job(jobs[0])
            assert waiting.error is not None
            assert waiting.error["dependency"] == "tool server veldhaven"
        ended = tenant.wait(*jobs)
    assert [(job.state, to_wire(job)["attempt"], job.failures) for job in ended] == [(JobState.SUCCEEDED, 1, 0)] * 3
    # The first of them to come back canceled; the others found that.
    assert system.count("refunds", "order_id = 'VH-300005'") == 1
    record_property("figure", "3 jobs through the restart of their tool server, one attempt each, one effect")


@pytest.mark.slow(90)
@pytest.mark.timeout(300)
def test_a_refund_waits_for_a_person_while_the_servers_themselves_are_restarted(
    settings: Settings, system: Attached, tmp_path: Path
) -> None:
    postgres, valkey = EmbeddedPostgres(tmp_path / "postgres"), EmbeddedValkey(tmp_path / "valkey")
    with ExitStack() as stack:
        for server in (postgres, valkey):
            server.start()
            stack.callback(server.stop)
        upgrade(postgres.url)
        own = {"database_url": SecretStr(postgres.url), "redis_url": SecretStr(valkey.url)}
        settings = settings.model_copy(update=own)
        tenant = new_tenant(settings)
        stack.callback(tenant.close)
        with dispatcher(settings), worker(settings, POOL, 2, **variables(system)):
            job_id = submit(tenant, LARGE, "tom.dewit@example.org")
            assert tenant.wait_for_state(job_id, JobState.WAITING, timeout_seconds=60).reason == "input"
        tenant.database.engine.dispose()
        addresses = postgres.url, valkey.url
        for server in (postgres, valkey):
            server.stop()
            server.start()
        assert (postgres.url, valkey.url) == addresses
        with dispatcher(settings), worker(settings, POOL, 2, **variables(system)):
            assert system.count("refunds", "order_id = 'VH-300002'") == 0
            assert answer(tenant, job_id, {"approved": True, "note": "fine"})
            assert not answer(tenant, job_id, {"approved": True, "note": "fine"})
            tenant.wait(job_id, timeout_seconds=90)
        assert [(action.amount, action.status) for action in result(tenant, job_id).actions] == [("84.20", "done")]
        assert system.count("refunds", "order_id = 'VH-300002'") == 1

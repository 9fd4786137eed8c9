"""A worker, an analyzer and a provider as processes: addresses do not reach the provider, whatever stops meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from core.guard.policy import GuardPolicy, Rule
from core.guard.records import Action, Direction
from core.guard.service import GuardService
from core.jobs.states import JobState, Reason
from core.kit.settings import Settings
from tests.factories.guard import ADDRESSES, analyzer, socket_below
from tests.factories.guarded import leaks
from tests.factories.jobs import Tenant
from tests.factories.processes import dispatcher, worker
from tests.factories.provider_simulator import Answer, ProviderSimulator, Recorded, Script
from tests.factories.registered import Registrar, write_deployments
from tests.factories.waiting import wait_until

ANNA, BEN = "anna@example.org", "ben@example.org"
POLICY = GuardPolicy(
    rules=(
        Rule(kinds=("email",), directions=(Direction.TO_MODEL,), action=Action.REDACT),
        Rule(action=Action.OFF),
    )
)
pytestmark = [pytest.mark.timeout(300), pytest.mark.heavy]


def parrot(recorded: Recorded) -> Script:
    return Answer(recorded.body["messages"][-1]["content"])


@contextmanager
def crew(settings: Settings, tenant: Tenant, folder: Path, url: str) -> Iterator[ProviderSimulator]:
    """A dispatcher and a worker that know the analyzer at `url` and, as "writer", the model of the provider."""
    with ProviderSimulator(parrot) as provider:
        file = write_deployments(folder, there=provider)
        registrar = Registrar(settings.model_copy(update={"deployments_file": file}), tenant)
        registrar.model("writer", {"deployment": "there"})
        with (
            dispatcher(settings),
            worker(settings, WAYBILL_DEPLOYMENTS_FILE=str(file), WAYBILL_GUARD_URL=url),
        ):
            yield provider


@pytest.mark.survive("P9", "S3")
def test_no_address_reaches_the_provider_and_jobs_wait_for_the_analyzer(
    settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    principal = tenant.principal
    with tenant.database.tenant(principal.organization_id) as session:
        GuardService(settings).put(session, principal, principal.project_id, POLICY)
    with TemporaryDirectory() as folder:
        url = socket_below(Path(folder))
        with crew(settings, tenant, tmp_path, url) as provider:
            with analyzer(settings, url, ADDRESSES):
                first = tenant.submit("ask", model="writer", note=f"Write to {ANNA}", max_attempts=1)
                [job] = tenant.wait(first, timeout_seconds=60)
                assert (job.state, job.error) == (JobState.SUCCEEDED, None)
            assert [request.body["messages"][-1]["content"] for request in provider.requests] == ["Write to <EMAIL_1>"]
            assert ANNA in str(tenant.result(first))

            second = tenant.submit("ask", model="writer", note=f"Write to {BEN}", max_attempts=1)
            wait_until(
                lambda: tenant.job(second).reason == Reason.DEPENDENCY_UNAVAILABLE,
                timeout_seconds=60,
                what="the job to be put back",
            )
            assert (tenant.job(second).error or {})["dependency"] == "guard analyzer"
            with analyzer(settings, url, ADDRESSES):
                [job] = tenant.wait(second, timeout_seconds=120)
            assert (job.state, job.failures) == (JobState.SUCCEEDED, 0)
            assert BEN in str(tenant.result(second))
            assert leaks([request.body for request in provider.requests], (ANNA, BEN)) == []

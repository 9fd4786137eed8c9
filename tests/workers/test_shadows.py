"""Shadow arms over real workers: what others have answered is run again, once, for nobody to see."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from core.jobs.records import JobFilter
from core.jobs.service import JobService
from core.jobs.states import JobState, Priority
from core.kit.blob import open_blob_store
from core.kit.settings import Settings
from core.registry.deployments import DEFAULT
from core.registry.experiments import shadows as shadow_runs
from core.registry.experiments.definition import (
    ArmKind,
    Experiment,
    NewArm,
    NewExperiment,
    ShadowLimits,
)
from core.registry.experiments.results import Results
from core.registry.experiments.service import ExperimentService
from tests.factories.api import probe_capabilities
from tests.factories.attempts import Attempt, worker_services
from tests.factories.jobs import Tenant
from tests.factories.processes import dispatcher, worker
from tests.factories.provider_simulator import Answer, ProviderSimulator
from tests.factories.registered import Registrar, set_prices, write_deployments
from tests.factories.waiting import wait_until
from workers import shadows

EXPERIMENTS = ExperimentService()
CONTROL = NewArm(name="as it is", weight=1.0, kind=ArmKind.CONTROL)


def begin(tenant: Tenant, shadow: NewArm, *, max_cost: str = "1", budget: str = "100") -> Experiment:
    new = NewExperiment(
        name=f"shadow of {shadow.model}",
        capability="probe.act",
        arms=(CONTROL, shadow),
        baseline=0.9,
        minimum_lift=0.05,
        shadow_limits=ShadowLimits(Decimal(max_cost), Decimal(budget)),
    )
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        made = EXPERIMENTS.create(session, tenant.principal, new)
        return EXPERIMENTS.start(session, tenant.principal, made.id)


def results(tenant: Tenant, experiment: Experiment) -> Results:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        return EXPERIMENTS.results(session, tenant.principal, experiment.id)


def runs(tenant: Tenant) -> Sequence[tuple[UUID, str, str | None, UUID | None]]:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        found = session.execute(text("SELECT job_id, state, reason, shadow_job_id FROM shadow_runs ORDER BY job_id"))
        return [tuple(row) for row in found]


def start_due(tenant: Tenant, settings: Settings) -> int:
    with probe_capabilities():
        return shadows.run_once(tenant.database, JobService(settings, open_blob_store(settings)))


@pytest.mark.timeout(300)
def test_a_shadow_answers_again_and_is_shown_to_no_one(tenant: Tenant, settings: Settings, tmp_path: Path) -> None:
    with ProviderSimulator(Answer("what is shown")) as old, ProviderSimulator(Answer("what is not")) as new:
        file = write_deployments(tmp_path, old=old, new=new)
        registrar = Registrar(settings.model_copy(update={"deployments_file": file}), tenant)
        _, (_, candidate) = registrar.model("chat", {"deployment": "old"}, {"deployment": "new"})
        # A shadow has a bound in money, and none can hold for a model without prices.
        set_prices(tenant, "chat")
        experiment = begin(
            tenant,
            NewArm(name="next", weight=1.0, kind=ArmKind.SHADOW, model="chat", model_version_id=candidate.id),
        )
        with worker(settings, "probe", WAYBILL_DEPLOYMENTS_FILE=str(file)), dispatcher(settings):
            asked = [tenant.submit("ask", model="chat", note=f"question {number}") for number in range(3)]
            tenant.wait(*asked)
            wait_until(
                lambda: results(tenant, experiment).shadows[0].success.units == 3,
                timeout_seconds=90,
                what="three shadows to end",
            )
        assert [tenant.result(job_id) for job_id in asked] == [{"attempt": 1, "said": "what is shown"}] * 3
        assert sorted(each.body["messages"][-1]["content"] for each in new.requests) == [
            f"question {number}" for number in range(3)
        ]

    (shown,) = results(tenant, experiment).shadows
    assert (shown.sampled, shown.due, shown.open, dict(shown.dropped)) == (3, 0, 0, {})
    assert shown.success.estimate == 1.0
    assert (shown.identical.estimate, shown.identical.units) == (0.0, 3)
    assert shown.cost.difference.units == 3
    # Nobody is compared with it, and nobody who was served is counted.
    assert results(tenant, experiment).comparisons == ()
    assert results(tenant, experiment).units == 0

    service = JobService(settings, open_blob_store(settings))
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    listed = service.list(single, tenant.principal, JobFilter(), cursor=None, limit=50)
    assert {job.id for job in listed} == set(asked)
    hidden = service.list(single, tenant.principal, JobFilter(shadows=True), cursor=None, limit=50)
    assert {job.id for job in hidden} == {run[3] for run in runs(tenant)}
    assert {(job.priority, job.max_attempts, job.max_cost_usd) for job in hidden} == {
        (Priority.LOW.rank, 1, Decimal(1)),
    }
    assert {run[1] for run in runs(tenant)} == {"started"}


def test_a_run_becomes_one_job_however_many_start_it(tenant: Tenant, settings: Settings) -> None:
    _sampled(tenant, settings)
    assert [start_due(tenant, settings) for _ in range(3)] == [1, 0, 0]
    ((_, state, _, shadow),) = runs(tenant)
    assert state == "started"
    assert shadow is not None


def test_a_start_that_is_cut_off_leaves_the_run_due_and_no_job(
    tenant: Tenant, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sampled(tenant, settings)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shadow_runs, "start", die)
        with pytest.raises(KeyboardInterrupt):
            start_due(tenant, settings)
    assert [run[1] for run in runs(tenant)] == ["due"]
    assert _hidden(tenant, settings) == 0
    start_due(tenant, settings)
    assert _hidden(tenant, settings) == 1


def test_shadows_stay_within_what_they_may_cost_together(tenant: Tenant, settings: Settings) -> None:
    _sampled(tenant, settings, count=4, max_cost="1", budget="2.5")
    start_due(tenant, settings)
    states = sorted((run[1], run[2]) for run in runs(tenant))
    assert states == [("dropped", "shadow_budget_exhausted")] * 2 + [("started", None)] * 2


def test_the_end_of_an_experiment_ends_its_shadows(tenant: Tenant, settings: Settings) -> None:
    experiment = _sampled(tenant, settings, count=2)
    start_due(tenant, settings)
    _succeed(tenant, settings, 1)
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        EXPERIMENTS.stop(session, tenant.principal, experiment.id, "seen enough")
    start_due(tenant, settings)
    assert sorted((run[1], run[2]) for run in runs(tenant)) == [
        ("dropped", "experiment_not_running"),
        ("started", None),
        ("started", None),
    ]
    jobs = [tenant.job(run[3]) for run in runs(tenant) if run[3] is not None]
    assert {job.state for job in jobs} == {JobState.CANCELLED}


def test_only_the_promised_share_is_run_again(tenant: Tenant, settings: Settings) -> None:
    _sampled(tenant, settings, count=200, weight=0.25)
    # Within five standard deviations of 50, and always the same for the same ids.
    assert 20 <= len(runs(tenant)) <= 80


def _sampled(
    tenant: Tenant, settings: Settings, *, count: int = 1, weight: float = 1.0, max_cost: str = "1", budget: str = "100"
) -> Experiment:
    """An experiment with a shadow arm, and `count` jobs that succeeded under it."""
    reachable = settings.model_copy(update={"model_base_url": "http://127.0.0.1:9/v1"})
    _, (_, candidate) = Registrar(reachable, tenant).model("chat", {"deployment": DEFAULT}, {"deployment": DEFAULT})
    arm = NewArm(name="next", weight=weight, kind=ArmKind.SHADOW, model="chat", model_version_id=candidate.id)
    experiment = begin(tenant, arm, max_cost=max_cost, budget=budget)
    _succeed(tenant, settings, count)
    return experiment


def _succeed(tenant: Tenant, settings: Settings, count: int) -> None:
    with worker_services(settings) as services:
        for _ in range(count):
            Attempt(services, tenant.submit("noop")).succeed(attempt=1)


def _hidden(tenant: Tenant, settings: Settings) -> int:
    service = JobService(settings, open_blob_store(settings))
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    return len(service.list(single, tenant.principal, JobFilter(shadows=True), cursor=None, limit=50))

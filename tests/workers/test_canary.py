"""A canary over real workers: a version that fails three times in ten is taken back without a person."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobs.receipts import document
from core.jobs.states import JobState
from core.keys.principal import Principal
from core.kit.ids import EXPERIMENT, encode
from core.kit.settings import Settings
from core.kit.signing import Signer
from core.registry.experiments.definition import (
    ArmKind,
    Canary,
    Experiment,
    Guardrail,
    Metric,
    NewArm,
    NewExperiment,
    State,
)
from core.registry.experiments.service import ExperimentService
from tests.factories.jobs import Tenant
from tests.factories.processes import dispatcher, worker
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator, Script
from tests.factories.registered import Registrar, write_deployments

EXPERIMENTS = ExperimentService()
BATCH, BATCHES_MAX = 40, 15


def fails_three_times_in_ten() -> Iterator[Script]:
    for number in itertools.count():
        yield Failure(status=500) if number % 10 in {0, 4, 7} else Answer("from the new one")


def begin(tenant: Tenant, principal: Principal, new: NewExperiment) -> Experiment:
    with tenant.database.tenant(principal.organization_id) as session:
        made = EXPERIMENTS.create(session, principal, new)
        return EXPERIMENTS.start(session, principal, made.id)


def look(tenant: Tenant, experiment: Experiment) -> Experiment:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        return EXPERIMENTS.get(session, tenant.principal, experiment.id)


@pytest.mark.timeout(180)
def test_a_bad_version_is_rolled_back_by_itself_and_the_waybills_say_so(
    tenant: Tenant, settings: Settings, tmp_path: Path
) -> None:
    bad = fails_three_times_in_ten()
    with ProviderSimulator(Answer("from the old one")) as old, ProviderSimulator(lambda _: next(bad)) as new:
        file = write_deployments(tmp_path, old=old, new=new)
        registrar = Registrar(settings.model_copy(update={"deployments_file": file}), tenant)
        _, (champion, candidate) = registrar.model("chat", {"deployment": "old"}, {"deployment": "new"})
        arms = (
            NewArm(name="next", weight=0.5, model="chat", model_version_id=candidate.id),
            NewArm(name="as it is", weight=0.5, kind=ArmKind.CONTROL),
        )
        experiment = begin(
            tenant,
            tenant.principal,
            NewExperiment(
                name="next version",
                capability="probe.act",
                arms=arms,
                baseline=0.9,
                minimum_lift=0.05,
                guardrails=(Guardrail(Metric.ERROR_RATE, 0.05),),
                canary=Canary(window_seconds=900),
            ),
        )
        with worker(settings, "probe", WAYBILL_DEPLOYMENTS_FILE=str(file)), dispatcher(settings):
            for _ in range(BATCHES_MAX):
                jobs = [tenant.submit("ask", model="chat", max_attempts=1) for _ in range(BATCH)]
                tenant.wait(*jobs, timeout_seconds=60)
                if look(tenant, experiment).state is not State.RUNNING:
                    break
            ended = look(tenant, experiment)
            assert ended.state is State.ROLLED_BACK
            assert "error_rate" in (ended.reason or "")
            touched = list(tenant.submitted)
            asked = len(new.requests)
            # The worker may believe for two seconds more what it read; then nobody is sent to the new one.
            after = tenant.submit("ask", model="chat", max_attempts=1, priority="low")
            tenant.wait(after)
            while len(new.requests) != asked:
                asked = len(new.requests)
                after = tenant.submit("ask", model="chat", max_attempts=1)
                tenant.wait(after)
            assert tenant.job(after).state is JobState.SUCCEEDED
            assert tenant.result(after) == {"attempt": 1, "said": "from the old one"}

        seen = {"next": 0, "as it is": 0}
        marked = 0
        with tenant.database.tenant(tenant.principal.organization_id) as session:
            for job_id in touched:
                waybill = document.issue(session, tenant.principal, job_id, Signer.from_settings(settings))
                decided = {each["action"] for each in waybill["policy_decisions"]}
                if not waybill["experiments"]:
                    # It came when the experiment was over, and the worker did not know that yet.
                    assert {line["model_version"] for line in waybill["models"]} == {str(champion.id)}
                    continue
                (exposure,) = waybill["experiments"]
                assert exposure["experiment_id"] == encode(EXPERIMENT, experiment.id)
                assert (exposure["state"], exposure["reason"]) == ("rolled_back", ended.reason)
                assert "policy:experiment:assign" in decided
                is_treated = exposure["arm"] == "next"
                seen[exposure["arm"]] += 1
                marked += "policy:experiment:rollback" in decided
                version = candidate if is_treated else champion
                assert {line["model_version"] for line in waybill["models"]} == {str(version.id)}
                assert is_treated or "policy:experiment:rollback" not in decided
        assert min(seen.values()) > 0
        # All but what was exposed while the decision was being written down.
        assert marked >= seen["next"] - 4

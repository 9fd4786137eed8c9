import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from core.kit.errors import NotFound, Unprocessable
from core.kit.ids import new_id
from core.kit.settings import Settings
from core.registry.experiments.cache import ExperimentCache
from core.registry.experiments.definition import (
    TRANSITIONS,
    ArmKind,
    Canary,
    Experiment,
    Guardrail,
    Metric,
    NewArm,
    NewExperiment,
    RampStep,
    State,
    Unit,
)
from core.registry.experiments.errors import AudienceTaken, ExperimentNameTaken, ExperimentNotFound, ExperimentState
from core.registry.experiments.exposures import exposures_of
from core.registry.experiments.service import ExperimentService
from core.registry.prompts import service as prompts
from core.registry.records import Owner
from tests.core.registry.experiments.conftest import ARMS, Make
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.tenancy import audit_trail, watch_single_statements

SERVICE = ExperimentService()


def act(tenant: Tenant, name: str, experiment: Experiment, **given: object) -> Experiment:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        found: Experiment = getattr(SERVICE, name)(session, tenant.principal, experiment.id, **given)
        return found


def actions(settings: Settings, tenant: Tenant) -> list[str]:
    return [record["action"] for record in audit_trail(settings, tenant.principal.organization_id)]


def shared_version(tenant: Tenant) -> UUID:
    with tenant.database.system() as session:
        found: UUID = session.execute(
            text("SELECT id FROM model_versions WHERE organization_id IS NULL ORDER BY id LIMIT 1")
        ).scalar_one()
        return found


def test_an_experiment_lives_and_leaves_a_trail(tenant: Tenant, make: Make, settings: Settings) -> None:
    draft = make(started=False)
    assert (draft.state, draft.allocation, draft.created_at is not None) == (State.DRAFT, 0, True)
    assert [arm.name for arm in draft.arms] == ["new", "old"]
    assert (len(draft.salt), draft.plan.horizon) == (32, 4180)
    running = act(tenant, "start", draft)
    assert (running.state, running.allocation) == (State.RUNNING, 1)
    assert running.started_at is not None
    assert act(tenant, "pause", draft, reason="a holiday").reason == "a holiday"
    assert act(tenant, "start", draft).allocation == 1
    promoted = act(tenant, "promote", draft, arm_name="new", reason="it is better")
    assert (promoted.state, promoted.promoted_arm_id) == (State.PROMOTED, promoted.arms[0].id)
    assert promoted.ended_at is not None
    assert act(tenant, "stop", draft, reason=None).state is State.STOPPED
    assert actions(settings, tenant) == [
        f"api:experiment:{name}" for name in ("create", "start", "pause", "start", "promote", "stop")
    ]


def test_no_way_leads_back_from_an_end(tenant: Tenant, make: Make) -> None:
    experiment = make()
    act(tenant, "roll_back", experiment, reason="bad")
    assert act(tenant, "roll_back", experiment, reason="twice is fine").reason == "bad"
    for name, given in (("start", {}), ("promote", {"arm_name": "new", "reason": None}), ("stop", {"reason": None})):
        with pytest.raises(ExperimentState):
            act(tenant, name, experiment, **given)
    with pytest.raises(ExperimentState):
        act(tenant, "set_weights", experiment, share=0.5)
    assert set(TRANSITIONS) == set(State)


def test_one_experiment_at_a_time_on_an_audience(tenant: Tenant, make: Make) -> None:
    make()
    with pytest.raises(ExperimentNameTaken):
        make()
    second = make(started=False, name="second")
    with pytest.raises(AudienceTaken, match="stop"):
        act(tenant, "start", second)
    # A project's own goes before its organisation's.
    assert make(name="of the project", project_id=tenant.principal.project_id).state is State.RUNNING
    assert make(name="elsewhere", capability="probe.other").state is State.RUNNING


def test_a_foreign_project_or_experiment_is_not_there(tenant: Tenant, make: Make, settings: Settings) -> None:
    stranger = new_tenant(settings)
    experiment = make()
    try:
        with pytest.raises(NotFound):
            make(name="theirs", project_id=stranger.principal.project_id)
        with pytest.raises(ExperimentNotFound):
            act(stranger, "get", experiment)
        with pytest.raises(ExperimentNotFound):
            act(stranger, "pause", experiment, reason=None)
        units = {Unit.JOB: "x"}
        with stranger.database.tenant(stranger.principal.organization_id) as session:
            principal = tenant.principal
            assert not ExperimentCache().arm_for(
                session, principal.organization_id, principal.project_id, "probe.act", units
            )
    finally:
        stranger.close()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": " "}, "name"),
        ({"arms": ARMS[:1]}, "arms"),
        ({"arms": (ARMS[0], ARMS[0])}, "arms"),
        ({"arms": (ARMS[1], ARMS[1])}, "arms"),
        ({"arms": (dataclasses.replace(ARMS[0], name="old"), ARMS[1])}, "arms"),
        ({"arms": (dataclasses.replace(ARMS[0], weight=0.4), ARMS[1])}, "arms"),
        ({"arms": (dataclasses.replace(ARMS[0], weight=float("nan")), ARMS[1])}, "arms"),
        ({"arms": (dataclasses.replace(ARMS[0], model="chat"), ARMS[1])}, "arms.0.model"),
        ({"arms": (ARMS[0], dataclasses.replace(ARMS[1], prompt_digest="ab"))}, "arms.1.prompt"),
        ({"baseline": 0.0}, "plan"),
        ({"guardrails": (Guardrail(Metric.COST, 0.5),)}, "guardrails.0.bound"),
        ({"guardrails": (Guardrail(Metric.ERROR_RATE, 1.5),)}, "guardrails.0.bound"),
        ({"guardrails": (Guardrail(Metric.COST, 2), Guardrail(Metric.COST, 3))}, "guardrails"),
        ({"ramp": (RampStep(0.5), RampStep(0.1), RampStep(1.0))}, "ramp"),
        ({"ramp": (RampStep(0.5),)}, "ramp"),
        ({"ramp": (RampStep(0.0), RampStep(1.0))}, "ramp.0.share"),
        ({"canary": Canary()}, "guardrails"),
        (
            {"canary": Canary(undecided=State.DRAFT), "guardrails": (Guardrail(Metric.COST, 2),)},
            "canary.undecided",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_the_field_named(make: Make, given: dict[str, object], field: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        make(**given)
    assert refused.value.extra["errors"][0]["path"] == f"body.{field}"


def test_an_arm_names_versions_that_exist(tenant: Tenant) -> None:
    service = ExperimentService()

    def create(name: str, **arm: Any) -> Experiment:
        arms = (dataclasses.replace(ARMS[0], **arm), ARMS[1])
        new = NewExperiment(name=name, capability="probe.act", arms=arms, baseline=0.2, minimum_lift=0.05)
        with tenant.database.tenant(tenant.principal.organization_id) as session:
            return service.create(session, tenant.principal, new)

    shared = shared_version(tenant)
    assert create("known", model="chat", model_version_id=shared).arms[0].model_version_id == shared
    with pytest.raises(Unprocessable, match="no such model version"):
        create("unknown", model="chat", model_version_id=new_id())
    owner = Owner.of(tenant.principal)
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        prompt = prompts.add(session, owner, "knowledge/answer", "Answer briefly.", takes_force=False)
    made = create("prompted", prompt=prompt.name, prompt_digest=prompt.digest)
    assert made.arms[0].prompt_digest == prompt.digest
    with pytest.raises(Unprocessable, match="no such version"):
        create("unprompted", prompt=prompt.name, prompt_digest="sha256:" + "0" * 64)


def test_a_job_keeps_its_first_arm_whatever_the_weights(tenant: Tenant, make: Make, settings: Settings) -> None:
    experiment = make(ramp=(RampStep(0.0001), RampStep(1.0)), unit=Unit.END_USER)
    single = tenant.database.single_tenant(tenant.principal.organization_id)
    principal, cache = tenant.principal, ExperimentCache()

    def arm(job_id: UUID, user: str) -> str:
        cache.evict()
        found = cache.arm_for(
            single, principal.organization_id, principal.project_id, "probe.act", {Unit.END_USER: user}
        )
        assert found is not None
        return cache.expose(single, found, project_id=principal.project_id, job_id=job_id, attempt=1).arm.name

    users = [str(number) for number in range(40)]
    jobs = {user: new_id() for user in users}
    first = {user: arm(jobs[user], user) for user in users}
    assert set(first.values()) == {"old"}
    act(tenant, "set_weights", experiment, share=1.0)
    # The retry of a job, and the next job of a user: neither changes its arm.
    assert {user: arm(jobs[user], user) for user in users} == first
    assert {user: arm(new_id(), user) for user in users} == first
    assert {arm(new_id(), f"new-{number}") for number in range(40)} == {"old", "new"}
    reported = [
        record
        for record in audit_trail(settings, principal.organization_id)
        if record["action"] == "policy:experiment:assign"
    ]
    assert len(reported) == 120
    assert reported[0]["detail"]["arm"] == "old"
    with tenant.database.tenant(principal.organization_id) as session:
        (exposure,) = exposures_of(session, principal.organization_id, jobs["0"])
        cohorts = session.execute(
            text("SELECT DISTINCT allocation, arm_id FROM experiment_exposures ORDER BY allocation")
        ).all()
    assert (exposure.experiment, exposure.arm, exposure.state) == ("test", "old", "running")
    # Users who were there before the ramp went up stay in its first cohort.
    assert [row.allocation for row in cohorts] == [1, 2, 2]


def test_two_attempts_at_once_agree(tenant: Tenant, make: Make) -> None:
    make()
    principal, job_id = tenant.principal, new_id()

    def expose(_: int) -> str:
        single, cache = tenant.database.single_tenant(principal.organization_id), ExperimentCache()
        units = {Unit.JOB: str(job_id)}
        found = cache.arm_for(single, principal.organization_id, principal.project_id, "probe.act", units)
        assert found is not None
        return cache.expose(single, found, project_id=principal.project_id, job_id=job_id).arm.name

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(expose, range(20)))) == 1


def test_a_warm_cache_asks_nothing(tenant: Tenant, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = make(
        arms=(
            NewArm(name="new", weight=0.5, model="chat", model_version_id=shared_version(tenant)),
            NewArm(name="old", weight=0.5, kind=ArmKind.CONTROL),
        )
    )
    seen = watch_single_statements(tenant.database, monkeypatch, "experiments")
    single, cache, principal = (
        tenant.database.single_tenant(tenant.principal.organization_id),
        ExperimentCache(),
        tenant.principal,
    )
    for number in range(50):
        units = {Unit.JOB: str(number)}
        found = cache.arm_for(single, principal.organization_id, principal.project_id, "probe.act", units)
        assert found is not None
        assert found.touches_model("chat")
        assert not found.touches_model("embed")
        assert not found.touches_prompt("answer")
        assert not cache.arm_for(single, principal.organization_id, principal.project_id, "probe.other", units)
    assert len(seen) == 2
    # A job without the unit's key takes no part.
    other = make(name="by user", capability="probe.other", unit=Unit.END_USER)
    cache.evict()
    units = {Unit.JOB: "x"}
    assert not cache.arm_for(single, principal.organization_id, principal.project_id, other.capability, units)
    act(tenant, "promote", experiment, arm_name="new", reason=None)
    cache.evict()
    found = cache.arm_for(single, principal.organization_id, principal.project_id, "probe.act", {})
    assert found is not None
    assert (found.arm.name, found.counts) == ("new", False)
    exposed = cache.expose(single, found, project_id=principal.project_id, job_id=new_id())
    assert exposed is found
    act(tenant, "stop", experiment, reason=None)
    cache.evict()
    assert not cache.arm_for(single, principal.organization_id, principal.project_id, "probe.act", {Unit.JOB: "x"})


def test_weights_and_shares_begin_new_allocations(tenant: Tenant, make: Make) -> None:
    experiment = make(started=False)
    assert act(tenant, "set_weights", experiment, share=0.25).allocation == 0
    running = act(tenant, "start", experiment)
    assert running.share == 0.25
    changed = act(tenant, "set_weights", experiment, weights={"new": 0.8, "old": 0.2})
    assert (changed.allocation, changed.share) == (2, 0.25)
    assert changed.weights() == {changed.arms[0].id: 0.2, changed.control.id: 0.8}
    for wrong in ({"new": 1.0}, {"new": 0.5, "old": 0.4}, {"new": 0.0, "old": 1.0}):
        with pytest.raises(Unprocessable):
            act(tenant, "set_weights", experiment, weights=wrong)
    with pytest.raises(Unprocessable):
        act(tenant, "set_weights", experiment, share=1.5)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE experiment_exposures SET arm_id = uuidv7()",
        "DELETE FROM experiment_exposures",
        "UPDATE experiment_allocations SET share = 1",
        "UPDATE experiment_arms SET model = 'x'",
        "DELETE FROM experiment_arms",
        "DELETE FROM experiments",
    ],
)
def test_what_was_exposed_is_never_rewritten(tenant: Tenant, make: Make, statement: str) -> None:
    make()
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        tenant.database.tenant(tenant.principal.organization_id) as session,
    ):
        session.execute(text(statement))

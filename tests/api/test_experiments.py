"""``/v1/experiments`` over real HTTP."""

from typing import Any

import httpx
import pytest

from core.audit.sealer import seal_once
from core.keys.roles import Role
from core.kit.ids import EXPERIMENT, JOB, PROJECT, decode, encode, new_id
from core.kit.signing import Signer
from core.registry.experiments.cache import ExperimentCache
from core.registry.experiments.definition import Unit
from core.registry.experiments.exposures import exposures_of
from core.registry.experiments.service import ExperimentService
from tests.factories.api import RunningApi, principal_of
from tests.factories.experiment_outcomes import Outcome, write_outcomes
from tests.factories.tenancy import audit_trail, role_key

pytestmark = pytest.mark.own_database

ARMS = [{"name": "old", "kind": "control", "weight": 0.5}, {"name": "new", "weight": 0.5}]
PLAN = {"baseline": 0.2, "minimum_lift": 0.05}
CONTROL = {"name": "old", "kind": "control", "weight": 1}
SHADOW = {"name": "next", "kind": "shadow", "weight": 0.1, "prompt": "p", "prompt_digest": "sha256:" + "0" * 64}
EMPTY_SHADOW = {"name": "next", "kind": "shadow", "weight": 0.1}
SHADOW_LIMITS = {"max_cost_usd": "1", "budget_usd": "10"}
BODY = {"name": "answers", "capability": "probe.act", "arms": ARMS, "plan": PLAN}


@pytest.fixture
def client(api: RunningApi) -> Any:
    """Each test is an organisation of its own."""
    with api.client(role_key(api.settings, Role.DEVELOPER)) as opened:
        yield opened


def made(client: httpx.Client, **given: object) -> dict[str, Any]:
    answer = client.post("/v1/experiments", json={**BODY, **given})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_an_experiment_is_created_started_ramped_promoted_and_stopped(client: httpx.Client) -> None:
    made_by_operator = client.get("/v1/models").json()["data"]
    version = next(model["champion_id"] for model in made_by_operator if model["name"] == "local/extractive")
    arms = [ARMS[0], {**ARMS[1], "model": "chat", "model_version_id": version}]
    body = {
        **BODY,
        "arms": arms,
        "unit": "end_user",
        "ramp": [{"share": 0.1, "hold_seconds": 60, "hold_units": 100}, {"share": 1}],
        "guardrails": [{"metric": "cost", "bound": 1.25}],
        "canary": {"window_seconds": 600},
    }
    answer = client.post("/v1/experiments", json=body, headers={"Idempotency-Key": "once"})
    assert answer.status_code == 201, answer.text
    draft = answer.json()
    assert answer.headers["location"] == f"/v1/experiments/{draft['id']}"
    again = client.post("/v1/experiments", json=body, headers={"Idempotency-Key": "once"})
    assert (again.json()["id"], again.headers["idempotent-replayed"]) == (draft["id"], "true")
    assert [(arm["name"], arm["weight_now"]) for arm in draft["arms"]] == [("new", 0.05), ("old", 0.95)]
    assert draft["arms"][0]["model_version_id"] == version
    assert (draft["plan"]["units_control"], draft["plan"]["fixed_units"]) == (2090, 2182)
    assert draft["canary"] == {"window_seconds": 600, "units_max": 10_000, "undecided": "rolled_back"}
    assert "salt" not in answer.text
    path = f"/v1/experiments/{draft['id']}"
    running = client.post(f"{path}/start").json()
    assert (running["state"], running["allocation"], running["share"]) == ("running", 1, 0.1)
    ramped = client.put(f"{path}/weights", json={"share": 0.5}).json()
    assert (ramped["allocation"], ramped["arms"][0]["weight_now"]) == (2, 0.25)
    divided = client.put(f"{path}/weights", json={"weights": {"new": 0.2, "old": 0.8}, "share": 1}).json()
    assert [arm["weight_now"] for arm in divided["arms"]] == [0.2, 0.8]
    assert client.post(f"{path}/pause", json={"reason": "a holiday"}).json()["reason"] == "a holiday"
    promoted = client.post(f"{path}/promote", json={"arm": "new"}).json()
    assert (promoted["state"], promoted["promoted_arm"]) == ("promoted", "new")
    assert client.post(f"{path}/start").json()["code"] == "experiment_state"
    second = made(client, name="second")
    taken = client.post(f"/v1/experiments/{second['id']}/start")
    assert (taken.status_code, taken.json()["code"]) == (409, "experiment_audience_taken")
    assert client.post(f"{path}/stop", json={}).json()["state"] == "stopped"
    assert client.post(f"/v1/experiments/{second['id']}/start").json()["state"] == "running"
    rolled = client.post(f"/v1/experiments/{second['id']}/rollback", json={"reason": "bad"}).json()
    assert (rolled["state"], rolled["reason"]) == ("rolled_back", "bad")
    assert client.get(path).json()["state"] == "stopped"
    page = client.get("/v1/experiments", params={"limit": 1}).json()
    assert [each["name"] for each in page["data"]] == ["second"]
    following = client.get("/v1/experiments", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [each["name"] for each in following["data"]] == ["answers"]
    assert client.get("/v1/experiments", params={"state": "running"}).json()["data"] == []
    assert client.post("/v1/experiments", json=BODY).json()["code"] == "experiment_name_taken"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"capability": "probe.nothing"}, "body.capability"),
        ({"name": "\x07"}, "body.name"),
        ({"project_id": "prj_nonsense"}, "body.project_id"),
        ({"arms": ARMS[:1]}, "body.arms"),
        ({"arms": [ARMS[0], {**ARMS[1], "weight": 0.4}]}, "body.arms"),
        ({"arms": [ARMS[0], {**ARMS[1], "weight": 0}]}, "body.arms.1.weight"),
        ({"arms": [ARMS[0], {**ARMS[1], "model": "m", "model_version_id": "x"}]}, "body.arms.1.model_version_id"),
        ({"arms": [ARMS[0], {**ARMS[1], "prompt": "p", "prompt_digest": "x"}]}, "body.arms.1.prompt_digest"),
        ({"plan": {"baseline": 0.5, "minimum_lift": 0.5}}, "body.plan"),
        ({"plan": {"baseline": 1.5, "minimum_lift": 0.1}}, "body.plan.baseline"),
        ({"guardrails": [{"metric": "mood", "bound": 1}]}, "body.guardrails.0.metric"),
        ({"guardrails": [{"metric": "cost", "bound": 0.5}]}, "body.guardrails.0.bound"),
        ({"canary": {}}, "body.guardrails"),
        ({"arms": [CONTROL, SHADOW]}, "body.shadow"),
        ({"arms": [CONTROL, {**SHADOW, "weight": 1.5}], "shadow": SHADOW_LIMITS}, "body.arms.1.weight"),
        (
            {"arms": [CONTROL, EMPTY_SHADOW], "shadow": SHADOW_LIMITS},
            "body.arms.1.model",
        ),
        ({"arms": [CONTROL, SHADOW], "shadow": {**SHADOW_LIMITS, "budget_usd": "0.5"}}, "body.shadow.budget_usd"),
        ({"arms": [CONTROL, SHADOW], "shadow": {**SHADOW_LIMITS, "max_cost_usd": 1}}, "body.shadow.max_cost_usd"),
        ({"arms": [CONTROL, SHADOW], "shadow": SHADOW_LIMITS, "ramp": [{"share": 1}]}, "body.ramp"),
        ({"arms": [CONTROL, SHADOW], "shadow": SHADOW_LIMITS, "capability": "other.act"}, "body.arms.1.kind"),
        ({"shadow": SHADOW_LIMITS}, "body.shadow"),
        ({"salt": "mine"}, "body.salt"),
    ],
)
def test_bad_input_names_the_field(client: httpx.Client, change: dict[str, object], path: str) -> None:
    refused = client.post("/v1/experiments", json={**BODY, **change})
    assert refused.status_code == 422, refused.text
    assert path in [error["path"] for error in refused.json()["errors"]], refused.text


def test_shadows_stand_apart_from_what_is_served(client: httpx.Client) -> None:
    models = client.get("/v1/models").json()["data"]
    version = next(model["champion_id"] for model in models if model["name"] == "local/extractive")
    shadow = {"name": "next", "kind": "shadow", "weight": 0.1, "model": "chat", "model_version_id": version}
    draft = made(client, arms=[CONTROL, shadow], shadow=SHADOW_LIMITS)
    assert [(arm["name"], arm["kind"], arm["weight_now"]) for arm in draft["arms"]] == [
        ("old", "control", 1.0),
        ("next", "shadow", 0.1),
    ]
    assert draft["shadow"] == {"max_cost_usd": "1.00", "budget_usd": "10.00"}
    path = f"/v1/experiments/{draft['id']}"
    assert client.post(f"{path}/start").json()["state"] == "running"
    found = client.get(f"{path}/results").json()
    assert [arm["arm"] for arm in found["arms"]] == ["old"]
    (shown,) = found["shadows"]
    assert (shown["arm"], shown["sampled"], shown["dropped"]) == ("next", 0, {})
    assert shown["cost"] == {
        "shadow_mean": None,
        "shown_mean": None,
        "difference": {"estimate": None, "low": None, "high": None, "units": 0},
    }
    assert client.get("/v1/jobs", params={"shadows": True}).json()["data"] == []


def test_what_is_not_there_is_not_found(client: httpx.Client) -> None:
    unknown = encode(EXPERIMENT, new_id())
    for answer in (
        client.get(f"/v1/experiments/{unknown}"),
        client.get("/v1/experiments/exp_nonsense"),
        client.get(f"/v1/experiments/{unknown}/results"),
        client.post(f"/v1/experiments/{unknown}/start"),
        client.put(f"/v1/experiments/{unknown}/weights", json={"share": 1}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "experiment_not_found")
    answer = client.post("/v1/experiments", json={**BODY, "project_id": encode(PROJECT, new_id())})
    assert (answer.status_code, answer.json()["code"]) == (404, "project_not_found")
    draft = made(client, name="to be weighed")
    assert client.put(f"/v1/experiments/{draft['id']}/weights", json={}).status_code == 422
    refused = client.post(f"/v1/experiments/{draft['id']}/promote", json={"arm": "nobody"})
    assert refused.json()["errors"][0]["path"] == "body.arm"


def test_results_come_with_intervals_and_null_where_nothing_is_known(
    api: RunningApi, client: httpx.Client, database_url: str
) -> None:
    draft = made(client)
    client.post(f"/v1/experiments/{draft['id']}/start")
    path = f"/v1/experiments/{draft['id']}/results"
    empty = client.get(path).json()
    assert empty["progress"] == {"units": 0, "units_planned": 4180, "share": 0.0}
    assert empty["arms"][0]["means"]["cost"] == {"estimate": None, "low": None, "high": None, "units": 0}
    key = role_key(api.settings, Role.OWNER)
    principal = principal_of(key)
    with api.client(key) as owner:
        mine = made(owner)
        owner.post(f"/v1/experiments/{mine['id']}/start")
        with api.runtime.database.tenant(principal.organization_id) as session:
            experiment = ExperimentService().get(session, principal, decode(EXPERIMENT, mine["id"]))
        for arm, failures in zip(experiment.arms, (30, 100), strict=True):
            ends = [Outcome("failed")] * failures + [Outcome(score=0.5)] * (200 - failures)
            write_outcomes(database_url, experiment, arm, ends)
        found = owner.get(f"/v1/experiments/{mine['id']}/results").json()
    assert [arm["arm"] for arm in found["arms"]] == ["new", "old"]
    success = found["arms"][0]["means"]["success"]
    assert (success["estimate"], success["units"]) == (0.85, 200)
    assert 0.7 < success["low"] < 0.85 < success["high"] < 0.95
    assert found["comparisons"][0]["verdict"] == "better"
    difference = found["comparisons"][0]["differences"]["success"]
    assert (round(difference["estimate"], 6), difference["is_significant"]) == (0.35, True)
    assert found["arms"][0]["means"]["cost"]["low"] == 0.0
    assert found["sample_ratio"]["is_mismatched"] is False


def test_the_trail_names_who_did_what(api: RunningApi) -> None:
    key = role_key(api.settings, Role.OPERATOR)
    with api.client(key) as client:
        draft = made(client)
        client.post(f"/v1/experiments/{draft['id']}/start")
    reported = [record for record in audit_trail(api.settings, key.organization_id) if "experiment" in record["action"]]
    assert [record["action"] for record in reported] == ["api:experiment:create", "api:experiment:start"]
    assert {record["actor_kind"] for record in reported} == {"key"}
    assert reported[0]["subject_id"] == draft["id"]
    assert reported[0]["detail"]["units"] == 4180


def test_the_waybill_of_a_job_names_the_arm_that_it_had(api: RunningApi) -> None:
    key = role_key(api.settings, Role.DEVELOPER)
    principal, runtime = principal_of(key), api.runtime
    with api.client(key) as client:
        experiment = made(client)
        client.post(f"/v1/experiments/{experiment['id']}/start")
        job = client.post("/v1/jobs", json={"capability": "probe.act", "input": {"act": "noop"}}).json()["id"]
        cache, job_id = ExperimentCache(), decode(JOB, job)
        single = runtime.database.single_tenant(principal.organization_id)
        organization_id, project_id = principal.organization_id, principal.project_id
        found = cache.arm_for(single, organization_id, project_id, "probe.act", {Unit.JOB: job})
        assert found is not None
        exposed = cache.expose(single, found, project_id=project_id, job_id=job_id, attempt=1)
        client.post(f"/v1/jobs/{job}/cancel")
        client.post(f"/v1/experiments/{experiment['id']}/rollback", json={"reason": "it fails too often"})
        seal_once(runtime.database, Signer.from_settings(api.settings))
        waybill = client.get(f"/v1/jobs/{job}/waybill").json()
    (decision,) = [each for each in waybill["policy_decisions"] if each["action"] == "policy:experiment:assign"]
    assert decision["detail"]["experiment"] == experiment["id"]
    assert decision["detail"]["arm"] == exposed.arm.name
    (exposure,) = exposures_of(single, organization_id, job_id)
    assert (exposure.state, exposure.reason) == ("rolled_back", "it fails too often")

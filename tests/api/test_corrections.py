"""Corrections over real HTTP: a new line that everything which adds up follows."""

import httpx
import pytest

from core.keys.roles import Role
from core.keys.service import IssuedKey
from core.kit.ids import JOB, decode
from core.kit.money import to_money
from core.ledger import service as ledger
from core.ledger.invariants import check_invariants
from core.ledger.records import CallIdentity, Settlement, Unit
from tests.factories.api import RunningApi
from tests.factories.attempts import attempt as driven
from tests.factories.tenancy import audit_trail, role_key

NOOP = {"capability": "probe.act", "input": {"act": "noop"}}


@pytest.fixture(scope="module")
def key(api: RunningApi) -> IssuedKey:
    return role_key(api.settings, Role.OWNER, organization="corrected")


def paid_job(api: RunningApi, client: httpx.Client) -> str:
    """An ended job whose one call cost 60 cents."""
    job = str(client.post("/v1/jobs", json=NOOP).json()["id"])
    with driven(api.settings, job) as attempt:
        single = api.runtime.database.single_tenant(attempt.context.organization_id)
        call = CallIdentity(decode(JOB, job), 1, 1)
        ledger.begin_call(single, call, bound_usd=to_money("1"), provider="acme", model="large")
        amount = to_money("0.6")
        ledger.settle_call(single, call, Settlement(amount, {Unit.INPUT_TOKENS: 10}, {Unit.INPUT_TOKENS: amount}), {})
        attempt.succeed(said="done", note="")
    return job


def test_a_correction_is_a_line_and_job_budget_alerts_and_reports_follow(api: RunningApi, key: IssuedKey) -> None:
    with api.client(key) as client:
        budget = client.post("/v1/budgets", json={"name": "all", "limit_usd": "1.00"}).json()["id"]
        job = paid_job(api, client)
        crossed = client.get(f"/v1/budgets/{budget}/alerts").json()
        assert [(each["threshold"], each["spent_usd"]) for each in crossed["data"]] == [(50, "0.60")]
        body = {"attempt": 1, "call": 1, "amount_usd": "-0.1", "reason": "invoice 7 says 0.50"}
        path = f"/v1/jobs/{job}/cost/corrections"
        made = client.post(path, json=body, headers={"Idempotency-Key": "once"})
        assert made.status_code == 201, made.text
        assert client.post(path, json=body, headers={"Idempotency-Key": "once"}).json() == made.json()
        cost = client.get(f"/v1/jobs/{job}/cost").json()
        assert cost == made.json()
        assert cost["cost_usd"] == client.get(f"/v1/jobs/{job}").json()["cost_usd"] == "0.50"
        last = cost["lines"][-1]
        assert (last["kind"], last["entry"], last["amount_usd"]) == ("correction", 2, "-0.10")
        assert last["reason"] == "invoice 7 says 0.50"
        assert client.get(f"/v1/budgets/{budget}").json()["balance"]["spent_usd"] == "0.50"
        assert client.post(path, json={**body, "amount_usd": "0.4"}).json()["cost_usd"] == "0.90"
        crossed = client.get(f"/v1/budgets/{budget}/alerts", params={"limit": 1}).json()
        assert [each["threshold"] for each in crossed["data"]] == [80]
        following = client.get(f"/v1/budgets/{budget}/alerts", params={"cursor": crossed["next_cursor"]}).json()
        assert [each["threshold"] for each in following["data"]] == [50]
    records = [row for row in audit_trail(api.settings, key.organization_id) if row["action"] == "api:ledger:correct"]
    assert [(row["subject_id"], row["detail"]["amount_usd"]) for row in records] == [(job, "-0.10"), (job, "0.40")]
    with api.runtime.database.system() as session:
        assert check_invariants(session) == []


@pytest.mark.parametrize(
    ("change", "status", "reported"),
    [
        ({"amount_usd": "-0.600000001"}, 422, "body.amount_usd"),
        ({"amount_usd": "0"}, 422, "body.amount_usd"),
        ({"amount_usd": -0.1}, 422, "body.amount_usd"),
        ({"reason": " "}, 422, "body.reason"),
        ({"call": 0}, 422, "body.call"),
        ({"call": 2}, 404, "call_not_found"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(
    api: RunningApi, change: dict[str, object], status: int, reported: str
) -> None:
    with api.client(role_key(api.settings, Role.ADMIN, organization="mistaken")) as client:
        job = paid_job(api, client)
        body = {"attempt": 1, "call": 1, "amount_usd": "-0.1", "reason": "a mistake", **change}
        refused = client.post(f"/v1/jobs/{job}/cost/corrections", json=body)
        assert refused.status_code == status, refused.text
        problem = refused.json()
        assert reported in {problem["code"], *(error["path"] for error in problem.get("errors", ()))}
        assert client.get(f"/v1/jobs/{job}/cost").json()["cost_usd"] == "0.60"


def test_a_developer_may_not_correct(api: RunningApi) -> None:
    developer = role_key(api.settings, Role.DEVELOPER, organization="corrected")
    with api.client(developer) as client:
        job = client.post("/v1/jobs", json=NOOP).json()["id"]
        body = {"attempt": 1, "call": 1, "amount_usd": "-0.1", "reason": "greed"}
        refused = client.post(f"/v1/jobs/{job}/cost/corrections", json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")

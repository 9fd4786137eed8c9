"""Unknown is never zero: a model without a price is shown as not priced, and no limit takes it for nothing."""

from decimal import Decimal

import httpx
import pytest
from typer.testing import CliRunner

from core.capability import ModelRef, ModelUsage
from core.jobs.receipts.checks import _money
from core.kit.errors import CapabilityFailure
from tests.factories.api import RunningApi, issue_key
from tests.factories.attempts import attempt
from waybill.cli.main import app

JOB = {"capability": "probe.act", "input": {"act": "noop"}}
DEAR = ModelRef("openai-compatible", "nobody-priced-this")
FREE = ModelRef("local", "local/probe")
USED = {"input_tokens": 10, "output_tokens": 20}


def run(api: RunningApi, client: httpx.Client, *models: ModelRef) -> str:
    """A job that has called these models."""
    made = client.post("/v1/jobs", json=JOB)
    assert made.status_code == 202, made.text
    job_id = str(made.json()["id"])
    with attempt(api.settings, job_id) as running:
        for model in models:
            with running.context.call_model(model, USED) as call:
                call.report(ModelUsage(model.name, USED))
        running.context.wait_settled()
        running.succeed()
    return job_id


def test_a_model_without_a_price_is_not_priced_wherever_its_cost_is_shown(api: RunningApi) -> None:
    with api.client(issue_key(api.settings, organization="unpriced")) as client:
        job_id = run(api, client, DEAR)
        job = client.get(f"/v1/jobs/{job_id}").json()
        assert (job["cost_usd"], job["total_cost_usd"], job["priced"]) == (None, None, False)
        assert (job["usage"][0]["cost_usd"], job["usage"][0]["priced"]) == (None, False)
        cost = client.get(f"/v1/jobs/{job_id}/cost").json()
        assert (cost["cost_usd"], cost["total_cost_usd"], cost["priced"]) == (None, None, False)
        assert [(line["amount_usd"], line["priced"]) for line in cost["lines"]] == [("0.00", True), (None, False)]
        receipt = client.get(f"/v1/jobs/{job_id}/waybill").json()
        assert (receipt["costs"]["total_usd"], receipt["costs"]["priced"]) == (None, False)
        assert [(model["cost_usd"], model["priced"]) for model in receipt["models"]] == [(None, False)]
        found = _money(receipt)
        assert (found.holds, "without 1 not priced" in found.text) == (None, True)
        report = client.get("/v1/costs", params={"group_by": "model"}).json()
        assert [(line["amount_usd"], line["unpriced_calls"]) for line in report["data"]] == [(None, 1)]
        assert (report["total"]["amount_usd"], report["total"]["unpriced_calls"]) == (None, 1)
        table = client.get("/v1/costs", params={"group_by": "model"}, headers={"accept": "text/csv"}).text
        assert table.splitlines()[1].split(",")[2:] == ["", "0", "0", "1", "1", "1"]
        environment = {"WAYBILL_URL": api.url, "WAYBILL_API_KEY": client.headers["authorization"].split()[1]}
        for command in (["costs", "report", "--group-by", "model"], ["jobs", "list"], ["jobs", "get", job_id]):
            shown = CliRunner().invoke(app, command, env=environment)
            assert shown.exit_code == 0, shown.output
            assert "not priced" in shown.output or "cost_usd" in shown.output, command


def test_what_is_known_is_shown_with_what_is_not(api: RunningApi) -> None:
    with api.client(issue_key(api.settings, organization="partly")) as client:
        price = {"provider": "openai", "model": "priced", "unit": "input_tokens", "usd_per_unit": "0.1"}
        for unit in ("input_tokens", "output_tokens"):
            client.post("/v1/prices", json={**price, "unit": unit}).raise_for_status()
        job = client.get(f"/v1/jobs/{run(api, client, ModelRef('openai', 'priced'), DEAR, FREE)}").json()
        assert (job["cost_usd"], job["priced"]) == ("3.00", False)
        assert [line["cost_usd"] for line in job["usage"]] == ["3.00", None, "0.00"]
        priced = client.get(f"/v1/jobs/{run(api, client, FREE)}").json()
        assert (priced["cost_usd"], priced["priced"]) == ("0.00", True)
        report = client.get("/v1/costs").json()["total"]
        assert (report["amount_usd"], report["unpriced_calls"]) == ("3.00", 1)


@pytest.mark.parametrize("bound", ["budget", "cap"])
def test_no_limit_that_must_hold_takes_a_call_without_a_price_for_nothing(api: RunningApi, bound: str) -> None:
    with api.client(issue_key(api.settings, organization=f"held-by-{bound}")) as client:
        if bound == "budget":
            client.post("/v1/budgets", json={"name": "hard", "limit_usd": "5"}).raise_for_status()
        more = {"max_cost_usd": "1"} if bound == "cap" else {}
        job_id = client.post("/v1/jobs", json={**JOB, **more}).json()["id"]
        with attempt(api.settings, job_id) as running:
            with (
                pytest.raises(CapabilityFailure, match="waybill prices set openai-compatible") as refused,
                running.context.call_model(DEAR, USED),
            ):
                pass
            assert refused.value.code == "price_unknown"
            with running.context.call_model(FREE, USED):
                pass
            running.succeed()


def test_a_budget_that_is_overspent_refuses_at_submit_and_is_named(api: RunningApi) -> None:
    with api.client(issue_key(api.settings, organization="overspent")) as client:
        for unit in ("input_tokens", "output_tokens"):
            price = {"provider": "openai", "model": "priced", "unit": unit, "usd_per_unit": "0.1"}
            client.post("/v1/prices", json=price).raise_for_status()
        run(api, client, ModelRef("openai", "priced"))
        budget = client.post("/v1/budgets", json={"name": "everything", "limit_usd": "1", "on_exhaustion": "pause"})
        # What was spent before a budget was made is not in it.
        run(api, client, FREE)
        client.post(f"/v1/budgets/{budget.json()['id']}/archive").raise_for_status()
        budget = client.post("/v1/budgets", json={"name": "again", "limit_usd": "5"}).json()
        run(api, client, ModelRef("openai", "priced"))
        client.patch(f"/v1/budgets/{budget['id']}", json={"limit_usd": "2"}).raise_for_status()
        refused = client.post("/v1/jobs", json=JOB)
        body = refused.json()
        assert (refused.status_code, body["code"], body["name"]) == (402, "budget_exhausted", "again")
        assert (body["budget"], body["limit"], body["spent"]) == (budget["id"], "2.00", "3.00")
        assert "'again'" in body["detail"]
        assert "needed" not in body["detail"]
        client.patch(f"/v1/budgets/{budget['id']}", json={"limit_usd": "10"}).raise_for_status()
        assert client.post("/v1/jobs", json=JOB).status_code == 202
        assert Decimal(client.get("/v1/costs").json()["total"]["amount_usd"]) == Decimal(6)

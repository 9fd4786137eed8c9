from decimal import Decimal

import httpx

from core.kit.ids import JOB, encode, new_id
from tests.factories.api import RunningApi
from tests.factories.attempts import attempt

NOOP = {"capability": "probe.act", "input": {"act": "noop"}, "max_cost_usd": "2.50"}


def test_a_jobs_lines_say_what_each_call_cost(api: RunningApi, client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json=NOOP).json()
    assert job["max_cost_usd"] == "2.50"
    with attempt(api.settings, job["id"]) as running:
        with running.context.step("think"), running.context.call_model("local/probe", {"output_tokens": 9}):
            pass
        running.succeed()
    cost = client.get(f"/v1/jobs/{job['id']}/cost").json()
    assert (cost["job_id"], cost["max_cost_usd"]) == (job["id"], "2.50")
    intent, settled = cost["lines"]
    assert (intent["kind"], intent["quantities"], intent["amount_usd"]) == ("intent", {}, "0.00")
    assert (settled["kind"], settled["step"], settled["quantities"]) == ("settlement", "think", {"output_tokens": 9})
    # Nothing was reported, so that the call is taken to have used all it could.
    assert (settled["estimated"], settled["reason"]) == (True, "nothing_reported")
    assert sum(Decimal(line["amount_usd"]) for line in cost["lines"]) == Decimal(cost["cost_usd"])
    ended = client.get(f"/v1/jobs/{job['id']}").json()
    assert ended["cost_usd"] == cost["cost_usd"]
    assert [line["call"] for line in ended["usage"]] == [1]


def test_a_job_that_is_not_there_has_no_cost(client: httpx.Client) -> None:
    refused = client.get(f"/v1/jobs/{encode(JOB, new_id())}/cost")
    assert (refused.status_code, refused.json()["code"]) == (404, "job_not_found")


def test_what_a_job_may_cost_is_text(client: httpx.Client) -> None:
    for wrong in (0.5, "0", "-1", "1e3", "1.0000000001"):
        refused = client.post("/v1/jobs", json={**NOOP, "max_cost_usd": wrong})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["path"] == "body.max_cost_usd"

"""Limits over real HTTP: rates and their headers, quotas at submit, the resource, and Redis away."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import pytest

from api.limits.gate import PATIENCE_SECONDS
from core.kit.ids import KEY, ORGANIZATION, PROJECT, encode
from core.kit.settings import Settings
from core.limits.cache import LimitCache
from tests.factories.api import RunningApi, issue_key, principal_of, running_api, start_api
from tests.factories.tenancy import audit_trail, watch_single_statements
from tests.factories.waiting import wait_until
from waybill.stack.valkey import EmbeddedValkey

# The same in every test process, because the test's name holds it.
UNKNOWN_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
NOOP = {"capability": "probe.act", "input": {"act": "noop"}}


def states(answer: httpx.Response) -> dict[str, tuple[int, int]]:
    """What ``RateLimit`` says: remaining requests and seconds to a full bucket, by policy."""
    found = re.findall(r'"(\w+)";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
    return {name: (int(remaining), int(seconds)) for name, remaining, seconds in found}


def test_every_authenticated_answer_reports_the_rates(client: httpx.Client, api: RunningApi) -> None:
    for path in ("/v1/limits", "/v1/jobs", "/v1/jobs/job_nonsense", "/v1/limits?limit=no"):
        answer = client.get(path)
        assert answer.headers["ratelimit-policy"] == '"key";q=60000;w=60'
        assert states(answer)["key"][0] > 50_000
    with api.client(issue_key(api.settings, scopes=("jobs:read",))) as narrow:
        refused = narrow.get("/v1/limits")
        assert (refused.status_code, states(refused)["key"]) == (403, (59_999, 1))
    with api.client("") as anonymous:
        assert "ratelimit" not in anonymous.get("/v1/limits").headers


def test_a_burst_is_cut_at_the_rate_that_is_named(api: RunningApi) -> None:
    key = issue_key(api.settings, organization="bursty")
    shown, project = encode(KEY, key.id), encode(PROJECT, key.project_id)
    with api.client(key) as client:
        client.put(f"/v1/limits/{shown}/requests_per_minute", json={"value": 30}).raise_for_status()
        client.put(f"/v1/limits/{project}/requests_per_minute", json={"value": 500}).raise_for_status()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.get("/v1/jobs"), range(60)))
        passed = [answer for answer in answers if answer.status_code == 200]
        # The bucket holds 30, two of which the setting took, and half of one comes back in a second.
        assert 28 <= len(passed) <= 31
        refused = next(answer for answer in answers if answer.status_code != 200)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.json()["limit"] == {
            "scope": "key",
            "scope_id": shown,
            "kind": "requests_per_minute",
            "value": 30,
        }
        assert 1 <= int(refused.headers["retry-after"]) <= 3
        assert refused.headers["ratelimit-policy"] == '"key";q=30;w=60, "project";q=500;w=60'
        assert states(refused)["key"][0] == 0
        assert states(refused)["project"][0] >= 460, "the refused ones were not charged to the project"
        time.sleep(int(refused.headers["retry-after"]))
        assert client.get("/v1/jobs").status_code == 200


def test_a_warm_request_asks_postgres_nothing_about_limits(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    with api.client() as client:
        client.post("/v1/jobs", json=NOOP).raise_for_status()
        asked = watch_single_statements(api.runtime.database, monkeypatch, "limits")
        for _ in range(10):
            client.post("/v1/jobs", json=NOOP).raise_for_status()
        # Those of two seconds ago may have been forgotten once meanwhile; nothing is admitted where no quota is set.
        assert len(asked) <= 1
        assert not any("limits_admit" in each for each in asked)


def test_limits_are_set_read_changed_and_removed(api: RunningApi) -> None:
    key = issue_key(api.settings, organization="resourceful")
    organization, project, own = (
        encode(ORGANIZATION, key.organization_id),
        encode(PROJECT, key.project_id),
        encode(KEY, key.id),
    )
    with api.client(key) as client:
        [default] = client.get("/v1/limits").json()["data"]
        assert (default["kind"], default["value"], default["is_default"]) == ("requests_per_minute", 60_000, True)
        made = client.put("/v1/limits/organization/cost_per_month", json={"value": "25.5"})
        assert made.status_code == 200, made.text
        assert (made.json()["scope_id"], made.json()["value"], made.json()["used"]) == (organization, "25.50", "0.00")
        assert made.json()["period_start"].endswith("-01T00:00:00.000000Z")
        client.post("/v1/jobs", json=NOOP).raise_for_status()
        jobs = client.put(f"/v1/limits/{project}/jobs_per_day", json={"value": 7}).json()
        assert (jobs["value"], jobs["used"]) == (7, 1), "the day's jobs before it was set count"
        client.post("/v1/jobs", json=NOOP).raise_for_status()
        client.put(f"/v1/limits/{own}/concurrent_jobs", json={"value": 2}).raise_for_status()
        inforce = client.get("/v1/limits").json()["data"]
        assert [(each["scope"], each["kind"], each["used"]) for each in inforce] == [
            ("organization", "cost_per_month", "0.00"),
            ("project", "jobs_per_day", 2),
            ("key", "concurrent_jobs", 0),
            ("key", "requests_per_minute", None),
        ]
        assert [each["kind"] for each in client.get(f"/v1/limits/{project}").json()["data"]] == ["jobs_per_day"]
        first = client.get("/v1/limits", params={"all": True, "limit": 2}).json()
        rest = client.get("/v1/limits", params={"all": True, "cursor": first["next_cursor"]}).json()
        assert [each["kind"] for each in first["data"] + rest["data"]] == [
            "concurrent_jobs",
            "jobs_per_day",
            "cost_per_month",
        ]
        assert client.delete(f"/v1/limits/{project}/jobs_per_day").json()["value"] == 7
        assert client.delete(f"/v1/limits/{project}/jobs_per_day").json()["code"] == "limit_not_found"
    acts = [row["action"] for row in audit_trail(api.settings, key.organization_id) if ":limit:" in row["action"]]
    assert acts == ["api:limit:set"] * 3 + ["api:limit:remove"]


def test_no_tenant_lifts_the_operators_rate(settings: Settings) -> None:
    lowered = settings.model_copy(update={"requests_per_minute": 5000})
    with running_api(lowered) as api, api.client() as client:
        own = f"/v1/limits/{encode(KEY, api.key.id)}/requests_per_minute"
        refused = client.put(own, json={"value": 5001})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "limit_above_ceiling")
        assert "5000" in refused.json()["detail"]
        assert client.put(own, json={"value": 5000}).status_code == 200
        # A wider bound of the project's takes nothing away from the key's.
        project = encode(PROJECT, api.key.project_id)
        client.put(f"/v1/limits/{project}/requests_per_minute", json={"value": 900_000}).raise_for_status()
        api.runtime.limit_cache.evict()
        assert '"key";q=5000' in client.get("/v1/jobs").headers["ratelimit-policy"]
    # The operator's comes down below what was set before.
    with running_api(settings.model_copy(update={"requests_per_minute": 4000})) as api:
        with api.client() as client:
            client.put(f"/v1/limits/{encode(KEY, api.key.id)}/requests_per_minute", json={"value": 4000})
        limits = LimitCache(settings.model_copy(update={"requests_per_minute": 3000}))
        database = api.runtime.database
        found = limits.read(database.single_tenant(api.key.organization_id), principal_of(api.key))
        assert {bucket.scope: bucket.per_minute for bucket in found.buckets}["key"] == 3000


@pytest.mark.parametrize(
    ("path", "value", "status", "code"),
    [
        ("organization/jobs_per_day", -1, 422, "validation_error"),
        ("organization/jobs_per_day", 1.5, 422, "validation_error"),
        ("organization/jobs_per_day", "5", 422, "limit_value_invalid"),
        ("organization/cost_per_day", 5, 422, "limit_value_invalid"),
        ("organization/cost_per_day", "5.0000000001", 422, "validation_error"),
        ("organization/requests_per_minute", 0, 422, "limit_value_invalid"),
        ("organization/jobs_per_week", 1, 422, "validation_error"),
        ("everybody/jobs_per_day", 1, 404, "scope_not_found"),
        ("prj_nonsense/jobs_per_day", 1, 404, "project_not_found"),
        (f"{encode(KEY, UNKNOWN_ID)}/jobs_per_day", 1, 404, "key_not_found"),
        (f"{encode(ORGANIZATION, UNKNOWN_ID)}/jobs_per_day", 1, 404, "organization_not_found"),
    ],
)
def test_bad_input_says_what_is_wrong(client: httpx.Client, path: str, value: object, status: int, code: str) -> None:
    refused = client.put(f"/v1/limits/{path}", json={"value": value})
    body = refused.json()
    assert refused.status_code == status, refused.text
    assert code in {body["code"], *(each["code"] for each in body.get("errors") or ())}


def test_a_used_up_quota_is_reported_and_a_retry_counts_nothing(api: RunningApi) -> None:
    with api.client(issue_key(api.settings, organization="quota")) as client:
        client.put("/v1/limits/organization/jobs_per_day", json={"value": 2}).raise_for_status()
        for _ in range(3):
            client.post("/v1/jobs", json=NOOP, headers={"Idempotency-Key": "one"}).raise_for_status()
        client.post("/v1/jobs", json=NOOP).raise_for_status()
        for headers in ({}, {"Idempotency-Key": "two"}):
            refused = client.post("/v1/jobs", json=NOOP, headers=headers)
            body = refused.json()
            assert (refused.status_code, body["code"]) == (403, "quota_exceeded")
            assert (body["limit"]["kind"], body["limit"]["value"], body["used"]) == ("jobs_per_day", 2, 2)
            assert body["limit"]["scope_id"].startswith("org_")
            assert body["resets_at"] > body["period_start"]
        client.put("/v1/limits/organization/jobs_per_day", json={"value": 3}).raise_for_status()
        client.post("/v1/jobs", json=NOOP).raise_for_status()


@pytest.mark.survive("P3")
def test_without_redis_rates_hold_in_this_process_and_quotas_exactly(
    settings: Settings, valkey: EmbeddedValkey
) -> None:
    key = issue_key(settings, organization="darkness")
    with running_api(settings) as api, api.client(key) as client:
        own = encode(KEY, key.id)
        client.put(f"/v1/limits/{own}/requests_per_minute", json={"value": 40}).raise_for_status()
        client.put("/v1/limits/organization/jobs_per_day", json={"value": 10}).raise_for_status()
        before = states(client.get("/v1/jobs"))["key"][0]
        valkey.stop()
        began = time.monotonic()
        answers = [client.post("/v1/jobs", json=NOOP) for _ in range(45)]
        assert time.monotonic() - began < 45 * PATIENCE_SECONDS / 2, "a dead Redis does not cost each a timeout"
        counts = {status: [a.status_code for a in answers].count(status) for status in (202, 403, 429)}
        assert counts[202] == 10, "the quota is exact"
        assert before - 1 <= counts[202] + counts[403] <= before + 3, "memory goes on where Redis was"
        assert counts[429] == 45 - counts[202] - counts[403]
        assert {a.json()["code"] for a in answers if a.status_code == 403} == {"quota_exceeded"}
        valkey.start()
        wait_until(lambda: api.runtime.rates._probing is None, timeout_seconds=10, what="Redis to be asked again")
        assert states(client.get("/v1/jobs"))["key"][0] >= 30, "Redis, which lost its data, counts again"


def test_no_default_means_no_headers_and_no_call(settings: Settings) -> None:
    changed = settings.model_copy(update={"requests_per_minute": 0})
    key = issue_key(settings, organization="boundless")
    with running_api(changed) as api, api.client(key) as client:
        answer = client.get("/v1/limits")
        assert answer.json()["data"] == []
        assert "ratelimit" not in answer.headers
        assert api.runtime.rates._redis is None


def test_requests_that_do_not_wait_for_redis_are_charged_there_too(fresh_api: RunningApi) -> None:
    with fresh_api.client() as client, ThreadPoolExecutor(4) as pool:
        own = encode(KEY, fresh_api.key.id)
        client.put(f"/v1/limits/{own}/requests_per_minute", json={"value": 2000}).raise_for_status()
        began = time.monotonic()
        list(pool.map(lambda _: client.get("/v1/limits"), range(200)))
        wait_until(lambda: not fresh_api.runtime.rates._waiting, timeout_seconds=5, what="the requests to be charged")
        # 200 requests fill 6 s of the bucket; it has drained since they began.
        left_ms = fresh_api.runtime.redis.pttl(fresh_api.settings.key("rate", own))
        assert left_ms >= 5_900 - (time.monotonic() - began) * 1000


def test_a_limit_above_what_is_ample_is_kept_to_the_end(fresh_api: RunningApi) -> None:
    with fresh_api.client() as client, ThreadPoolExecutor(8) as pool:
        path = f"/v1/limits/{encode(KEY, fresh_api.key.id)}/requests_per_minute"
        client.put(path, json={"value": 1300}).raise_for_status()
        began = time.monotonic()
        answers = list(pool.map(lambda _: client.get("/v1/limits").status_code, range(1500)))
        refilled = (time.monotonic() - began) * 1300 / 60
        passed = answers.count(200)
        assert set(answers) <= {200, 429}
        assert 1290 <= passed <= 1300 + refilled + 5


def test_processes_share_a_rate(fresh_api: RunningApi) -> None:
    other = start_api(fresh_api.settings, key=fresh_api.key)
    try:
        with fresh_api.client() as here, other.client() as there:
            path = f"/v1/limits/{encode(KEY, fresh_api.key.id)}/requests_per_minute"
            here.put(path, json={"value": 20}).raise_for_status()
            answers = [(here, there)[number % 2].get("/v1/jobs").status_code for number in range(30)]
        assert 18 <= answers.count(200) <= 21
    finally:
        other.stop()

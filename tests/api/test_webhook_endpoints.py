"""Webhook endpoints over HTTP; what the service does behind them is in tests/core/webhooks."""

import base64
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import text

from core.kit.db import Database
from core.kit.ids import WEBHOOK_ENDPOINT, encode, new_id
from core.kit.settings import Settings
from core.webhooks.events import EventType
from core.webhooks.service import ENDPOINTS_MAX
from tests.factories.api import RunningApi, issue_key, running_api
from tests.factories.attempts import attempt
from tests.factories.processes import settings_of
from tests.factories.tenancy import audit_trail
from tests.factories.tenancy_cases import HOOK_URL
from tests.factories.webhook_receiver import WebhookReceiver
from tests.factories.webhooks import LOOPBACK

NOOP = {"capability": "probe.act", "input": {"act": "noop"}}


def code_of(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    return str(response.json()["code"])


def test_the_secret_is_shown_once(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "make-it-once"}
    made = client.post("/v1/webhook-endpoints", json={"url": HOOK_URL}, headers=headers)
    assert made.status_code == 201, made.text
    body = made.json()
    assert body["secret"].startswith("whsec_")
    assert made.headers["location"] == f"/v1/webhook-endpoints/{body['id']}"
    again = client.post("/v1/webhook-endpoints", json={"url": HOOK_URL}, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == {**body, "secret": None}
    shown = client.get(made.headers["location"])
    assert shown.json() == {name: value for name, value in body.items() if name != "secret"}
    assert body["secret"] not in client.get("/v1/webhook-endpoints").text


def test_the_secret_is_stored_sealed(api: RunningApi, client: httpx.Client) -> None:
    secret = client.post("/v1/webhook-endpoints", json={"url": HOOK_URL}).json()["secret"]
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    assert len(raw) == 32
    database = Database(api.settings, application_name="test", pool_size=1)
    with database.system() as session:
        stored = b"".join(bytes(box) for box in session.execute(text("SELECT sealed FROM webhook_secrets")).scalars())
    database.close()
    assert raw not in stored
    assert secret.encode() not in stored


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"url": "http://93.184.215.14/"}, "https_required"),
        ({"url": "https://127.0.0.1/"}, "address_refused"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "address_refused"),
        ({"url": "https://user:pw@example.com/"}, "credentials_refused"),
        ({"url": "https://metadata/"}, "host_private"),
        ({"url": "https://93.184.215.14:22/"}, "port_refused"),
        ({"url": ""}, "string_too_short"),
        ({"url": HOOK_URL, "events": ["job.exploded"]}, "enum"),
        ({"url": HOOK_URL, "description": "a\nb"}, "string_pattern_mismatch"),
    ],
)
def test_what_cannot_be_is_refused(client: httpx.Client, body: dict[str, object], rule: str) -> None:
    refused = client.post("/v1/webhook-endpoints", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["code"] == rule


def test_a_change_of_the_url_is_checked_too(client: httpx.Client) -> None:
    where = client.post("/v1/webhook-endpoints", json={"url": HOOK_URL}).headers["location"]
    assert code_of(client.patch(where, json={"url": "https://10.0.0.1/"}), 422) == "webhook_url_refused"
    changed = client.patch(where, json={"url": f"{HOOK_URL}/2", "events": ["job.failed", "job.failed"]})
    assert (changed.json()["url"], changed.json()["events"]) == (f"{HOOK_URL}/2", ["job.failed"])


def test_pause_resume_rotate_test_and_remove_leave_their_records(api: RunningApi) -> None:
    key = issue_key(api.settings, organization="recorded", scopes=("webhooks:read", "webhooks:write"))
    with api.client(key) as client:
        where = client.post("/v1/webhook-endpoints", json={"url": HOOK_URL}).headers["location"]
        assert client.post(f"{where}/pause").json()["state"] == "paused"
        assert client.post(f"{where}/pause").json()["state"] == "paused"
        assert code_of(client.post(f"{where}/test"), 409) == "webhook_endpoint_state"
        assert client.post(f"{where}/resume").json()["state"] == "active"
        assert client.post(f"{where}/rotate", json={"overlap_seconds": 60}).json()["previous_secret_until"]
        assert client.post(f"{where}/rotate").json()["secret"].startswith("whsec_")
        tested = client.post(f"{where}/test")
        assert tested.status_code == 202
        delivery = client.get(tested.headers["location"]).json()
        assert (delivery["event"], delivery["state"], delivery["attempt_list"]) == ("webhook.test", "pending", [])
        assert code_of(client.post(f"{tested.headers['location']}/redeliver"), 409) == "webhook_delivery_pending"
        again = client.post(f"{where}/redeliver", json={"since": "2026-01-01T00:00:00Z"})
        assert (again.status_code, again.json()) == (202, {"deliveries": 0})
        assert client.delete(where).status_code == 200
        assert code_of(client.get(where), 404) == "webhook_endpoint_not_found"
        assert client.get(tested.headers["location"]).json()["state"] == "cancelled"
    actions = [each["action"] for each in audit_trail(api.settings, key.organization_id)]
    assert actions.count("api:webhook_endpoint:pause") == 1
    assert {each for each in actions if ":webhook_" in each} == {
        "api:webhook_endpoint:create",
        "api:webhook_endpoint:pause",
        "api:webhook_endpoint:resume",
        "api:webhook_endpoint:remove",
        "api:webhook_secret:rotate",
        "api:webhook_delivery:redeliver",
    }


def test_deliveries_are_listed_and_narrowed(api: RunningApi) -> None:
    key = issue_key(api.settings, organization="listing")
    with api.client(key) as client:
        endpoint = client.post("/v1/webhook-endpoints", json={"url": HOOK_URL}).json()["id"]
        other = client.post("/v1/webhook-endpoints", json={"url": HOOK_URL, "events": ["job.failed"]}).json()["id"]
        job = client.post("/v1/jobs", json=NOOP).json()["id"]
        with attempt(api.settings, job) as run:
            run.succeed(answer=1)
        client.post(f"/v1/webhook-endpoints/{other}/test")

        def found(**where: str) -> list[str]:
            return [each["event"] for each in client.get("/v1/webhook-deliveries", params=where).json()["data"]]

        assert found() == ["webhook.test", "job.succeeded"]
        assert found(endpoint_id=endpoint) == ["job.succeeded"]
        assert found(job_id=job) == ["job.succeeded"]
        assert found(state="delivered") == []
        assert found(event="webhook.test") == ["webhook.test"]
        page = client.get("/v1/webhook-deliveries", params={"limit": 1}).json()
        rest = client.get("/v1/webhook-deliveries", params={"cursor": page["next_cursor"]}).json()
        assert [each["event"] for each in rest["data"]] == ["job.succeeded"]
        missing = encode(WEBHOOK_ENDPOINT, new_id())
        assert found(endpoint_id=missing) == []


def test_a_job_may_name_a_receiver_once_the_project_has_a_secret(settings: Settings) -> None:
    with running_api(settings_of(settings, **LOOPBACK)) as api, api.client() as client, WebhookReceiver() as receiver:
        assert client.get("/v1/webhook-secret").json() == {"rotated_at": None, "previous_until": None}
        job = {**NOOP, "webhook": {"url": receiver.url, "events": ["job.succeeded"]}}
        assert code_of(client.post("/v1/jobs", json=job), 409) == "webhook_secret_missing"
        assert client.post("/v1/webhook-secret/rotate").json()["secret"].startswith("whsec_")
        accepted = client.post("/v1/jobs", json=job)
        assert accepted.status_code == 202, accepted.text
        hostile = client.post("/v1/jobs", json={**NOOP, "webhook": {"url": "https://10.0.0.1/"}})
        assert hostile.status_code == 422
        assert hostile.json()["errors"][0]["path"] == "body.webhook.url"
        wrong = client.post("/v1/jobs", json={**NOOP, "webhook": {"url": receiver.url, "events": ["key.expiring"]}})
        assert wrong.status_code == 422
        with attempt(api.settings, accepted.json()["id"]) as run:
            run.succeed(answer=1)
        of_job = client.get("/v1/webhook-deliveries", params={"job_id": accepted.json()["id"]}).json()["data"]
        assert [each["url"] for each in of_job if each["endpoint_id"] is None] == [receiver.url]


def test_a_project_has_a_bounded_number_of_endpoints(api: RunningApi) -> None:
    with api.client(issue_key(api.settings, organization="many")) as client:
        for _ in range(ENDPOINTS_MAX):
            assert client.post("/v1/webhook-endpoints", json={"url": HOOK_URL}).status_code == 201
        refused = client.post("/v1/webhook-endpoints", json={"url": HOOK_URL})
        assert code_of(refused, 409) == "webhook_endpoints_too_many"


def test_every_event_can_be_chosen(client: httpx.Client) -> None:
    events = [event.value for event in EventType]
    made = client.post("/v1/webhook-endpoints", json={"url": HOOK_URL, "events": events})
    assert made.json()["events"] == events
    assert datetime.fromisoformat(made.json()["created_at"]).tzinfo == UTC

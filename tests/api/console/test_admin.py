"""Administration in the console: each act leaves its record, and secrets are shown once."""

import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest

from core.keys.roles import Role
from core.keys.service import IssuedKey
from core.kit.ids import KEY, PROJECT, encode
from tests.factories.api import RunningApi, issue_key
from tests.factories.browser import Browser
from tests.factories.console_admin_things import made_admin_things
from tests.factories.rollups import add, ended
from tests.factories.tenancy import audit_trail


@pytest.fixture(scope="module")
def things(api: RunningApi) -> dict[str, str]:
    return made_admin_things(api, "plain")


@pytest.fixture
def owner(api: RunningApi) -> Iterator[Browser]:
    with Browser(api) as opened:
        yield opened.sign_in(api.key)


@pytest.fixture
def auditor(api: RunningApi) -> Iterator[Browser]:
    with Browser(api) as opened:
        yield opened.sign_in(issue_key(api.settings, scopes=tuple(sorted(Role.AUDITOR.scopes))))


def actions(api: RunningApi, key: IssuedKey | None = None) -> list[str]:
    """What the trail says of the API's first key, or of `key`, not sealed yet."""
    actor = encode(KEY, (key or api.key).id)
    return [each["action"] for each in audit_trail(api.settings, api.key.organization_id) if each["actor_id"] == actor]


def shown_key(html: str) -> str:
    found = re.search(r'id="made-key">([^<]+)<', html)
    assert found is not None
    return unescape(found[1])


def act(api: RunningApi, browser: Browser, path: str, fields: dict[str, Any], action: str) -> None:
    """Send a form of the owner; it is carried out, says so, and leaves one record."""
    before = actions(api).count(action)
    answer = browser.post(path, fields)
    assert answer.status_code == 303, answer.text
    assert 'class="flash done"' in browser.open(answer.headers["location"]).text
    assert actions(api).count(action) == before + 1, actions(api)


def test_a_key_is_shown_once_and_works(api: RunningApi, owner: Browser) -> None:
    fields = {
        "name": "laptop",
        "scope": ["jobs:read", "organization:read"],
        "expires_in_days": "3",
        "once": "made-once",
    }
    made = owner.post("/console/admin/keys", fields)
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    key = shown_key(made.text)
    with api.client(key) as client:
        caller = client.get("/v1/organization").json()["caller"]
    assert sorted(caller["scopes"]) == ["jobs:read", "organization:read"]
    assert "api:key:create" in actions(api)
    # A form that is sent again makes no second key, and shows the first no more.
    again = owner.post("/console/admin/keys", fields)
    assert "cannot be shown again" in again.text
    for page in (again.text, owner.get("/console/admin/keys").text):
        assert key not in page
        assert len(re.findall(r">laptop<br>", page)) == 1


def test_a_key_is_rotated_and_revoked(api: RunningApi, owner: Browser) -> None:
    old = issue_key(api.settings, scopes=("organization:read",))
    at = f"/console/admin/keys/{encode(KEY, old.id)}"
    new = shown_key(owner.post(f"{at}/rotate", {"overlap_hours": "1"}).text)
    with api.client(old) as before, api.client(new) as after:
        assert (before.get("/v1/organization").status_code, after.get("/v1/organization").status_code) == (200, 200)
    act(api, owner, f"{at}/revoke", {}, "api:key:revoke")
    assert {"api:key:rotate", "api:key:revoke"} <= set(actions(api))
    assert owner.post(f"{at}/rotate").status_code == 409


def test_no_one_makes_a_key_with_more_than_their_own(api: RunningApi) -> None:
    key = issue_key(api.settings, scopes=("keys:read", "keys:write"))
    with Browser(api) as browser:
        browser.sign_in(key)
        page = browser.get("/console/admin/keys").text
        assert 'value="keys:read"' in page
        assert 'value="audit:read"' not in page
        answer = browser.post("/console/admin/keys", {"name": "x", "scope": "audit:read"})
    assert answer.status_code == 403
    assert "api:key:create" not in actions(api, key)


@pytest.mark.parametrize("days", ["soon", "0", "99999999999999"])
def test_a_field_that_does_not_fit_is_named(owner: Browser, days: str) -> None:
    answer = owner.post("/console/admin/keys", {"name": "x", "expires_in_days": days})
    assert answer.status_code == 422
    assert "form.expires_in" in answer.text


def test_projects_are_made_changed_archived_and_restored(api: RunningApi, owner: Browser) -> None:
    name = f"claims {secrets.token_hex(4)}"
    act(api, owner, "/console/admin/projects", {"name": name, "cost_centre": "4711"}, "api:project:create")
    with api.client() as client:
        made = next(each for each in client.get("/v1/projects").json()["data"] if each["name"] == name)
        at = f"/console/admin/projects/{made['id']}"
        fields = {"name": name, "cost_centre": "", "owner": "claims", "data_class": "confidential"}
        act(api, owner, at, fields, "api:project:update")
        act(api, owner, f"{at}/archive", {}, "api:project:update")
        assert name not in owner.get("/console/admin/projects").text
        assert name in owner.get("/console/admin/projects?archived=true").text
        act(api, owner, f"{at}/restore", {}, "api:project:update")
        found = client.get(f"/v1/projects/{made['id']}").json()
    assert (found["cost_centre"], found["owner"], found["data_class"]) == (None, "claims", "confidential")


def test_members_get_a_role_and_go(api: RunningApi, owner: Browser, things: dict[str, str]) -> None:
    at = f"/console/admin/members/{things['member_id']}"
    act(api, owner, at, {"role": "developer"}, "api:member:change")
    assert owner.post(at, {"role": "emperor"}).status_code == 422
    act(api, owner, f"{at}/remove", {}, "api:member:remove")
    assert things["member_id"] not in owner.get("/console/admin/members").text


def test_limits_and_periods_are_set_and_removed(api: RunningApi, owner: Browser) -> None:
    scope = encode(PROJECT, api.key.project_id)
    act(api, owner, "/console/admin/limits", {"scope": scope, "kind": "cost_per_day", "value": "2.50"}, "api:limit:set")
    act(api, owner, "/console/admin/limits", {"scope": scope, "kind": "jobs_per_day", "value": "70"}, "api:limit:set")
    page = owner.get("/console/admin/limits").text
    assert "2.50" in page
    assert "of 70" in page
    act(api, owner, "/console/admin/limits/remove", {"scope": scope, "kind": "jobs_per_day"}, "api:limit:remove")
    for kind, value in (("jobs_per_day", "some"), ("jobs_per_day", "-1"), ("everything", "1"), ("cost_per_day", "1,5")):
        assert owner.post("/console/admin/limits", {"kind": kind, "value": value}).status_code == 422
    period = {"kind": "events", "days": "12"}
    act(api, owner, "/console/admin/retention", period, "api:retention:set")
    assert "12 days" in owner.get("/console/admin/retention").text
    act(api, owner, "/console/admin/retention/remove", {"kind": "events"}, "api:retention:remove")


def test_a_policy_is_tried_and_put_in_force(api: RunningApi, owner: Browser) -> None:
    words = "The key is AKIAIOSFODNN7EXAMPLE, call 7."
    before = len(actions(api))
    tried = owner.post("/console/admin/guard/try", {"text": words, "template": "observe", "direction": "to_model"})
    assert tried.status_code == 200
    assert words in unescape(tried.text)
    assert len(actions(api)) == before
    act(api, owner, "/console/admin/guard", {"template": "observe", "version": "0"}, "api:guard_policy:update")
    # Another has changed it since the form was opened.
    assert owner.post("/console/admin/guard", {"template": "strict", "version": "0"}).status_code == 409
    assert owner.post("/console/admin/guard", {"policy": "{"}).status_code == 422
    act(api, owner, "/console/admin/guard", {"template": "off", "version": "1"}, "api:guard_policy:update")


def test_webhooks_are_tested_paused_and_removed(api: RunningApi, owner: Browser, things: dict[str, str]) -> None:
    at = f"/console/admin/webhooks/{things['endpoint_id']}"
    act(api, owner, f"{at}/pause", {}, "api:webhook_endpoint:pause")
    act(api, owner, f"{at}/resume", {}, "api:webhook_endpoint:resume")
    assert owner.post(f"{at}/test").status_code == 303
    assert owner.get(at).text.count("webhook.test") == 2
    rotated = owner.post(f"{at}/rotate")
    secret = re.search(r'id="secret">(whsec_[^<]+)<', rotated.text)
    assert secret is not None
    assert secret[1] not in owner.get(at).text
    assert owner.post(f"/console/admin/webhooks/deliveries/{things['delivery_id']}/redeliver").status_code == 409
    act(api, owner, f"{at}/redeliver", {}, "api:webhook_delivery:redeliver")
    act(api, owner, f"{at}/remove", {}, "api:webhook_endpoint:remove")
    refused = owner.post("/console/admin/webhooks", {"url": "https://127.0.0.1/x"})
    assert refused.status_code == 422
    assert "public" in refused.text


def test_the_trail_is_filtered_proved_and_verified(owner: Browser, things: dict[str, str]) -> None:
    found = owner.get("/console/admin/audit?action=api:key:create&since=1h")
    assert "api:key:create" in found.text
    assert ">api:project:create</a>" not in found.text
    assert owner.get("/console/admin/audit?since=ever").status_code == 422
    proof = owner.get(f"/console/admin/audit/{things['record_id']}/proof")
    assert "RFC 6962" in proof.text
    assert things["record_id"] in proof.text
    assert "Intact" in owner.get("/console/admin/audit/verify").text


def test_no_secret_setting_is_shown(api: RunningApi, owner: Browser) -> None:
    page = owner.get("/console/admin/installation").text
    settings = api.settings
    for secret in (settings.database_url, settings.redis_url, settings.secret_key, settings.signing_key):
        assert secret is not None
        assert secret.get_secret_value() not in page
    assert "WAYBILL_DOCUMENT_MAX_BYTES" in page


def test_the_installation_shows_its_health_and_the_last_day_of_each_capability(api: RunningApi) -> None:
    key = issue_key(api.settings, organization="healthy", scopes=("organization:read", "costs:read"))
    now = datetime.now(UTC)
    outcomes = [
        ended(key.organization_id, key.project_id, now, capability="probe.act", state=state, outages=1)
        for state in ("succeeded", "failed")
    ]
    add(api.settings, outcomes, [])
    with Browser(api) as reader:
        page = reader.sign_in(key).get("/console/admin/installation").text
        assert page.count('state-up">up') == 2
        last_day = r"<code>probe.act</code>.*?2 · <span class=\"bad\">1 failed</span> · .*?2 outages"
        assert re.search(last_day, page, re.DOTALL)
        assert "waybill doctor" in page
        reader.sign_in(issue_key(api.settings, organization="healthy", scopes=("organization:read",)))
        assert "1 failed" not in reader.get("/console/admin/installation").text


def test_an_auditor_reads_and_changes_nothing(api: RunningApi, auditor: Browser, things: dict[str, str]) -> None:
    for path in ("keys", "projects", "members", "limits", "guard", "webhooks", "audit"):
        page = auditor.get(f"/console/admin/{path}")
        assert page.status_code == 200, path
        assert 'method="post" action="/console/admin' not in page.text, path
    for path in (f"keys/{things['key_id']}/revoke", "limits/remove", "guard", "webhooks", "retention"):
        assert auditor.post(f"/console/admin/{path}").status_code == 403

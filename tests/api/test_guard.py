"""Guard policies over real HTTP: put, tried, reviewed; what a key lacks, and the analyzer unavailable."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from core.guard.policy import TEMPLATES
from core.guard.pseudonyms import Pseudonyms
from core.keys.service import IssuedKey
from core.kit.ids import PROJECT, encode, new_id
from core.kit.settings import Settings
from tests.factories.api import RunningApi, issue_key, running_api
from tests.factories.plain_analyzer import PlainAnalyzer
from tests.factories.tenancy import audit_trail

POLICY = "/v1/guard/policy"
ADDRESS = "Mail <ada@example.org>"
EXAMPLE = {"text": "We bid for the company.", "data_class": "restricted"}


@pytest.fixture
def screening_api(api: RunningApi) -> Iterator[RunningApi]:
    before, api.runtime.analyzer = api.runtime.analyzer, PlainAnalyzer()  # type: ignore[assignment]
    yield api
    api.runtime.analyzer = before


def test_policies_are_put_version_by_version_for_the_organization_and_for_a_project(api: RunningApi) -> None:
    key = issue_key(api.settings, organization="careful")
    own = {"project_id": encode(PROJECT, key.project_id)}
    with api.client(key) as client:
        empty = client.get(POLICY).json()
        assert (empty["version"], empty["template"], empty["floor"], empty["created_at"]) == (0, "off", "off", None)
        made = client.put(POLICY, json={"template": "balanced", "version": 0})
        assert made.status_code == 200, made.text
        assert (made.json()["version"], made.json()["scope"], made.json()["project_id"]) == (1, "organization", None)
        assert made.json()["created_by"].startswith("key_")
        changed = {**made.json()["policy"], "allow": ["Acme Support"]}
        assert client.put(POLICY, json={"policy": changed, "version": 1}).json()["version"] == 2
        stale = client.put(POLICY, json={"template": "off", "version": 1})
        assert (stale.status_code, stale.json()["code"], stale.json()["version"]) == (409, "guard_policy_changed", 2)
        assert client.get(POLICY, params={"version": 1}).json()["template"] == "balanced"
        assert client.get(POLICY, params={"version": 9}).json()["code"] == "guard_policy_not_found"
        project = client.put(POLICY, params=own, json={"template": "strict"}).json()
        assert (project["version"], project["scope"], project["project_id"]) == (1, "project", own["project_id"])
        first = client.get(f"{POLICY}/versions", params={"limit": 1}).json()
        rest = client.get(f"{POLICY}/versions", params={"cursor": first["next_cursor"]}).json()
        assert [(each["version"], each["template"], each["allow"]) for each in first["data"] + rest["data"]] == [
            (2, None, 1),
            (1, "balanced", 0),
        ]
        templates = client.get("/v1/guard/templates").json()["data"]
        assert [each["name"] for each in templates] == list(TEMPLATES)
    records = [row for row in audit_trail(api.settings, key.organization_id) if ":guard_policy:" in row["action"]]
    assert [(each["detail"]["version"], each["detail"]["allow"]) for each in records] == [(1, 0), (2, 1), (1, 0)]
    assert "Acme" not in str(records)


def test_examples_are_put_and_counted_and_a_text_that_is_tried_is_not_compared_with_them(
    screening_api: RunningApi,
) -> None:
    key = issue_key(screening_api.settings, organization="exemplary")
    with screening_api.client(key) as client:
        made = client.put(POLICY, json={"policy": {"examples": [EXAMPLE], "example_similarity": 0.7}})
        assert made.status_code == 200, made.text
        assert (made.json()["policy"]["examples"], made.json()["policy"]["example_similarity"]) == ([EXAMPLE], 0.7)
        assert client.get(f"{POLICY}/versions").json()["data"][0]["examples"] == 1
        tried = client.post("/v1/guard/screen", json={"text": EXAMPLE["text"]}).json()
        assert (tried["action"], tried["data_class"]) == ("off", None)
    [record] = [row for row in audit_trail(screening_api.settings, key.organization_id) if "policy" in row["action"]]
    assert (record["detail"]["examples"], "company" in str(record)) == (1, False)


def test_a_text_is_tried_by_the_policies_in_force_and_by_one_that_was_never_put(screening_api: RunningApi) -> None:
    key = issue_key(screening_api.settings, organization="trying")
    with screening_api.client(key) as client:

        def tried(**sent: object) -> dict[str, Any]:
            answer = client.post("/v1/guard/screen", json=sent)
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        assert tried(text=ADDRESS) == {
            "action": "off",
            "data_class": None,
            "incomplete": False,
            "data": [{"findings": [], "redacted": ADDRESS, "html": "Mail &lt;ada@example.org&gt;"}],
        }
        strict = tried(text=[ADDRESS, "ada@example.org"], template="strict")
        assert (strict["action"], strict["data_class"]) == ("redact", "confidential")
        first, second = strict["data"]
        assert (first["redacted"], second["redacted"]) == ("Mail <<EMAIL_1>>", "<EMAIL_1>")
        assert first["html"] == (
            'Mail &lt;<mark class="redact" data-kind="email" data-score="0.95" data-recognizer="plain">'
            "ada@example.org</mark>&gt;"
        )
        [finding] = first["findings"]
        assert (finding["kind"], finding["start"], finding["end"], finding["mode"]) == ("email", 6, 21, "pseudonymize")
        assert tried(text=ADDRESS, template="strict", direction="to_client")["action"] == "detect"
        client.put(POLICY, json={"template": "balanced"}).raise_for_status()
        assert tried(text=ADDRESS)["action"] == "redact", "in force at once where it was put"


def test_the_operators_floor_holds_whatever_is_tried(settings: Settings) -> None:
    floored = settings.model_copy(update={"guard_template": "strict"})
    with running_api(floored) as api, api.client() as client:
        api.runtime.analyzer = PlainAnalyzer()  # type: ignore[assignment]
        client.put(POLICY, json={"template": "off"}).raise_for_status()
        assert client.get(POLICY).json()["floor"] == "strict"
        for sent in ({}, {"template": "off"}, {"policy": {"allow": ["ada@example.org"]}}):
            answer = client.post("/v1/guard/screen", json={"text": ADDRESS, **sent})
            assert answer.json()["action"] == "redact"


def test_without_an_analyzer_it_says_so_or_that_the_findings_are_incomplete(api: RunningApi) -> None:
    assert api.runtime.analyzer is None
    with api.client() as client:
        refused = client.post("/v1/guard/screen", json={"text": ADDRESS, "template": "balanced"})
        assert (refused.status_code, refused.json()["code"]) == (503, "guard_unavailable")
        assert refused.headers["content-type"] == "application/problem+json"
        detected = client.post("/v1/guard/screen", json={"text": ADDRESS, "template": "observe"}).json()
        assert (detected["incomplete"], detected["action"]) == (True, "off")


def test_a_false_positive_is_reported_by_a_developer_and_allowed_by_an_admin(screening_api: RunningApi) -> None:
    settings = screening_api.settings
    developer = issue_key(settings, organization="queue", scopes=("guard:read", "guard:screen"))
    found = {"kind": "email", "value": "ada@example.org", "verdict": "false_positive"}
    with screening_api.client(developer) as client:
        made = client.post("/v1/guard/reviews", json=found, headers={"Idempotency-Key": "a"})
        again = client.post("/v1/guard/reviews", json=found, headers={"Idempotency-Key": "a"})
        assert (made.status_code, made.json()["value"], again.json()["id"]) == (201, None, made.json()["id"])
        denied = client.post("/v1/guard/reviews", json={**found, "allow": True})
        assert (denied.status_code, denied.json()["scope"]) == (403, "guard:write")
        assert [each["value"] for each in client.get("/v1/guard/reviews").json()["data"]] == [None]
        unknown = client.post("/v1/guard/reviews", json={**found, "job_id": "job_01jd3q8v9tfq8a1b2c3d4e5f6g"})
        assert unknown.json()["code"] == "job_not_found"
    admin = issue_key(settings, organization="queue")
    own = {"project_id": encode(PROJECT, admin.project_id)}
    with screening_api.client(admin) as client:
        client.put(POLICY, params=own, json={"template": "balanced"}).raise_for_status()
        assert [each["value"] for each in client.get("/v1/guard/reviews").json()["data"]] == ["ada@example.org"]
        assert client.post("/v1/guard/screen", json={"text": ADDRESS}).json()["action"] == "redact"
        allowed = client.post("/v1/guard/reviews", json={**found, "allow": True})
        assert (allowed.status_code, allowed.json()["allowed"]) == (201, True), allowed.text
        assert client.get(POLICY, params=own).json()["policy"]["allow"] == ["ada@example.org"]
        assert client.post("/v1/guard/screen", json={"text": ADDRESS}).json()["action"] == "off"
        client.post("/v1/guard/reviews", json={**found, "verdict": "correct"}).raise_for_status()
        right = client.get("/v1/guard/reviews", params={"verdict": "correct"}).json()["data"]
        assert [each["verdict"] for each in right] == ["correct"]
    assert "ada@" not in str(audit_trail(settings, admin.organization_id))


def test_the_pseudonyms_of_a_value_are_erased_once_and_on_record(api: RunningApi) -> None:
    key, other = issue_key(api.settings, organization="forgetful"), issue_key(api.settings, organization="mindful")
    roots = {key.organization_id: new_id(), other.organization_id: new_id()}

    def names(whose: IssuedKey) -> Pseudonyms:
        executor = api.runtime.database.single_tenant(whose.organization_id)
        organization_id = whose.organization_id
        return Pseudonyms(executor, api.runtime.pseudonyms, organization_id, roots[organization_id])

    for whose in (key, other):
        assert names(whose).name("person", "Anna Schmidt") == "<PERSON_1>"
    with api.client(key) as client:
        once = {"Idempotency-Key": "once"}
        done = client.post("/v1/guard/erasures", json={"value": "anna  SCHMIDT"}, headers=once)
        assert (done.status_code, done.json()) == (200, {"erased_pseudonyms": 1}), done.text
        assert client.post("/v1/guard/erasures", json={"value": "anna  SCHMIDT"}, headers=once).json() == done.json()
        assert client.post("/v1/guard/erasures", json={"value": "Anna Schmidt"}).json() == {"erased_pseudonyms": 0}
        assert client.post("/v1/guard/erasures", json={"value": ""}).status_code == 422
    assert names(key).restore("<PERSON_1>") == "<PERSON_1>"
    assert names(other).restore("<PERSON_1>") == "Anna Schmidt"
    trail = [row for row in audit_trail(api.settings, key.organization_id) if "pseudonym" in row["action"]]
    assert [row["detail"]["pseudonyms"] for row in trail] == [1, 0]
    assert "nna" not in str(trail)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("policy", {}, "body"),
        ("policy", {"template": "off", "policy": {}}, "body"),
        (
            "policy",
            {"policy": {"patterns": [{"kind": "x", "expression": "(?<=a)b"}]}},
            "body.policy.patterns.0.expression",
        ),
        ("policy", {"policy": {"rules": [{"action": "delete"}]}}, "body.policy.rules.0.action"),
        ("policy", {"policy": {"disclosures": {}}}, "body.policy.disclosures"),
        ("policy", {"policy": {"examples": [{**EXAMPLE, "text": " \n"}]}}, "body.policy.examples.0.text"),
        ("policy", {"policy": {"examples": [{**EXAMPLE, "text": "x" * 2_001}]}}, "body.policy.examples.0.text"),
        (
            "policy",
            {"policy": {"examples": [{**EXAMPLE, "data_class": "secret"}]}},
            "body.policy.examples.0.data_class",
        ),
        ("policy", {"policy": {"examples": [EXAMPLE] * 201}}, "body.policy.examples"),
        ("policy", {"policy": {"example_similarity": 1.1}}, "body.policy.example_similarity"),
        ("screen", {"text": []}, "body.text.list[constrained-str]"),
        ("screen", {"text": ["x" * 70_000] * 3}, "body"),
        ("screen", {"text": "a", "policy": {"allow": [""]}}, "body.policy.allow.0"),
        ("reviews", {"kind": "Person", "value": "a", "verdict": "correct"}, "body.kind"),
        ("reviews", {"kind": "person", "value": "a", "verdict": "correct", "allow": True}, "body"),
        ("reviews", {"kind": "person", "value": "a" * 201, "verdict": "false_positive", "allow": True}, "body.value"),
    ],
)
def test_bad_input_names_the_field(client: httpx.Client, path: str, body: dict[str, object], field: str) -> None:
    send = client.put if path == "policy" else client.post
    refused = send(f"/v1/guard/{path}", json=body)
    assert refused.status_code == 422, refused.text
    assert field in [each["path"] for each in refused.json()["errors"]]

"""``/v1/retention`` over real HTTP."""

import httpx
import pytest

from tests.factories.api import RunningApi, issue_key
from tests.factories.tenancy import audit_trail


def by_kind(answer: httpx.Response) -> dict[str, tuple[int | None, str]]:
    assert answer.status_code == 200, answer.text
    return {
        clock["kind"]: (clock["days"], clock["source"])
        for clock in answer.json()["data"]
        if clock["data_class"] is None
    }


def by_class(answer: httpx.Response) -> list[tuple[str, str, int, str]]:
    assert answer.status_code == 200, answer.text
    return [
        (clock["kind"], clock["data_class"], clock["days"], clock["source"])
        for clock in answer.json()["data"]
        if clock["data_class"] is not None
    ]


def test_the_projects_clock_counts_before_the_organizations_before_the_installations(api: RunningApi) -> None:
    key = issue_key(api.settings, organization="keeps")
    with api.client(key) as client:
        assert by_kind(client.get("/v1/retention")) == {
            "payloads": (90, "installation"),
            "events": (90, "installation"),
            "jobs": (730, "installation"),
            "ledger": (2555, "installation"),
            "audit": (2555, "installation"),
        }
        wide = {"kind": "payloads", "days": 60, "scope": "organization"}
        assert by_kind(client.put("/v1/retention", json=wide))["payloads"] == (60, "organization")
        own = {"kind": "payloads", "days": None}
        assert by_kind(client.put("/v1/retention", json=own))["payloads"] == (None, "project")
        with api.client(issue_key(api.settings, organization="keeps", project="beside")) as beside:
            assert by_kind(beside.get("/v1/retention"))["payloads"] == (60, "organization")
        removed = client.delete("/v1/retention", params={"kind": "payloads"})
        assert by_kind(removed)["payloads"] == (60, "organization")
        again = client.delete("/v1/retention", params={"kind": "payloads"})
        assert (again.status_code, again.json()["code"]) == (404, "retention_not_set")
    actions = [
        row["action"] for row in audit_trail(api.settings, key.organization_id) if ":retention:" in row["action"]
    ]
    assert actions == ["api:retention:set", "api:retention:set", "api:retention:remove"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"kind": "payloads", "days": 0}, "body.days"),
        ({"kind": "payloads", "days": "30"}, "body.days"),
        ({"kind": "payloads"}, "body.days"),
        ({"kind": "secrets", "days": 3}, "body.kind"),
        ({"kind": "payloads", "days": 3, "scope": "everybody"}, "body.scope"),
        ({"kind": "payloads", "days": 3, "data_class": "secret"}, "body.data_class"),
        ({"kind": "payloads", "days": 0, "data_class": "restricted"}, "body.days"),
        ({"kind": "payloads", "days": None, "data_class": "restricted"}, "body.days"),
        ({"kind": "events", "days": 3, "data_class": "restricted"}, "body.data_class"),
    ],
)
def test_bad_input_names_the_field(client: httpx.Client, body: dict[str, object], path: str) -> None:
    refused = client.put("/v1/retention", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["path"] == path


def test_a_class_has_clocks_of_its_own_and_the_projects_takes_the_place_of_the_organizations(api: RunningApi) -> None:
    key = issue_key(api.settings, organization="classifies")
    confidential = {"kind": "payloads", "data_class": "confidential"}
    restricted = {"kind": "payloads", "data_class": "restricted"}
    with api.client(key) as client, api.client(issue_key(api.settings, organization="elsewhere")) as theirs:
        assert by_class(client.get("/v1/retention")) == []
        client.put("/v1/retention", json={**restricted, "days": 7, "scope": "organization"})
        assert by_class(client.put("/v1/retention", json={**confidential, "days": 30})) == [
            ("payloads", "confidential", 30, "project"),
            ("payloads", "restricted", 7, "organization"),
        ]
        assert by_kind(client.get("/v1/retention"))["payloads"] == (90, "installation")
        client.put("/v1/retention", json={**restricted, "days": 20})
        changed = client.put("/v1/retention", json={**restricted, "days": 14})
        assert by_class(changed)[1:] == [("payloads", "restricted", 14, "project")]
        with api.client(issue_key(api.settings, organization="classifies", project="beside")) as beside:
            assert by_class(beside.get("/v1/retention")) == [("payloads", "restricted", 7, "organization")]
        assert by_class(theirs.get("/v1/retention")) == []
        # The clock of the kind is another one.
        assert client.delete("/v1/retention", params={"kind": "payloads"}).status_code == 404
        removed = client.delete("/v1/retention", params=restricted)
        assert by_class(removed)[1:] == [("payloads", "restricted", 7, "organization")]
        again = client.delete("/v1/retention", params=restricted)
        assert (again.status_code, again.json()["code"]) == (404, "retention_not_set")
        assert "restricted" in again.json()["detail"]
        wide = client.delete("/v1/retention", params={**restricted, "scope": "organization"})
        assert by_class(wide) == [("payloads", "confidential", 30, "project")]
    details = [
        (row["action"], row["detail"].get("days"), row["detail"]["data_class"])
        for row in audit_trail(api.settings, key.organization_id)
        if ":retention:" in row["action"]
    ]
    assert details == [
        ("api:retention:set", 7, "restricted"),
        ("api:retention:set", 30, "confidential"),
        ("api:retention:set", 20, "restricted"),
        ("api:retention:set", 14, "restricted"),
        ("api:retention:remove", None, "restricted"),
        ("api:retention:remove", None, "restricted"),
    ]


def test_a_refused_class_says_what_to_do_instead(client: httpx.Client) -> None:
    params = {"kind": "ledger", "data_class": "restricted"}
    for refused, path in (
        (client.put("/v1/retention", json={**params, "days": 7}), "body.data_class"),
        (client.delete("/v1/retention", params=params), "query.data_class"),
    ):
        assert refused.status_code == 422
        error = refused.json()["errors"][0]
        assert (error["path"], error["code"]) == (path, "only_payloads")
        assert error["message"] == "ledger has no clocks by class: leave data_class out, or name the kind payloads"
    for_ever = client.put("/v1/retention", json={"kind": "payloads", "days": None, "data_class": "restricted"})
    assert (for_ever.status_code, for_ever.json()["errors"][0]["code"]) == (422, "days_required")
    assert client.delete("/v1/retention", params={"kind": "payloads", "data_class": "secret"}).status_code == 422
    assert by_class(client.get("/v1/retention")) == []

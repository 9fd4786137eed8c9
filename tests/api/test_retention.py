"""``/v1/retention`` over real HTTP."""

import httpx
import pytest

from tests.factories.api import RunningApi, issue_key
from tests.factories.tenancy import audit_trail


def by_kind(answer: httpx.Response) -> dict[str, tuple[int | None, str]]:
    assert answer.status_code == 200, answer.text
    return {clock["kind"]: (clock["days"], clock["source"]) for clock in answer.json()["data"]}


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
    ],
)
def test_bad_input_names_the_field(client: httpx.Client, body: dict[str, object], path: str) -> None:
    refused = client.put("/v1/retention", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["path"] == path

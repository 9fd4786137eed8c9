"""``/v1/budgets`` over real HTTP, and the commands on top of it."""

import httpx
import pytest

from core.kit.ids import KEY, PROJECT, encode, new_id
from tests.factories.api import RunningApi, issue_key


def test_a_budget_is_created_read_listed_changed_and_archived(client: httpx.Client, api: RunningApi) -> None:
    project = encode(PROJECT, api.key.project_id)
    body = {"name": "research", "limit_usd": "250.00", "scope": "project", "scope_id": project, "period": "day"}
    made = client.post("/v1/budgets", json=body, headers={"Idempotency-Key": "once"})
    assert made.status_code == 201, made.text
    budget = made.json()
    assert made.headers["location"] == f"/v1/budgets/{budget['id']}"
    assert (budget["limit_usd"], budget["hard"], budget["thresholds"]) == ("250.00", True, [50, 80, 100])
    assert budget["balance"]["available_usd"] == "250.00"
    assert budget["balance"]["period_start"].endswith("00:00:00.000000Z")
    again = client.post("/v1/budgets", json=body, headers={"Idempotency-Key": "once"})
    assert (again.json()["id"], again.headers["idempotent-replayed"]) == (budget["id"], "true")
    taken = client.post("/v1/budgets", json=body)
    assert (taken.status_code, taken.json()["code"]) == (409, "budget_name_taken")

    path = f"/v1/budgets/{budget['id']}"
    changed = client.patch(path, json={"limit_usd": "10.5", "hard": False, "thresholds": [90, 10]}).json()
    assert (changed["limit_usd"], changed["hard"], changed["thresholds"]) == ("10.50", False, [10, 90])
    assert client.get(path).json() == changed
    total = client.post("/v1/budgets", json={"name": "total", "limit_usd": "1", "period": "total"}).json()
    assert total["balance"]["period_start"] is None
    page = client.get("/v1/budgets", params={"limit": 1}).json()
    assert [each["id"] for each in page["data"]] == [total["id"]]
    following = client.get("/v1/budgets", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [each["id"] for each in following["data"]] == [budget["id"]]

    archived = client.post(f"{path}/archive").json()
    assert archived["archived_at"]
    assert client.post(f"{path}/archive").json() == archived
    assert client.patch(path, json={"limit_usd": "1"}).json()["code"] == "budget_archived"
    assert [each["id"] for each in client.get("/v1/budgets").json()["data"]] == [total["id"]]
    assert len(client.get("/v1/budgets", params={"archived": True}).json()["data"]) == 2


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"limit_usd": 5}, "body.limit_usd"),
        ({"limit_usd": "-5"}, "body.limit_usd"),
        ({"limit_usd": "1.0000000001"}, "body.limit_usd"),
        ({"name": " "}, "body.name"),
        ({"period": "week"}, "body.period"),
        ({"thresholds": [0]}, "body.thresholds.0"),
        ({"scope": "project"}, "body.scope_id"),
        ({"scope": "project", "scope_id": "prj_nonsense"}, "body.scope_id"),
        ({"scope_id": encode(PROJECT, new_id())}, "body.scope_id"),
        ({"colour": "red"}, "body.colour"),
    ],
)
def test_bad_input_names_the_field(client: httpx.Client, change: dict[str, object], path: str) -> None:
    refused = client.post("/v1/budgets", json={"name": "bad", "limit_usd": "1", **change})
    assert refused.status_code == 422, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["errors"][0]["path"] == path


def test_a_scope_that_is_not_there_is_not_found(client: httpx.Client) -> None:
    for scope, prefix in (("project", PROJECT), ("key", KEY)):
        body = {"name": "bad", "limit_usd": "1", "scope": scope, "scope_id": encode(prefix, new_id())}
        refused = client.post("/v1/budgets", json=body)
        assert (refused.status_code, refused.json()["code"]) == (404, f"{scope}_not_found")


def test_another_organization_finds_nothing(client: httpx.Client, api: RunningApi) -> None:
    budget = client.post("/v1/budgets", json={"name": "ours", "limit_usd": "1"}).json()
    path = f"/v1/budgets/{budget['id']}"
    with api.client(issue_key(api.settings, organization="rival")) as stranger:
        answers = [stranger.get(path), stranger.patch(path, json={"limit_usd": "9"}), stranger.post(f"{path}/archive")]
        assert [(each.status_code, each.json()["code"]) for each in answers] == [(404, "budget_not_found")] * 3
        assert stranger.get("/v1/budgets").json()["data"] == []
        theirs = {"name": "x", "limit_usd": "1", "scope": "project", "scope_id": encode(PROJECT, api.key.project_id)}
        assert stranger.post("/v1/budgets", json=theirs).json()["code"] == "project_not_found"
    assert client.get(path).json() == budget


def test_each_route_asks_for_its_scope(api: RunningApi) -> None:
    with api.client(issue_key(api.settings, scopes=("budgets:read",))) as reader:
        assert reader.get("/v1/budgets").status_code == 200
        refused = reader.post("/v1/budgets", json={"name": "x", "limit_usd": "1"})
        assert (refused.status_code, refused.json()["scope"]) == (403, "budgets:write")
    with api.client(issue_key(api.settings, scopes=("jobs:read",))) as other:
        assert other.get("/v1/budgets").status_code == 403

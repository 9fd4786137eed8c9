from collections.abc import Iterator

import httpx
import pytest

from core.keys.roles import Role
from core.keys.service import IssuedKey
from tests.factories.api import RunningApi
from tests.factories.tenancy import audit_trail, role_key
from tests.factories.waiting import wait_until

NOOP = {"capability": "probe.act", "input": {"act": "noop"}}


@pytest.fixture
def owner(api: RunningApi) -> IssuedKey:
    return role_key(api.settings, Role.OWNER)


@pytest.fixture
def client(api: RunningApi, owner: IssuedKey) -> Iterator[httpx.Client]:
    with api.client(owner) as opened:
        yield opened


def test_a_project_is_created_read_changed_and_listed(client: httpx.Client) -> None:
    given = {"name": "claims", "cost_centre": "4711", "owner": "claims@acme.example", "labels": {"tier": "1"}}
    made = client.post("/v1/projects", json=given)
    assert made.status_code == 201
    project = made.json()
    assert {name: project[name] for name in given} == given
    assert client.get(made.headers["location"]).json() == project
    changed = client.patch(f"/v1/projects/{project['id']}", json={"cost_centre": None, "labels": {"tier": "2"}}).json()
    assert changed == {**project, "cost_centre": None, "labels": {"tier": "2"}}
    assert client.get("/v1/projects").json()["data"][0] == changed
    assert [each["name"] for each in client.get("/v1/projects?name=claims").json()["data"]] == ["claims"]


def test_pages_of_projects(client: httpx.Client) -> None:
    made = [client.post("/v1/projects", json={"name": f"p{at}"}).json()["id"] for at in range(3)]
    first = client.get("/v1/projects?limit=2").json()
    second = client.get("/v1/projects", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [each["id"] for each in first["data"]] == [made[2], made[1]]
    assert second["data"][0]["id"] == made[0]
    assert second["next_cursor"] is None


def test_a_name_is_taken_once(client: httpx.Client) -> None:
    one, two = (client.post("/v1/projects", json={"name": name}).json() for name in ("one", "two"))
    again = client.post("/v1/projects", json={"name": "one"})
    assert (again.status_code, again.json()["code"]) == (409, "project_name_taken")
    renamed = client.patch(f"/v1/projects/{two['id']}", json={"name": "one"})
    assert (renamed.status_code, renamed.json()["errors"][0]["path"]) == (409, "body.name")
    assert client.patch(f"/v1/projects/{one['id']}", json={"name": "one"}).status_code == 200


def test_a_repeat_creates_nothing(client: httpx.Client) -> None:
    sent = {"json": {"name": "once"}, "headers": {"Idempotency-Key": "k-1"}}
    first, again = client.post("/v1/projects", **sent), client.post("/v1/projects", **sent)  # type: ignore[arg-type]
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": " "}, {"name": None}, {"name": "a\nb"}, {"labels": {"a b": "c"}}, {"archived": True}],
)
def test_a_change_must_make_sense(client: httpx.Client, body: dict[str, object]) -> None:
    project = client.post("/v1/projects", json={"name": "p"}).json()
    refused = client.patch(f"/v1/projects/{project['id']}", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_error")


def test_an_archived_project_can_be_read_and_not_changed(
    api: RunningApi, client: httpx.Client, owner: IssuedKey
) -> None:
    project = client.post("/v1/projects", json={"name": "old"}).json()
    issued = client.post("/v1/keys", json={"name": "worker", "project_id": project["id"]}).json()
    with api.client(issued["key"]) as worker:
        job = worker.post("/v1/jobs", json=NOOP).json()
        archived = client.post(f"/v1/projects/{project['id']}/archive").json()
        assert archived["archived_at"] is not None
        took = wait_until(
            lambda: worker.post("/v1/jobs", json=NOOP).status_code == 403,
            timeout_seconds=5,
            what="the refusal",
            pause_seconds=0.02,
        )
        assert took <= 2.0
        assert worker.post("/v1/jobs", json=NOOP).json()["code"] == "project_archived"
        assert worker.get(f"/v1/jobs/{job['id']}").status_code == 200
        refused = client.post("/v1/keys", json={"name": "more", "project_id": project["id"]})
        assert (refused.status_code, refused.json()["code"]) == (403, "project_archived")
        assert project["id"] not in [each["id"] for each in client.get("/v1/projects").json()["data"]]
        assert client.get("/v1/projects?archived=true").json()["data"][0]["id"] == project["id"]
        assert client.post(f"/v1/projects/{project['id']}/archive").json() == archived
        assert client.post(f"/v1/projects/{project['id']}/restore").json()["archived_at"] is None
        wait_until(lambda: worker.post("/v1/jobs", json=NOOP).status_code == 202, timeout_seconds=5, what="work")
    trail = [(each["action"], each["detail"]) for each in audit_trail(api.settings, owner.organization_id)]
    assert trail.count(("api:project:update", {"archived": True})) == 1
    assert trail.count(("api:project:update", {"archived": False})) == 1


def test_who_is_asking(client: httpx.Client, owner: IssuedKey) -> None:
    found = client.get("/v1/organization").json()
    assert found["caller"]["kind"] == "key"
    assert set(found["caller"]["scopes"]) == set(Role.OWNER.scopes)
    assert found["caller"]["id"].startswith("key_")
    assert found["id"].startswith("org_")

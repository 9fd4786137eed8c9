import threading
from collections.abc import Iterator

import httpx
import pytest

from core.keys.roles import Role
from core.keys.service import IssuedKey
from tests.factories.api import RunningApi
from tests.factories.tenancy import audit_trail, role_key

ISSUER = "https://login.example/v2.0"


@pytest.fixture
def owner(api: RunningApi) -> IssuedKey:
    return role_key(api.settings, Role.OWNER)


@pytest.fixture
def client(api: RunningApi, owner: IssuedKey) -> Iterator[httpx.Client]:
    with api.client(owner) as opened:
        yield opened


def add(client: httpx.Client, subject: str, role: str = "developer", **more: object) -> httpx.Response:
    return client.post("/v1/members", json={"subject": subject, "role": role, "issuer": ISSUER, **more})


def refused(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


def test_a_member_is_added_read_changed_and_removed(api: RunningApi, client: httpx.Client, owner: IssuedKey) -> None:
    made = add(client, "ada", email="ada@acme.example")
    assert made.status_code == 201
    member = made.json()
    assert (member["subject"], member["role"], member["email"]) == ("ada", "developer", "ada@acme.example")
    assert client.get(made.headers["location"]).json() == member
    refused(add(client, "ada", "auditor"), 409, "member_exists")
    changed = client.patch(f"/v1/members/{member['id']}", json={"role": "admin", "email": None}).json()
    assert changed == {**member, "role": "admin", "email": None}
    assert client.get("/v1/members?role=admin").json()["data"] == [changed]
    assert client.delete(f"/v1/members/{member['id']}").status_code == 204
    refused(client.get(f"/v1/members/{member['id']}"), 404, "member_not_found")
    refused(client.delete(f"/v1/members/{member['id']}"), 404, "member_not_found")
    trail = [each for each in audit_trail(api.settings, owner.organization_id) if each["subject_id"] == member["id"]]
    assert [each["action"] for each in trail] == ["api:member:add", "api:member:change", "api:member:remove"]
    # A person's name or address is never in the trail: it cannot be erased from there.
    assert "ada" not in str(trail)


def test_the_last_owner_stays(client: httpx.Client) -> None:
    first = add(client, "ada", "owner").json()["id"]
    refused(client.patch(f"/v1/members/{first}", json={"role": "admin"}), 409, "last_owner")
    refused(client.delete(f"/v1/members/{first}"), 409, "last_owner")
    assert client.patch(f"/v1/members/{first}", json={"role": "owner", "email": "a@b.example"}).status_code == 200
    second = add(client, "bob", "owner").json()["id"]
    assert client.delete(f"/v1/members/{first}").status_code == 204
    refused(client.delete(f"/v1/members/{second}"), 409, "last_owner")


def test_two_owners_cannot_remove_each_other_at_once(api: RunningApi) -> None:
    for _ in range(5):
        key = role_key(api.settings, Role.OWNER)
        with api.client(key) as client:
            owners = [add(client, name, "owner").json()["id"] for name in ("ada", "bob")]
            together = threading.Barrier(2)
            statuses: list[int] = []

            def remove(
                member: str,
                client: httpx.Client = client,
                together: threading.Barrier = together,
                to: list[int] = statuses,
            ) -> None:
                together.wait()
                to.append(client.delete(f"/v1/members/{member}").status_code)

            threads = [threading.Thread(target=remove, args=(member,)) for member in owners]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(statuses) == [204, 409]
            assert len(client.get("/v1/members?role=owner").json()["data"]) == 1


def test_no_one_grants_or_takes_more_than_they_hold(api: RunningApi) -> None:
    key = role_key(api.settings, Role.OWNER, organization="grants")
    admin = role_key(api.settings, Role.ADMIN, organization="grants")
    with api.client(key) as owning, api.client(admin) as administering:
        ada, bob = (add(owning, name, "owner").json()["id"] for name in ("ada", "bob"))
        refused(add(administering, "eve", "owner"), 403, "scope_exceeded")
        refused(administering.delete(f"/v1/members/{ada}"), 403, "scope_exceeded")
        refused(administering.patch(f"/v1/members/{bob}", json={"role": "auditor"}), 403, "scope_exceeded")
        eve = add(administering, "eve", "admin").json()["id"]
        refused(administering.patch(f"/v1/members/{eve}", json={"role": "owner"}), 403, "scope_exceeded")
        assert administering.patch(f"/v1/members/{eve}", json={"role": "operator"}).json()["role"] == "operator"
        assert administering.delete(f"/v1/members/{eve}").status_code == 204


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"role": "developer", "issuer": ISSUER}, "body.subject"),
        ({"subject": "x", "role": "emperor", "issuer": ISSUER}, "body.role"),
        ({"subject": "x", "role": "developer"}, "body.issuer"),
        ({"subject": "x", "role": "developer", "issuer": ISSUER, "email": "nobody"}, "body.email"),
        ({"subject": "a\nb", "role": "developer", "issuer": ISSUER}, "body.subject"),
    ],
)
def test_the_wrong_field_is_named(client: httpx.Client, body: dict[str, object], path: str) -> None:
    answer = client.post("/v1/members", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import httpx
import pytest
from sqlalchemy import event, text

from core.keys.roles import Role
from core.keys.scopes import WORKING_SCOPES
from core.keys.service import IssuedKey
from core.keys.usage import KeyUsage
from core.kit.db import Database
from core.kit.settings import Settings
from tests.factories.api import RunningApi, issue_key, running_api
from tests.factories.tenancy import audit_trail, role_key
from tests.factories.waiting import wait_until

pytestmark = pytest.mark.own_database

NOOP = {"capability": "probe.act", "input": {"act": "noop"}}


@pytest.fixture
def owner(api: RunningApi) -> IssuedKey:
    return role_key(api.settings, Role.OWNER)


@pytest.fixture
def client(api: RunningApi, owner: IssuedKey) -> Iterator[httpx.Client]:
    with api.client(owner) as opened:
        yield opened


def refused(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    found: dict[str, object] = response.json()
    return found


def test_a_key_is_shown_once_and_works(api: RunningApi, client: httpx.Client, owner: IssuedKey) -> None:
    made = client.post("/v1/keys", json={"name": "service"})
    assert made.status_code == 201
    key = made.json()
    assert key["scopes"] == sorted(WORKING_SCOPES)
    assert (key["state"], key["expires_at"], key["last_used_at"]) == ("active", None, None)
    shown = client.get(made.headers["location"]).json()
    assert shown == {name: value for name, value in key.items() if name != "key"}
    assert key["key"] not in client.get("/v1/keys").text
    with api.client(key["key"]) as worker:
        assert worker.post("/v1/jobs", json=NOOP).status_code == 202
        refused(worker.get("/v1/keys"), 403, "scope_missing")
    created = [each for each in audit_trail(api.settings, owner.organization_id) if each["subject_id"] == key["id"]]
    assert [each["action"] for each in created] == ["api:key:create"]
    assert created[0]["actor_id"] == client.get("/v1/organization").json()["caller"]["id"]
    assert created[0]["actor_kind"] == "key"


def test_a_repeat_names_the_key_but_does_not_show_it_again(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "one"}
    first = client.post("/v1/keys", json={"name": "service"}, headers=headers).json()
    again = client.post("/v1/keys", json={"name": "service"}, headers=headers)
    assert first["key"].startswith("wb_live_")
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == {**first, "key": None}
    refused(client.post("/v1/keys", json={"name": "other"}, headers=headers), 422, "idempotency_key_reused")
    assert len(client.get("/v1/keys").json()["data"]) == 2


def test_the_plaintext_is_stored_nowhere(api: RunningApi, client: httpx.Client) -> None:
    key = client.post("/v1/keys", json={"name": "x"}, headers={"Idempotency-Key": "two"}).json()["key"]
    secret = key.rpartition("_")[2]
    database = Database(api.settings, application_name="test", pool_size=1)
    with database.system() as session:
        tables = session.execute(
            text("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace")
        ).scalars()
        for table in tables:
            if session.execute(text(f"SELECT has_table_privilege('{table}', 'SELECT')")).scalar_one():
                # A bytea shows as hexadecimal digits; escape shows what is text in it.
                session.execute(text("SET LOCAL bytea_output = 'escape'"))
                rows = session.execute(text(f'SELECT "{table}"::text FROM "{table}"')).scalars()
                assert not [row for row in rows if secret in row], table
    database.close()


@pytest.mark.parametrize("role", list(Role))
def test_no_one_issues_more_than_they_hold(api: RunningApi, role: Role) -> None:
    with api.client(role_key(api.settings, role)) as holder:
        for wanted in Role:
            answer = holder.post("/v1/keys", json={"name": "n", "role": wanted})
            if "keys:write" not in role.scopes:
                refused(answer, 403, "scope_missing")
            elif wanted.scopes <= role.scopes:
                assert set(answer.json()["scopes"]) == wanted.scopes
            else:
                lacking = refused(answer, 403, "scope_exceeded")["scopes"]
                assert lacking == sorted(wanted.scopes - role.scopes)


def test_a_key_cannot_take_over_or_end_one_that_may_do_more(api: RunningApi, owner: IssuedKey) -> None:
    organization = f"org-{time.monotonic_ns()}"
    strong = role_key(api.settings, Role.OWNER, organization=organization)
    weak = role_key(api.settings, Role.DEVELOPER, organization=organization)
    with api.client(strong) as owning, api.client(weak) as developing:
        found = owning.get("/v1/keys").json()["data"]
        strong_id = next(
            each["id"] for each in found if "keys:write" in each["scopes"] and "audit:write" in each["scopes"]
        )
        refused(developing.post(f"/v1/keys/{strong_id}/rotate"), 403, "scope_exceeded")
        refused(developing.post(f"/v1/keys/{strong_id}/revoke"), 403, "scope_exceeded")
        assert owning.get(f"/v1/keys/{strong_id}").json()["state"] == "active"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "body.name"),
        ({"name": "n", "scopes": ["everything"]}, "body.scopes.0"),
        ({"name": "n", "scopes": ["jobs:read", "wishes:read"]}, "body.scopes"),
        ({"name": "n", "scopes": ["capability:no.such"]}, "body.scopes.0"),
        ({"name": "n", "expires_in_seconds": 0}, "body.expires_in_seconds"),
        ({"name": "n", "role": "emperor"}, "body.role"),
        ({"name": "n", "plaintext": "wb_live_x"}, "body.plaintext"),
    ],
)
def test_what_cannot_be_issued(client: httpx.Client, body: dict[str, object], path: str) -> None:
    answer = client.post("/v1/keys", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path


def test_a_narrowed_key_may_ask_for_its_capability_only(api: RunningApi, client: httpx.Client) -> None:
    made = client.post("/v1/keys", json={"name": "n", "scopes": ["capability:probe.act"]}).json()
    with api.client(made["key"]) as narrowed:
        assert narrowed.post("/v1/jobs", json=NOOP).status_code == 202
        other = narrowed.post("/v1/jobs", json={"capability": "knowledge.search", "input": {}})
        assert refused(other, 403, "capability_denied")["capability"] == "knowledge.search"
    wanted = ["keys:write", "organization:read", "jobs:read", "capability:probe.act"]
    issuer = client.post("/v1/keys", json={"name": "n", "scopes": wanted}).json()
    with api.client(issuer["key"]) as narrowed:
        assert narrowed.get("/v1/organization").json()["caller"]["capabilities"] == ["probe.act"]
        for scopes in (["jobs:read"], ["jobs:read", "capability:knowledge.search"]):
            refused(narrowed.post("/v1/keys", json={"name": "n", "scopes": scopes}), 403, "scope_exceeded")
        allowed = narrowed.post("/v1/keys", json={"name": "n", "scopes": ["jobs:read", "capability:probe.act"]})
        assert allowed.status_code == 201


def test_keys_of_other_projects_need_the_right_to_projects(api: RunningApi, client: httpx.Client) -> None:
    other = client.post("/v1/projects", json={"name": "other"}).json()["id"]
    theirs = client.post("/v1/keys", json={"name": "theirs", "project_id": other}).json()
    confined = client.post("/v1/keys", json={"name": "confined", "scopes": ["keys:read", "keys:write"]}).json()
    assert client.get(f"/v1/keys/{theirs['id']}").status_code == 200
    assert [each["id"] for each in client.get("/v1/keys", params={"project_id": other}).json()["data"]] == [
        theirs["id"]
    ]
    with api.client(confined["key"]) as within:
        refused(within.get(f"/v1/keys/{theirs['id']}"), 404, "key_not_found")
        refused(within.post(f"/v1/keys/{theirs['id']}/revoke"), 404, "key_not_found")
        refused(
            within.post("/v1/keys", json={"name": "n", "scopes": ["keys:read"], "project_id": other}),
            404,
            "project_not_found",
        )
        assert within.get("/v1/keys", params={"project_id": other}).json()["data"] == []
        assert theirs["id"] not in within.get("/v1/keys").text
        mine = within.post("/v1/keys", json={"name": "n", "scopes": ["keys:read"]})
        assert mine.status_code == 201


def test_both_keys_work_while_they_overlap(api: RunningApi, client: httpx.Client, owner: IssuedKey) -> None:
    old = client.post("/v1/keys", json={"name": "service", "expires_in_seconds": 7200}).json()
    new = client.post(f"/v1/keys/{old['id']}/rotate", json={"overlap_seconds": 2}).json()
    assert new["key"] != old["key"]
    assert (new["name"], new["scopes"], new["project_id"]) == (old["name"], old["scopes"], old["project_id"])
    life = datetime.fromisoformat(new["expires_at"]) - datetime.fromisoformat(new["created_at"])
    assert life == timedelta(seconds=7200)
    shown = client.get(f"/v1/keys/{old['id']}").json()
    assert (shown["state"], shown["replaced_by"]) == ("rotating", new["id"])
    refused(client.post(f"/v1/keys/{old['id']}/rotate"), 409, "key_not_active")
    with api.client(old["key"]) as before, api.client(new["key"]) as after:
        assert before.get("/v1/jobs").status_code == 200
        assert after.get("/v1/jobs").status_code == 200
        wait_until(lambda: before.get("/v1/jobs").status_code == 401, timeout_seconds=6, what="the end of the overlap")
        refused(before.get("/v1/jobs"), 401, "key_expired")
        assert after.get("/v1/jobs").status_code == 200
    assert client.get(f"/v1/keys/{old['id']}").json()["state"] == "expired"
    assert old["id"] not in [each["id"] for each in client.get("/v1/keys").json()["data"]]
    assert old["id"] in [each["id"] for each in client.get("/v1/keys?ended=true").json()["data"]]
    rotated = [each for each in audit_trail(api.settings, owner.organization_id) if each["action"] == "api:key:rotate"]
    assert rotated[0]["detail"] == {"replaced_by": new["id"], "overlap_seconds": 2}


def test_the_default_overlap_is_a_day_and_never_lengthens_a_life(client: httpx.Client) -> None:
    endless = client.post("/v1/keys", json={"name": "n"}).json()
    short = client.post("/v1/keys", json={"name": "n", "expires_in_seconds": 3600}).json()
    for key in (endless, short):
        assert client.post(f"/v1/keys/{key['id']}/rotate").status_code == 201
    ends = [client.get(f"/v1/keys/{key['id']}").json()["expires_at"] for key in (endless, short)]
    assert ends[1] == short["expires_at"]
    assert datetime.fromisoformat(ends[0]) - datetime.fromisoformat(endless["created_at"]) >= timedelta(days=1)


def test_a_revoked_key_is_refused_by_every_process_within_two_seconds(
    api: RunningApi, client: httpx.Client, owner: IssuedKey
) -> None:
    key = client.post("/v1/keys", json={"name": "leaked"}).json()
    with running_api(api.settings) as second, second.client(key["key"]) as there, api.client(key["key"]) as here:
        assert [each.get("/v1/jobs").status_code for each in (here, there)] == [200, 200]
        assert client.post(f"/v1/keys/{key['id']}/revoke").json()["state"] == "revoked"
        took = wait_until(
            lambda: [each.get("/v1/jobs").status_code for each in (here, there)] == [401, 401],
            timeout_seconds=5,
            what="both refusals",
            pause_seconds=0.02,
        )
        assert took <= 2.0
        refused(here.get("/v1/jobs"), 401, "key_revoked")
    again = client.post(f"/v1/keys/{key['id']}/revoke").json()
    assert again["revoked_at"] == client.get(f"/v1/keys/{key['id']}").json()["revoked_at"]
    revoked = [each for each in audit_trail(api.settings, owner.organization_id) if each["action"] == "api:key:revoke"]
    assert len(revoked) == 1


def test_nothing_is_kept_when_the_record_of_it_cannot_be_written(api: RunningApi, client: httpx.Client) -> None:
    before = len(client.get("/v1/keys?ended=true").json()["data"])
    database = Database(api.settings, application_name="test", pool_size=1)
    trigger = (
        "CREATE FUNCTION pg_temp_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RAISE EXCEPTION ''no record''; END';"
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_inbox FOR EACH ROW EXECUTE FUNCTION pg_temp_refuse()"
    )
    with database.engine.begin() as connection:
        connection.exec_driver_sql(trigger)
    try:
        assert client.post("/v1/keys", json={"name": "n"}).status_code == 500
    finally:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER refuse ON audit_inbox; DROP FUNCTION pg_temp_refuse()")
        database.close()
    assert len(client.get("/v1/keys?ended=true").json()["data"]) == before


def test_last_use_is_seen_soon(api: RunningApi, client: httpx.Client) -> None:
    key = client.post("/v1/keys", json={"name": "n"}).json()
    with api.client(key["key"]) as used:
        used.get("/v1/jobs")
    wait_until(
        lambda: client.get(f"/v1/keys/{key['id']}").json()["last_used_at"] is not None,
        timeout_seconds=6,
        what="the note of its use",
    )


def test_last_use_is_written_once_a_minute_and_off_the_path(settings: Settings) -> None:
    key = issue_key(settings)
    database = Database(settings, application_name="test", pool_size=2)
    rows: list[int] = []

    def used_at() -> datetime | None:
        with database.system() as session:
            found: datetime | None = session.execute(
                text("SELECT last_used_at FROM api_keys WHERE id = :id"), {"id": key.id}
            ).scalar_one()
        return found

    queries: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *arguments: queries.append(str(arguments[2])))
    for _ in range(2):
        # Two processes, each of which has not seen the key yet.
        usage = KeyUsage(database, gather_seconds=0.01)
        usage.start()
        for _ in range(100):
            usage.record_use(key.id)
        assert queries == []
        wait_until(lambda: used_at() is not None, timeout_seconds=5, what="the note")
        usage.close()
        queries.clear()
        rows.append(hash(used_at()))
        queries.clear()
    assert len(set(rows)) == 1
    database.close()


def test_a_use_that_could_not_be_written_is_written_later(settings: Settings) -> None:
    key = issue_key(settings)
    database = Database(settings, application_name="test", pool_size=2)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE api_keys RENAME TO hidden_keys")
    usage = KeyUsage(database, gather_seconds=0.01)
    usage.start()
    usage.record_use(key.id)
    wait_until(lambda: not usage._wake.is_set(), timeout_seconds=5, what="the first try")
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE hidden_keys RENAME TO api_keys")
    usage.close()
    usage._write()
    with database.system() as session:
        query = text("SELECT last_used_at FROM api_keys WHERE id = :id")
        assert session.execute(query, {"id": key.id}).scalar_one() is not None
    database.close()

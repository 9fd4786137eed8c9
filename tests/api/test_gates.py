"""``/v1/quality/runs`` and ``/v1/quality/gates``: what a version has shown lets it be promoted, or not."""

from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from core.kit.ids import BATCH, MODEL_VERSION, decode, encode, new_id
from tests.factories.api import RunningApi, issue_key
from tests.factories.quality import Ended, answer, write_ended
from tests.factories.tenancy import audit_trail

pytestmark = pytest.mark.own_database

VERSION = {"deployment": "local/smollm2", "provider_model": "local/smollm2", "context_window": 4096}
DIGEST = f"sha256:{'a' * 64}"


def ended_batch(api: RunningApi, database_url: str, versions: list[UUID | None], succeeded: int = 10) -> str:
    """A batch that has completed: `succeeded` lines of jobs that used each of `versions` in turn."""
    batch_id = new_id()
    who = api.key
    jobs = [
        Ended(answer(), model_version=str(version) if version else None)
        for version in (versions[number % len(versions)] for number in range(succeeded))
    ]
    ids = write_ended(database_url, who.organization_id, who.project_id, jobs)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO batches (id, organization_id, project_id, state, priority, total, succeeded, started_at,"
            " finished_at, outcome, allowed) VALUES (%s, %s, %s, 'completed', 0, %s, %s, now(), now(), 'completed',"
            " '{}')",
            (batch_id, who.organization_id, who.project_id, succeeded, succeeded),
        )
        connection.execute("UPDATE jobs SET batch_id = %s WHERE id = ANY(%s)", (batch_id, ids))
    return encode(BATCH, batch_id)


def report(client: httpx.Client, batch_id: str, passed: int, checked: int = 10, **more: Any) -> httpx.Response:
    body = {"batch_id": batch_id, "dataset": "golden", "dataset_digest": DIGEST, "checked": checked, "passed": passed}
    return client.post("/v1/quality/runs", json={**body, **more})


def test_a_version_is_promoted_once_its_last_run_is_good_enough(
    api: RunningApi, client: httpx.Client, database_url: str
) -> None:
    model = client.post("/v1/models", json={"name": "answers"}).json()["id"]
    versions = [client.post(f"/v1/models/{model}/versions", json=VERSION).json()["id"] for _ in range(2)]
    second = decode(MODEL_VERSION, versions[1])

    def promote(number: int) -> httpx.Response:
        return client.post(f"/v1/models/{model}/promote", json={"version": number, "reason": "better"})

    assert promote(1).status_code == 200
    gate = {"dataset": "golden", "min_share": 0.9, "min_cases": 10}
    assert client.put(f"/v1/quality/gates/{model}", json=gate).json()["min_share"] == 0.9
    assert [each["model_id"] for each in client.get("/v1/quality/gates").json()["data"]] == [model]
    refused = promote(2)
    assert (refused.status_code, refused.json()["code"]) == (409, "quality_gate_not_passed")
    assert "no run of it is recorded" in refused.json()["detail"]
    # What there is not, is refused for that.
    assert promote(9).json()["code"] == "model_version_not_found"

    bad = report(client, ended_batch(api, database_url, [second]), 8)
    assert bad.status_code == 201, bad.text
    assert (bad.json()["model_version"], bad.json()["cases"]) == (versions[1], 10)
    assert "passed 8 of 10" in promote(2).json()["detail"]
    # Too few cases, another data set, another version: none of it counts.
    assert report(client, ended_batch(api, database_url, [second]), 9, 9).status_code == 201
    assert report(client, ended_batch(api, database_url, [second]), 10, dataset="other").status_code == 201
    assert report(client, ended_batch(api, database_url, [decode(MODEL_VERSION, versions[0])]), 10).status_code == 201
    assert promote(2).status_code == 409
    assert report(client, ended_batch(api, database_url, [second]), 9).status_code == 201
    assert promote(2).json()["champion"] == 2
    # Back is always possible.
    assert client.post(f"/v1/models/{model}/rollback", json={"reason": "worse"}).json()["champion"] == 1
    assert client.delete(f"/v1/quality/gates/{model}").status_code == 204
    assert client.delete(f"/v1/quality/gates/{model}").json()["code"] == "quality_gate_not_found"
    found = client.get("/v1/quality/runs", params={"model_version": versions[1]}).json()["data"]
    assert [each["passed"] for each in found] == [9, 10, 9, 8]
    actions = {each["action"] for each in audit_trail(api.settings, api.key.organization_id)}
    assert {"api:quality_run:create", "api:quality_gate:set", "api:quality_gate:remove"} <= actions


def test_a_run_is_of_one_ended_batch_and_one_version(api: RunningApi, client: httpx.Client, database_url: str) -> None:
    batch = ended_batch(api, database_url, [new_id()])
    assert report(client, batch, 11).status_code == 422
    assert report(client, batch, 10, 11).status_code == 422
    assert report(client, batch, 3).status_code == 201
    assert report(client, batch, 10).json()["code"] == "quality_run_not_recordable"
    for versions in ([None], [new_id(), new_id()]):
        mixed = report(client, ended_batch(api, database_url, list(versions)), 10)
        assert (mixed.status_code, mixed.json()["code"]) == (409, "quality_run_not_recordable")
    lines = [{"custom_id": "a", "input": {"act": "noop"}}]
    open_batch = client.post("/v1/batches", json={"capability": "probe.act", "lines": lines}).json()["id"]
    assert report(client, open_batch, 0).json()["code"] == "quality_run_not_recordable"
    with api.client(issue_key(api.settings, project="other", scopes=("quality:read", "quality:write"))) as other:
        assert report(other, ended_batch(api, database_url, [new_id()]), 10).status_code == 404
        assert other.get("/v1/quality/runs").json()["data"] == []

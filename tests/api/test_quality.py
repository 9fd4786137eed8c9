"""``/v1/quality``: summaries, series and alerts, for whom they are."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from core.kit.db import Database
from core.kit.ids import JOB, MODEL_VERSION, PROJECT, encode, new_id
from tests.factories.api import RunningApi, issue_key
from tests.factories.quality import SEARCH, Collector, Ended, answer, write_alert, write_ended

pytestmark = pytest.mark.own_database

DAY = datetime(2026, 11, 3, 10, 30, tzinfo=UTC)
WINDOW = {"from": "2026-11-01", "to": "2026-12-01"}


@pytest.fixture(scope="module")
def written(api: RunningApi, database_url: str) -> str:
    """Two days of two versions of one capability, and one job of another; returns the id of a version."""
    version = new_id()
    jobs = [
        *(Ended(answer(3, 1, prompt="sha256:one"), model_version=str(version), ended_at=DAY) for _ in range(60)),
        *(Ended(answer(2, 2, prompt="sha256:two"), ended_at=DAY + timedelta(days=2)) for _ in range(20)),
        Ended({"text": "Hello", "finish": "length"}, capability="models.chat", ended_at=DAY),
    ]
    write_ended(database_url, api.key.organization_id, api.key.project_id, jobs)
    database = Database(api.settings, application_name="test-quality", pool_size=2)
    Collector(api.settings, database).collect(len(jobs))
    database.close()
    return encode(MODEL_VERSION, version)


def lines(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    found = client.get("/v1/quality", params={**WINDOW, **query})
    assert found.status_code == 200, found.text
    data: list[dict[str, Any]] = found.json()["data"]
    return data


def test_a_summary_is_by_version_with_intervals(client: httpx.Client, written: str) -> None:
    found = lines(client, capability=SEARCH, signal="quotes_verified")
    assert [(each["model_version"], each["jobs"], each["estimate"]) for each in found] == [
        ("", 20, 0.5),
        (written, 60, 0.75),
    ]
    better = found[1]
    assert (better["kind"], better["worse"], better["unit"], better["prompt_version"]) == ("rate", "lower", "", None)
    assert better["low"] < 0.75 < better["high"]
    [pooled] = lines(client, capability=SEARCH, signal="quotes_verified", group_by="project")
    assert pooled["estimate"] == (180 + 40) / (240 + 80)
    by_prompt = lines(client, capability=SEARCH, signal="quotes_verified", group_by="prompt_version")
    assert {each["prompt_version"] for each in by_prompt} == {"sha256:one", "sha256:two"}
    assert {each["signal"] for each in lines(client, capability="models.chat")} >= {"cut_off", "result_length"}
    # A mean of fewer than 50 jobs has no bounds yet.
    [few] = lines(client, capability="models.chat", signal="result_length")
    assert (few["estimate"], few["low"], few["high"], few["unit"]) == (5.0, None, None, "characters")
    assert lines(client, model_version=written, prompt_version="sha256:two") == []


def test_a_series_has_a_point_for_each_day_or_hour(client: httpx.Client, written: str) -> None:
    query = {**WINDOW, "capability": SEARCH, "signal": ["quotes_verified", "succeeded"]}
    found = client.get("/v1/quality/series", params=query).json()
    assert [(each["signal"], each["model_version"]) for each in found["data"]] == [
        ("quotes_verified", ""),
        ("quotes_verified", written),
        ("succeeded", ""),
        ("succeeded", written),
    ]
    [point] = found["data"][0]["points"]
    assert (point["start"], point["jobs"]) == ("2026-11-05T00:00:00.000000Z", 20)
    hours = client.get("/v1/quality/series", params={**query, "step": "hour", "group_by": "project"}).json()
    assert [each["start"][:13] for each in hours["data"][0]["points"]] == ["2026-11-03T10", "2026-11-05T10"]
    for wrong in ({"step": "minute"}, {"signal": "happiness"}, {"from": "2026-12-02"}, {"group_by": "key"}):
        assert client.get("/v1/quality/series", params={**query, **wrong}).status_code == 422


def test_a_narrowed_key_sees_its_capabilities_and_a_projects_key_its_project(api: RunningApi, written: str) -> None:
    with api.client(issue_key(api.settings, scopes=("quality:read", "capability:models.chat"))) as narrow:
        assert {each["capability"] for each in lines(narrow)} == {"models.chat"}
        assert lines(narrow, capability=SEARCH) == []
    assert written
    with api.client(issue_key(api.settings, project="other", scopes=("quality:read",))) as other:
        assert lines(other) == []
        refused = other.get("/v1/quality", params={"project": encode(PROJECT, api.key.project_id)})
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    with api.client(
        issue_key(api.settings, project="third", scopes=("quality:read", "organization:read"))
    ) as all_of_it:
        assert {each["capability"] for each in lines(all_of_it)} == {SEARCH, "models.chat"}
    with api.client(issue_key(api.settings, scopes=("jobs:read",))) as without:
        assert without.get("/v1/quality").status_code == 403


def test_an_alert_is_read_acknowledged_and_closed_once(
    api: RunningApi, client: httpx.Client, database_url: str
) -> None:
    alert_id = write_alert(api.settings, api.key.organization_id)
    path = f"/v1/quality/alerts/{alert_id}"
    found = client.get(path).json()
    assert (found["state"], found["baseline"]["mean"], found["observed"]["jobs"]) == ("open", 0.9, 120)
    assert len(found["job_ids"]) == 10
    assert all(each.startswith(f"{JOB}_") for each in found["job_ids"])
    assert alert_id in [each["id"] for each in client.get("/v1/quality/alerts?state=open").json()["data"]]
    with api.client(issue_key(api.settings, scopes=("quality:read", "capability:models.chat"))) as narrow:
        assert narrow.get(path).status_code == 404
        assert narrow.post(f"{path}/close", json={}).status_code == 403
        assert narrow.get("/v1/quality/alerts").json()["data"] == []
    taken = client.post(f"{path}/acknowledge", headers={"Idempotency-Key": "a"})
    assert (taken.json()["state"], taken.json()["acknowledged_by"] is not None) == ("acknowledged", True)
    refused = client.post(f"{path}/acknowledge")
    assert (refused.status_code, refused.json()["code"]) == (409, "quality_alert_not_open")
    closed = client.post(f"{path}/close", json={"reason": "a new corpus", "is_new_normal": True})
    assert (closed.json()["state"], closed.json()["reason"]) == ("closed", "a new corpus")
    assert client.post(f"{path}/close", json={}).status_code == 409
    with psycopg.connect(database_url) as connection:
        [[state]] = connection.execute(
            "SELECT state FROM quality_streams WHERE signal = 'quotes_verified' AND model_version = ''"
            " AND organization_id = %s",
            [api.key.organization_id],
        ).fetchall()
        actions = connection.execute(
            "SELECT action FROM audit_inbox WHERE subject_id = %s ORDER BY action", [alert_id]
        ).fetchall()
    assert state["recent"]["count"] == 0
    assert [action for (action,) in actions] == ["api:quality_alert:acknowledge", "api:quality_alert:close"]
    assert client.get("/v1/quality/alerts/qal_00000000000000000000000000").json()["code"] == "quality_alert_not_found"

"""``POST /v1/jobs/{job_id}/feedback``."""

import httpx
import psycopg
import pytest

from core.kit.ids import JOB, decode
from tests.factories.api import RunningApi, issue_key
from tests.factories.tenancy import audit_trail

WORDS = "the second source says otherwise"


@pytest.fixture
def job_id(client: httpx.Client) -> str:
    made: str = client.post("/v1/jobs", json={"capability": "probe.act", "input": {"act": "noop"}}).json()["id"]
    return made


def test_a_rating_is_taken_down_once_a_key_and_its_words_stay_out_of_the_trail(
    api: RunningApi, client: httpx.Client, job_id: str, database_url: str
) -> None:
    path = f"/v1/jobs/{job_id}/feedback"
    early = client.post(path, json={"score": 1})
    assert (early.status_code, early.json()["code"]) == (409, "job_not_finished")
    client.post(f"/v1/jobs/{job_id}/cancel")
    first = client.post(path, json={"score": 0.123456, "comment": WORDS}, headers={"Idempotency-Key": "once"})
    assert first.status_code == 200, first.text
    assert (first.json()["score"], first.json()["comment"]) == (0.1235, WORDS)
    again = client.post(path, json={"score": 0.123456, "comment": WORDS}, headers={"Idempotency-Key": "once"})
    assert again.headers["idempotent-replayed"] == "true"
    assert client.post(path, json={"score": 1}).json()["comment"] is None
    with api.client(issue_key(api.settings)) as other:
        assert other.post(path, json={"score": 0}).status_code == 200
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT score::float8, comment FROM job_feedback WHERE job_id = %s ORDER BY score", [decode(JOB, job_id)]
        ).fetchall()
    assert rows == [(0.0, None), (1.0, None)]
    reported = [
        record for record in audit_trail(api.settings, api.key.organization_id) if record["subject_id"] == job_id
    ]
    ratings = [record["detail"] for record in reported if record["action"] == "api:job:rate"]
    assert ratings[0] == {"score": "0.1235", "has_comment": True}
    assert len(ratings) == 3
    assert WORDS not in str(reported)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "body.score"),
        ({"score": 1.1}, "body.score"),
        ({"score": -1}, "body.score"),
        ({"score": 1, "comment": "x" * 4001}, "body.comment"),
        ({"score": 1, "stars": 5}, "body.stars"),
    ],
)
def test_bad_input_names_the_field(client: httpx.Client, job_id: str, body: dict[str, object], path: str) -> None:
    refused = client.post(f"/v1/jobs/{job_id}/feedback", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["path"] == path

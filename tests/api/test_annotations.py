"""``/v1/quality/annotations``: jobs are chosen, labeled by two, and their labels become signals."""

from typing import Any

import httpx
import psycopg
import pytest

from core.jobs.retention import repository as retention
from core.kit.db import Database
from core.kit.ids import JOB, decode, encode
from tests.factories.api import RunningApi, issue_key
from tests.factories.quality import SEARCH, Collector, Ended, answer, write_ended
from tests.factories.tenancy import audit_trail

pytestmark = pytest.mark.own_database

PATH = "/v1/quality/annotations"
NOTE = "the deadline is ten days, says page 3"


@pytest.fixture(scope="module")
def database(api: RunningApi) -> Any:
    opened = Database(api.settings, application_name="test-annotations", pool_size=2)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def job_ids(api: RunningApi, database: Database, database_url: str) -> list[str]:
    """Ten good results, and then two doubtful ones."""
    jobs = [*(Ended(answer()) for _ in range(10)), Ended(answer(1, 3)), Ended(answer(0, 0, answered=False))]
    written = write_ended(database_url, api.key.organization_id, api.key.project_id, jobs)
    Collector(api.settings, database).collect(len(jobs))
    return [encode(JOB, job_id) for job_id in written]


def test_results_are_chosen_and_labeled_by_two(
    api: RunningApi, client: httpx.Client, database: Database, database_url: str, job_ids: list[str]
) -> None:
    doubtful = client.post(PATH, json={"capability": SEARCH, "how": "uncertain", "count": 2, "labels_wanted": 2})
    assert doubtful.status_code == 201, doubtful.text
    assert set(doubtful.json()["job_ids"]) == set(job_ids[-2:])
    chosen = client.post(PATH, json={"capability": SEARCH, "count": 4, "labels_wanted": 2}).json()["job_ids"]
    assert len(chosen) == 4
    # Nobody is asked twice.
    assert set(chosen) <= set(job_ids[:-2])
    assert client.post(PATH, json={"how": "named", "job_ids": [chosen[0]]}).json()["job_ids"] == []
    case = client.get(f"{PATH}/{job_ids[-1]}").json()
    assert (case["how"], case["result"]["answered"]) == ("uncertain", False)
    assert case["input"] == {"query": "How long may a claim be filed?"}
    other = next(each for each in job_ids if each not in {*chosen, *job_ids[-2:]})
    assert client.get(f"{PATH}/{other}").json()["code"] == "quality_annotation_not_found"
    with api.client(issue_key(api.settings, scopes=("quality:write",))) as blind:
        assert blind.get(f"{PATH}/{job_ids[-1]}").json()["code"] == "scope_missing"
    queue = {*chosen, *job_ids[-2:]}
    assert {each["job_id"] for each in client.get(PATH).json()["data"]} == queue
    with api.client(issue_key(api.settings, scopes=("quality:read", "quality:write"))) as second:
        for number, job_id in enumerate(sorted(queue)):
            path = f"{PATH}/{job_id}/labels"
            mine = client.post(path, json={"verdict": "bad" if number < 3 else "good", "note": NOTE})
            assert mine.status_code == 200, mine.text
            theirs = second.post(path, json={"verdict": "bad" if number < 2 else "good"})
            assert theirs.json()["labeler"] != mine.json()["labeler"]
        assert client.get(PATH).json()["data"] == []
        assert {each["labels"] for each in client.get(PATH, params={"open": "false"}).json()["data"]} == {2}
        [pair] = client.get(f"{PATH}/agreement", params={"capability": SEARCH}).json()["data"]
        assert (pair["jobs"], pair["share"]) == (6, pytest.approx(5 / 6))
        assert pair["kappa"] == pytest.approx(2 / 3)
        # The last word of each counts, in the queue and as a signal.
        first = min(queue)
        again = second.post(f"{PATH}/{first}/labels", json={"verdict": "good", "expected": {"answer": "ten days"}})
        assert again.json()["expected"] == {"answer": "ten days"}
    said = client.get(f"{PATH}/{first}/labels").json()["data"]
    assert [(each["verdict"], each["note"]) for each in said] == [("bad", NOTE), ("good", None)]
    Collector(api.settings, database).collect(rated=6)
    query = {"signal": "labeled_good", "group_by": "project"}
    [line] = client.get("/v1/quality", params=query).json()["data"]
    assert (line["jobs"], line["estimate"]) == (6, pytest.approx((0.5 + 0 + 0.5 + 3) / 6))
    # The words go with the payload, the verdict stays; neither is in the trail.
    with database.system() as session:
        retention.blank(session, [decode(JOB, first)])
    said = client.get(f"{PATH}/{first}/labels").json()["data"]
    assert [(each["verdict"], each["note"], each["expected"]) for each in said] == [
        ("bad", None, None),
        ("good", None, None),
    ]
    trail = audit_trail(api.settings, api.key.organization_id)
    assert NOTE not in str(trail)
    assert [each["action"] for each in trail].count("api:job:label") == 13
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM quality_pending").fetchone() == (0,)


def test_who_may_not_read_a_job_may_not_label_it(api: RunningApi, client: httpx.Client, job_ids: list[str]) -> None:
    path = f"{PATH}/{job_ids[0]}/labels"
    with api.client(issue_key(api.settings, project="other", scopes=("quality:read", "quality:write"))) as other:
        assert other.post(path, json={"verdict": "good"}).json()["code"] == "job_not_found"
        assert other.get(path).status_code == 404
        assert other.post(PATH, json={"how": "named", "job_ids": [job_ids[0]]}).status_code == 404
        assert other.post(PATH, json={"capability": SEARCH}).json()["job_ids"] == []
        assert other.get(PATH, params={"open": "false"}).json()["data"] == []
        assert other.get(f"{PATH}/agreement").json()["data"] == []
    with api.client(issue_key(api.settings, scopes=("quality:write", "capability:models.chat"))) as narrow:
        assert narrow.post(path, json={"verdict": "good"}).status_code == 404
        assert narrow.post(PATH, json={"capability": SEARCH}).json()["job_ids"] == []
    running = client.post("/v1/jobs", json={"capability": "probe.act", "input": {"act": "noop"}}).json()["id"]
    assert client.post(f"{PATH}/{running}/labels", json={"verdict": "good"}).json()["code"] == "job_not_finished"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"how": "named"},
        {"how": "named", "job_ids": ["x"]},
        {"capability": SEARCH, "job_ids": ["job_01jd3q8v9tfq8a1b2c3d4e5f6g"]},
        {"capability": SEARCH, "count": 0},
        {"capability": SEARCH, "labels_wanted": 6},
    ],
)
def test_bad_input_is_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    assert client.post(PATH, json=body).status_code == 422

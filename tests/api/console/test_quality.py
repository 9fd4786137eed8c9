"""Overview, quality and experiments in the console: known values, and acts with their audit records."""

import re
from collections.abc import Iterator
from html import unescape

import psycopg
import pytest

from core.kit.ids import JOB, encode
from tests.factories.api import RunningApi
from tests.factories.browser import Browser
from tests.factories.console_figures import fill, made_figures, url_of
from tests.factories.quality import Ended, write_ended
from tests.factories.tenancy import audit_trail

# Its figures are settlements that no model call had.
pytestmark = pytest.mark.own_database

TEXT = "plain"


@pytest.fixture(scope="module")
def things(api: RunningApi) -> dict[str, str]:
    made = made_figures(api, TEXT)
    fill(api, made["experiment_id"], days=2)
    return made


@pytest.fixture(scope="module")
def browser(api: RunningApi, things: dict[str, str]) -> Iterator[Browser]:
    assert things
    with Browser(api) as opened:
        yield opened.sign_in(api.key)


def words(page: str) -> str:
    """The text of a page, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def records(api: RunningApi, subject: str) -> list[str]:
    trail = audit_trail(api.settings, api.key.organization_id)
    return [each["action"] for each in trail if each["subject_id"] == subject]


def test_the_overview_agrees_with_the_api(api: RunningApi, browser: Browser) -> None:
    page = words(browser.get("/console/overview?span=7d").text)
    with api.client() as client:
        found = client.get("/v1/metrics", params={"group_by": "capability", "interval": "day"}).json()
    assert found["backlog"], "the queue is counted"
    assert "Queued 14 " in page
    assert "Running 6 " in page
    for line in found["backlog"]:
        assert f"{line['capability']} {line['state']} {line['jobs']}" in page
    assert re.search(r"local plain 1 0 .* not priced", page)
    part = browser.part("/console/overview?span=7d")
    assert "<html" not in part.text
    assert browser.get("/console/overview?span=2y").status_code == 422


def test_signals_have_the_apis_intervals(api: RunningApi, browser: Browser) -> None:
    with api.client() as client:
        window = {"group_by": "model_version", "signal": "quotes_verified"}
        [line] = client.get("/v1/quality", params=window).json()["data"]
    page = words(browser.get("/console/quality?span=7d&capability=knowledge.search&signal=quotes_verified").text)
    low, high = (f"{line[end] * 100:.1f} %" for end in ("low", "high"))
    assert f"local/smollm2 {line['jobs']} {line['estimate'] * 100:.1f} % {low} {high}" in page
    assert "quotes verified of knowledge.search, by day" in page
    assert browser.get("/console/quality?signal=nothing").status_code == 422


def test_a_change_is_handled_and_closed(api: RunningApi, browser: Browser, things: dict[str, str]) -> None:
    where = f"/console/quality/alerts/{things['alert_id']}"
    page = browser.get(where).text
    assert "Before 90.0 % 1,000 jobs Since 70.0 % 120 jobs" in words(page)
    assert len(re.findall(r'href="/console/jobs/job_\w+"', page)) == 10
    assert browser.post(f"{where}/acknowledge").status_code == 303
    assert browser.post(f"{where}/close", {"reason": "rolled back"}).status_code == 303
    closed = browser.get(where).text
    assert "rolled back" in closed
    assert f'action="{where}/close"' not in closed
    assert records(api, things["alert_id"])[-2:] == ["api:quality_alert:acknowledge", "api:quality_alert:close"]
    assert browser.get("/console/quality/alerts?state=closed").text.count(things["alert_id"]) == 1
    assert things["alert_id"] not in browser.get("/console/quality/alerts?state=open").text


def test_a_result_is_labeled(api: RunningApi, browser: Browser, things: dict[str, str]) -> None:
    where = f"/console/quality/labels/{things['case_id']}"
    assert things["case_id"] in browser.get("/console/quality/labels").text
    assert browser.post(where, {"verdict": "excellent"}).status_code == 422
    assert browser.post(where, {"verdict": "bad", "note": "too short"}).status_code == 303
    assert "too short" in browser.get(where).text
    assert "api:job:label" in records(api, things["case_id"])
    assert things["case_id"] not in browser.get("/console/quality/labels").text


def test_jobs_are_added_to_the_queue(api: RunningApi, browser: Browser) -> None:
    browser.get("/console/quality/labels")
    fields = {"capability": "knowledge.search", "how": "random", "count": "5", "days": "7", "labels_wanted": "1"}
    assert "form.count" in browser.post("/console/quality/labels", {**fields, "count": "many"}).text
    url = url_of(api)
    owner = (api.key.organization_id, api.key.project_id)
    [job_id] = write_ended(url, *owner, [Ended({"answer": TEXT})])
    with psycopg.connect(url) as connection:
        # As the collector writes it, before a result can be drawn.
        connection.execute(
            "INSERT INTO quality_signals (job_id, signal, organization_id, project_id, capability, model_version,"
            " prompt_version, is_shadow, numerator, denominator, ended_at)"
            " VALUES (%s, 'succeeded', %s, %s, 'knowledge.search', '', '', false, 1, 1, now())",
            (job_id, *owner),
        )
    before = len(audit_trail(api.settings, api.key.organization_id))
    assert browser.post("/console/quality/labels", fields).status_code == 303
    assert encode(JOB, job_id) in browser.get("/console/quality/labels").text
    added = audit_trail(api.settings, api.key.organization_id)[before:]
    assert [each["action"] for each in added] == ["api:quality_annotation:create"]


def test_runs_are_compared_with_the_one_before(browser: Browser) -> None:
    page = words(browser.get("/console/quality/runs").text)
    assert "100 90 90.0 %" in page
    assert "+10.0 points" in page
    assert "plain 90.0 % 50" in page


def test_an_experiment_shows_what_the_api_says_and_is_promoted_and_stopped(
    api: RunningApi, browser: Browser, things: dict[str, str]
) -> None:
    where = f"/console/quality/experiments/{things['experiment_id']}"
    with api.client() as client:
        found = client.get(f"/v1/experiments/{things['experiment_id']}/results").json()
    success = found["comparisons"][0]["differences"]["success"]
    page = words(browser.get(where).text)
    assert f"success {success['estimate'] * 100:+.1f} points {success['low'] * 100:+.1f} points" in page
    assert f"Units {found['progress']['units']:,}" in page
    assert "at most 1.25 \N{MULTIPLICATION SIGN} the control" in page
    assert browser.post(f"{where}/pause", {"reason": "a look"}).status_code == 303
    assert browser.post(f"{where}/start").status_code == 303
    assert "form.arm" in browser.post(f"{where}/promote", {"arm": ""}).text
    assert browser.post(f"{where}/promote", {"arm": TEXT, "reason": "better"}).status_code == 303
    assert f'action="{where}/pause"' not in browser.get(where).text
    assert browser.post(f"{where}/rollback").status_code == 409
    assert browser.post(f"{where}/stop").status_code == 303
    made = [each for each in records(api, things["experiment_id"]) if each.startswith("api:")]
    acts = ["create", "start", "pause", "start", "promote", "stop"]
    assert made == [f"api:experiment:{act}" for act in acts]
    assert "stopped" in words(browser.get("/console/quality/experiments?state=stopped").text)

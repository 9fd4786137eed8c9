"""Jobs and approvals in the console: what they show, and that acts are those of the API, with its audit records."""

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import urlencode

import httpx
import pytest

from api.console.jobs.comparison import LINES_MAX, difference
from core.jobs.states import JobState
from core.kit.data_classes import DataClass
from core.kit.ids import JOB, decode
from tests.factories.api import RunningApi, issue_key, running_api
from tests.factories.attempts import Attempt, worker_services
from tests.factories.browser import Browser
from tests.factories.console_things import HOSTILE, made_things, submit
from tests.factories.tenancy import audit_trail

PLAIN = "a plain text"


@pytest.fixture(scope="module")
def things(api: RunningApi) -> Iterator[dict[str, str]]:
    with made_things(api, PLAIN) as made:
        yield made


@pytest.fixture(scope="module")
def browser(api: RunningApi) -> Iterator[Browser]:
    with Browser(api) as opened:
        yield opened.sign_in(api.key)


def ids(page: httpx.Response) -> list[str]:
    return re.findall(r'id="row-(job_\w+)"', page.text)


def records(api: RunningApi, job_id: str) -> list[str]:
    trail = audit_trail(api.settings, api.key.organization_id)
    return [each["action"] for each in trail if each["subject_id"] == job_id]


def test_the_list_filters_by_what_its_address_says(browser: Browser, things: dict[str, str]) -> None:
    everything = ids(browser.get("/console/jobs"))
    assert set(everything) >= {things[name] for name in ("job_id", "running_id", "ended_id", "failed_id", "asking_id")}
    for query, expected in (
        ({"state": "failed"}, {things["failed_id"]}),
        ({"reason": "provider_unavailable"}, {things["failed_id"]}),
        ({"capability": "probe.ask", "state": "waiting"}, {things["asking_id"]}),
        ({"label": f"note={PLAIN}", "state": "succeeded", "since": "1h"}, {things["ended_id"]}),
        ({"label": "note=something else"}, set()),
        ({"model": "a/model"}, set()),
        ({"min_cost": "1"}, set()),
        ({"min_seconds": "3600"}, set()),
        ({"state": "", "capability": "", "label": "", "min_cost": ""}, set(everything)),
    ):
        assert set(ids(browser.get(f"/console/jobs?{urlencode(query)}"))) == expected, query
    assert "No job matches these filters" in browser.get("/console/jobs?reason=nothing").text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=odd", "query.state"),
        ("key=odd", "query.key"),
        ("label=odd", "query.label"),
        ("min_cost=NaN", "query.min_cost"),
        ("min_seconds=-1", "query.min_seconds"),
        ("since=1y", "query.since"),
        ("cursor=odd", "query.cursor"),
    ],
)
def test_a_filter_that_is_not_valid_is_named(browser: Browser, query: str, field: str) -> None:
    answer = browser.get(f"/console/jobs?{query}")
    assert answer.status_code == 422
    assert field in answer.text


def test_rows_stay_and_new_jobs_are_counted(api: RunningApi, browser: Browser, things: dict[str, str]) -> None:
    page = browser.get("/console/jobs")
    where = re.search(r'hx-get="([^"]*top=[^"]*)"', page.text)
    assert where is not None
    before = ids(page)
    with api.client() as client:
        new = submit(client, text=PLAIN)
    part = browser.part(unescape(where[1]))
    assert ids(part) == before
    seen = re.search(r'name="seen" value="(\w+)"', part.text)
    assert seen is not None
    assert "1 new" in part.text
    assert "<html" not in part.text
    assert new in ids(browser.get("/console/jobs"))


def test_rows_that_have_not_changed_are_not_drawn_again(api: RunningApi) -> None:
    key = issue_key(api.settings, project="quiet")
    with api.client(key) as client, Browser(api) as reader:
        job_id = submit(client, text=PLAIN)
        page = reader.sign_in(key).get("/console/jobs").text
        seen = re.search(r'name="seen" value="(\w+)"', page)
        assert seen is not None
        where = f"/console/jobs?top={job_id}&seen={seen[1]}"
        assert reader.part(where).status_code == 204
        client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
        changed = reader.part(where)
        assert changed.status_code == 200
        assert "state-cancelled" in changed.text


def test_pages_follow_each_other_without_gaps(api: RunningApi) -> None:
    key = issue_key(api.settings, project="paged")
    with api.client(key) as client, Browser(api) as reader:
        made = [submit(client, text=PLAIN) for _ in range(53)]
        first = reader.sign_in(key).get("/console/jobs")
        older = re.search(r'href="([^"]*cursor=[^"]*)" rel="next"', first.text)
        assert older is not None
        second = reader.get(unescape(older[1]))
        assert ids(first) + ids(second) == made[::-1]
        assert 'rel="next"' not in second.text
        assert "Newest" in second.text


def test_the_jobs_of_all_projects_are_listed_for_those_who_may_see_them(api: RunningApi) -> None:
    scopes = ("jobs:read", "jobs:write", "projects:read", "organization:read")
    here, there = (
        issue_key(api.settings, organization="wide-console", project=name, scopes=scopes) for name in ("here", "there")
    )
    made = []
    for key in (here, there):
        with api.client(key) as client:
            made.append(submit(client, text=PLAIN))
    with Browser(api) as reader:
        reader.sign_in(here)
        assert ids(reader.get("/console/jobs")) == made[:1]
        everything = reader.get("/console/jobs?project=all")
        assert ids(everything) == made[::-1]
        assert "<td>there</td>" in everything.text
        # A job of another project is neither opened nor changed from here.
        assert f'value="{made[0]}"' in everything.text
        assert f'value="{made[1]}"' not in everything.text
        assert f'href="/console/jobs/{made[1]}"' not in everything.text
        other = re.search(r'value="(prj_\w+)">there<', everything.text)
        assert other is not None
        assert ids(reader.get(f"/console/jobs?project={other[1]}")) == made[1:]
        reader.sign_in(issue_key(api.settings, organization="wide-console", project="here", scopes=("jobs:read",)))
        assert 'name="project"' not in reader.get("/console/jobs").text
        assert reader.get("/console/jobs?project=all").status_code == 403


def test_views_are_saved_for_their_owner(api: RunningApi, things: dict[str, str]) -> None:
    mine, theirs = issue_key(api.settings), issue_key(api.settings)
    with Browser(api) as reader, Browser(api) as other:
        reader.sign_in(mine)
        other.sign_in(theirs)
        saved = reader.post(
            "/console/jobs/views", {"name": "  <b>lost", "query": "capability=&state=failed&since=&cursor=x"}
        )
        assert saved.headers["location"] == "/console/jobs?state=failed"
        shown = reader.open("/console/jobs").text
        assert '<a href="/console/jobs?state=failed">&lt;b&gt;lost</a>' in shown
        chosen = reader.get("/console/jobs?state=failed")
        assert things["failed_id"] in ids(chosen)
        delete = re.search(r'action="(/console/jobs/views/view_\w+/delete)"', chosen.text)
        assert delete is not None
        assert "Save this view" not in chosen.text
        assert "Save this view" in reader.get("/console/jobs?state=running").text
        # The same name again replaces it.
        reader.post("/console/jobs/views", {"name": "<b>lost", "query": "state=running&state=failed&min_cost=0.5"})
        assert "/console/jobs?state=running&amp;state=failed&amp;min_cost=0.5" in reader.get("/console/jobs").text
        assert "lost</a>" not in other.get("/console/jobs").text
        assert other.post(delete[1]).status_code == 404
        for fields, wrong in (
            ({"name": "a", "query": "state=odd"}, "query.state"),
            ({"name": "", "query": "state=failed"}, "form.name"),
            ({"name": "x" * 61, "query": "state=failed"}, "form.name"),
            ({"name": "a", "query": "state="}, "form.query"),
        ):
            refused = reader.post("/console/jobs/views", fields)
            assert (refused.status_code, wrong in refused.text) == (422, True), wrong
        assert reader.post(delete[1]).status_code == 303
        assert "lost</a>" not in reader.get("/console/jobs").text
    trail = audit_trail(api.settings, mine.organization_id)
    view = delete[1].split("/")[-2]
    assert [each["action"] for each in trail if each["subject_id"] == view] == [
        "api:view:save",
        "api:view:save",
        "api:view:delete",
    ]


def test_two_jobs_are_compared(api: RunningApi, browser: Browser, things: dict[str, str]) -> None:
    ended, failed = things["ended_id"], things["failed_id"]
    offered = browser.get(f"/console/jobs/{ended}/diff").text
    assert f'href="/console/jobs/{ended}/diff?with={failed}"' in offered
    assert f'href="/console/jobs/{ended}/diff?with={ended}"' not in offered
    page = browser.get(f"/console/jobs/{ended}/diff?with={failed}").text
    assert '<tr class="differs"><th scope="row" class="fine">State</th><td class="wide">succeeded</td>' in page
    assert "The same in both." in page
    assert "Not there for both jobs" in page
    stranger = issue_key(api.settings, project="elsewhere")
    with Browser(api) as other, api.client(stranger) as client:
        theirs = submit(client, text=PLAIN)
        assert other.sign_in(stranger).get(f"/console/jobs/{theirs}/diff?with={ended}").status_code == 404
        assert ended not in other.get(f"/console/jobs/{theirs}/diff").text


def test_a_difference_shows_what_changed_and_no_more_than_a_page() -> None:
    long = "y" * 5000
    found = difference({"text": "one\ntwo\nthree", "a": 1}, {"text": "one\n2\nthree", "a": [long]})
    changed = [(line.sign, line.text.strip()) for line in found.lines if line.sign in "+-"]
    assert changed[:2] == [("-", "two\\n"), ("+", "2\\n")]
    assert max(len(line.text) for line in found.lines) <= 1001
    assert not found.is_cut
    # What differs only beyond what is shown of a line still differs.
    assert difference([long + "a"], [long + "b"]).lines
    assert not difference([long], [long]).lines
    many = difference(list(range(5000)), [])
    assert many.is_cut
    assert len(many.lines) <= 2 * LINES_MAX + 1


def test_a_trace_is_linked_where_the_settings_say(api: RunningApi, browser: Browser, things: dict[str, str]) -> None:
    path = f"/console/jobs/{things['ended_id']}"
    assert 'rel="noreferrer"' not in browser.get(path).text
    settings = api.settings.model_copy(update={"trace_url": "https://traces.example/t/{trace_id}?a=1&b=2"})
    with running_api(settings) as linked, Browser(linked) as reader:
        page = reader.sign_in(api.key).get(path).text
    found = re.search(r'<a href="https://traces.example/t/([0-9a-f]{32})\?a=1&amp;b=2" rel="noreferrer"', page)
    assert found is not None


def test_a_quote_stands_beside_the_passage_that_holds_it(api: RunningApi, browser: Browser) -> None:
    passage = {"id": "p1", "text": f"{'x' * 900} Before. <b>Quoted words</b>. After. {'y' * 900}"}
    quote = {"quote": "<b>Quoted words</b>", "passage": "p1", "document": "a.md", "document_id": "doc_x", "start": 8}
    odd = [{"quote": 7, "passage": None}, {"text": ["x"], "passage": "p2", "page": {"a": 1}}, "no mapping"]
    with api.client() as client, worker_services(api.settings) as services:
        job_id = submit(client, text=PLAIN)
        Attempt(services, decode(JOB, job_id)).succeed(
            answer="It is so [1].", citations=[quote, *odd], passages=[passage, {"text": "no id"}, {"id": "p2"}, 3]
        )
    for page in (browser.get(f"/console/jobs/{job_id}"), browser.get(f"/console/playground/jobs/{job_id}")):
        assert page.status_code == 200
        assert "Before. <mark>&lt;b&gt;Quoted words&lt;/b&gt;</mark>. After." in page.text
        # Its neighborhood, and not all of the passage.
        assert re.search(r"…x{100,160} Before\.", page.text)
        assert re.search(r"After\. y{100,240}…", page.text)
        link = 'href="/console/knowledge/documents/doc_x?at=8&amp;quote=%3Cb%3EQuoted%20words%3C/b%3E"'
        assert link in page.text


def test_failures_are_grouped(browser: Browser, things: dict[str, str]) -> None:
    page = browser.get("/console/jobs").text
    found = re.search(r'href="([^"]*reason=provider_unavailable[^"]*)"><strong class="number">1</strong>', page)
    assert found is not None
    assert ids(browser.get(unescape(found[1]))) == [things["failed_id"]]


def test_a_job_shows_its_story(browser: Browser, things: dict[str, str]) -> None:
    page = unescape(browser.get(f"/console/jobs/{things['ended_id']}").text)
    for shown in ("attempt 1", f"plan {PLAIN}", "a.txt", "page.html", "Guard findings", "api:job:submit", PLAIN):
        assert shown in page, shown
    assert re.search(r'<rect class="bar-run" x="\d+" y="1" width="\d+"', page)
    assert f'<img src="/console/jobs/{things["ended_id"]}/artifacts/picture.png"' in page
    failed = browser.get(f"/console/jobs/{things['failed_id']}").text
    assert "provider_unavailable" in failed
    assert "it failed" in failed


def test_files_never_run_as_pages_of_this_origin(browser: Browser, things: dict[str, str]) -> None:
    answer = browser.get(f"/console/jobs/{things['ended_id']}/artifacts/page.html")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
    text = browser.get(f"/console/jobs/{things['ended_id']}/artifacts/page.html/text")
    assert text.headers["content-type"].startswith("text/html")
    assert PLAIN in text.text
    assert browser.get(f"/console/jobs/{things['ended_id']}/artifacts/none").status_code == 404


def test_events_stream_until_the_last(browser: Browser, things: dict[str, str]) -> None:
    answer = browser.get(f"/console/jobs/{things['ended_id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "event: job.succeeded" in answer.text
    assert browser.get(f"/console/jobs/{things['ended_id']}/events?starting_after=100000").status_code == 204


def test_a_waybill_is_checked(browser: Browser, things: dict[str, str]) -> None:
    page = browser.get(f"/console/jobs/{things['ended_id']}/waybill").text
    assert "It holds." in page
    assert browser.get(f"/console/jobs/{things['running_id']}/waybill").status_code == 409


def test_above_its_clearance_a_key_sees_no_content(api: RunningApi, things: dict[str, str]) -> None:
    low = issue_key(api.settings, clearance=DataClass.PUBLIC)
    with Browser(api) as reader:
        reader.sign_in(low)
        for name in ("ended_id", "failed_id", "asking_id"):
            page = reader.get(f"/console/jobs/{things[name]}").text
            assert "above your clearance" in page
            assert "it failed" not in page
            assert "a.txt" not in page
            assert "May it be done?" not in page
        inbox = reader.get("/console/approvals").text
        assert "Above your clearance" in inbox
        assert "May it be done?" not in inbox
        assert reader.get(f"/console/approvals/{things['asking_id']}").status_code == 403
        assert reader.get(f"/console/jobs/{things['ended_id']}/artifacts/a.txt").status_code == 403


def test_a_job_is_cancelled_and_run_again_once(api: RunningApi, browser: Browser) -> None:
    with api.client() as client:
        job_id = submit(client, text=PLAIN)
        page = browser.get(f"/console/jobs/{job_id}")
        once = re.search(r'name="once" value="([^"]+)"', page.text)
        assert once is not None
        assert browser.post(f"/console/jobs/{job_id}/cancel").status_code == 303
        assert "The job is cancelled." in browser.get(f"/console/jobs/{job_id}").text
        assert client.get(f"/v1/jobs/{job_id}").json()["state"] == "cancelled"
        assert "api:job:cancel" in records(api, job_id)
        again = [browser.post(f"/console/jobs/{job_id}/run-again", {"once": once[1]}) for _ in range(2)]
        assert again[0].headers["location"] == again[1].headers["location"]
        new_id = again[0].headers["location"].rpartition("/")[2]
        made = client.get(f"/v1/jobs/{new_id}").json()
        assert (made["state"], made["metadata"]["note"]) == ("queued", PLAIN)
        assert records(api, new_id) == ["api:job:submit"]


def test_several_jobs_are_cancelled_and_what_is_refused_is_said(api: RunningApi, browser: Browser) -> None:
    with api.client() as client:
        made = [submit(client, text=PLAIN) for _ in range(2)]
        browser.get("/console/jobs")
        fields = {"act": "cancel", "job": [*made, "job_00000000000000000000000000"]}
        assert browser.post("/console/jobs/several", fields).status_code == 303
        page = browser.get("/console/jobs").text
        assert "2 cancelled. 1 refused: there is no job" in page
        assert {client.get(f"/v1/jobs/{each}").json()["state"] for each in made} == {JobState.CANCELLED}
        again = browser.post("/console/jobs/several", {"act": "run_again", "job": made, "once": "x", "back": "//evil"})
        assert again.headers["location"] == "/console/jobs"
        assert "2 submitted again." in browser.get("/console/jobs").text
        for wrong in ({"act": "erase", "job": made}, {"act": "cancel", "job": []}):
            assert browser.post("/console/jobs/several", wrong).status_code == 422


def test_a_question_is_answered_by_the_form_of_its_schema(api: RunningApi) -> None:
    with made_things(api, PLAIN) as things, Browser(api) as reader, api.client() as client:
        reader.sign_in(api.key)
        where = f"/console/approvals/{things['asking_id']}"
        inbox = unescape(reader.get("/console/approvals").text)
        assert f"May it be done? {PLAIN}" in inbox
        page = unescape(reader.get(where).text)
        for shown in ("What the customer wrote", "What will happen", PLAIN, 'name="value.approved"', HOSTILE):
            assert shown in page
        wrong = reader.post(where, {"key": "approve", "value.approved": "maybe"})
        assert wrong.status_code == 422
        assert "form.approved" in wrong.text
        too_long = reader.post(where, {"key": "approve", "value.approved": "yes", "value.note": "x" * 201})
        assert too_long.status_code == 422
        answer = reader.post(where, {"key": "approve", "value.approved": "yes", "value.note": "as agreed"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/approvals")
        assert client.get(f"/v1/jobs/{things['asking_id']}").json()["state"] == "queued"
        assert "api:job:answer" in records(api, things["asking_id"])
        assert reader.get(where).status_code == 404


def test_who_submitted_may_not_approve_its_effect(api: RunningApi) -> None:
    with made_things(api, PLAIN, approves="money") as things, Browser(api) as submitter, Browser(api) as reader:
        where = f"/console/approvals/{things['asking_id']}"
        submitter.sign_in(things["submitter"])
        page = submitter.get(where).text
        assert "four eyes" in page
        assert "another person must approve this" in page
        assert "Send answer" not in page
        assert submitter.post(where, {"key": "approve", "value.approved": "yes"}).status_code == 403
        reader.sign_in(issue_key(api.settings, scopes=("jobs:read",)))
        assert "lacks the scope jobs:answer" in reader.get(where).text
        reader.sign_in(api.key)
        assert "Send answer" in reader.get(where).text
        assert reader.post(where, {"key": "approve", "value.approved": "no"}).status_code == 303

"""Knowledge in the console: bases, uploads, the jobs that read and search, and what a document holds."""

import re
import secrets
from collections.abc import Iterator

import pytest

from core.kit.ids import JOB, decode
from tests.factories.api import RunningApi, issue_key
from tests.factories.attempts import Attempt, worker_services
from tests.factories.browser import Browser
from tests.factories.console_admin_things import made_admin_things

LIST = "/console/knowledge"


@pytest.fixture(scope="module")
def things(api: RunningApi) -> dict[str, str]:
    return made_admin_things(api, f"plain {secrets.token_hex(4)}")


@pytest.fixture
def browser(api: RunningApi) -> Iterator[Browser]:
    with Browser(api) as opened:
        yield opened.sign_in(api.key)


def test_a_base_is_made_filled_read_and_deleted(api: RunningApi, browser: Browser) -> None:
    name = f"claims {secrets.token_hex(4)}"
    made = browser.post(LIST, {"name": name, "data_class": "confidential"})
    at = made.headers["location"]
    assert name in browser.open(at).text
    assert browser.post(LIST, {"name": name}).status_code == 409
    assert browser.upload(f"{at}/documents?name=a.txt", b"Parcels.").status_code == 200
    assert browser.upload(f"{at}/documents?name=", b"x").status_code == 422
    assert browser.upload(f"{at}/documents?name=b.txt", b"").status_code == 422
    assert browser.upload(f"{at}/documents?name=b.txt", b"x", {"x-csrf-token": "0" * 64}).status_code == 403
    page = browser.get(at).text
    assert "Documents to read: 1." in page
    started = browser.post(f"{at}/ingest", {"once": "read"})
    assert browser.post(f"{at}/ingest", {"once": "read"}).headers["location"] == started.headers["location"]
    job_id = started.headers["location"].rpartition("/")[2]
    with api.client() as client:
        assert client.get(f"/v1/jobs/{job_id}").json()["capability"] == "knowledge.ingest"
        assert browser.post(at, {"description": "About parcels", "data_class": "public"}).status_code == 303
        found = client.get(f"/v1/knowledge-bases/{at.rpartition('/')[2]}").json()
        assert (found["description"], found["data_class"]) == ("About parcels", "public")
        assert browser.post(f"{at}/delete").status_code == 303
        assert browser.get(at).status_code == 404
        actions = [each["action"] for each in client.get("/v1/audit", params={"limit": 50}).json()["data"]]
    assert "api:knowledge_base:update" in actions
    assert "api:job:submit" in actions


def test_a_document_shows_its_outcome_what_was_left_out_and_its_passages(
    browser: Browser, things: dict[str, str]
) -> None:
    at = f"{LIST}/{things['base_id']}"
    page = browser.get(at).text
    assert "2 \u00d7 running head" in page
    assert "document_unreadable" in page
    failed = browser.get(f"{at}?state=failed").text
    assert len(re.findall(r"/documents/doc_\w+\"", failed)) == 1
    one = browser.get(f"{at}/documents/{things['document_id']}").text
    assert "running head" in one
    assert one.count('<article class="passage">') == 1
    assert '<article class="passage">' not in browser.get(f"{at}/documents/{things['document_id']}?start=1").text
    text = re.search(r'class="passage">.*?<p>([^<&]{4,20})', one)
    assert text is not None
    quoted = browser.get(f"{LIST}/documents/{things['document_id']}?at=1&quote={text[1]}")
    assert quoted.headers["location"].startswith(f"{at}/documents/{things['document_id']}?start=0&quote=")
    assert f"<mark>{text[1]}</mark>" in browser.get(quoted.headers["location"].removesuffix("#passages")).text
    with Browser(browser.api) as stranger:
        stranger.sign_in(issue_key(browser.api.settings, project="elsewhere"))
        assert stranger.get(f"{LIST}/documents/{things['document_id']}?at=1").status_code == 404
    assert browser.post(f"{at}/ingest", {"document": things["document_id"]}).status_code == 303
    assert browser.post(f"{at}/documents/{things['document_id']}/delete").status_code == 303
    assert browser.get(f"{at}/documents/{things['document_id']}").status_code == 404


def test_a_search_shows_passages_with_scores(api: RunningApi, browser: Browser, things: dict[str, str]) -> None:
    at = f"{LIST}/{things['base_id']}"
    started = browser.post(f"{at}/search", {"query": "late parcels", "once": "look"}).headers["location"]
    job_id = started.partition("search=")[2]
    assert f'data-events="/console/jobs/{job_id}/events' in browser.get(started).text
    with worker_services(api.settings) as services:
        passage = {"document": "a.txt", "page": 3, "section": "Fees", "text": "Late <i>parcels</i>.", "score": 0.0325}
        Attempt(services, decode(JOB, job_id)).succeed(mode="passages", passages=[passage])
    found = browser.part(started).text
    assert "<html" not in found
    assert "score 0.0325" in found
    assert "Late &lt;i&gt;parcels&lt;/i&gt;." in found
    assert browser.post(f"{at}/search", {"query": ""}).status_code == 422


def test_a_key_without_knowledge_write_reads_no_documents_into_a_base(api: RunningApi, things: dict[str, str]) -> None:
    with Browser(api) as browser:
        browser.sign_in(issue_key(api.settings, scopes=("jobs:read", "jobs:write", "knowledge:read")))
        at = f"{LIST}/{things['base_id']}"
        assert "Upload documents" not in browser.get(at).text
        assert browser.post(f"{at}/ingest").status_code == 403

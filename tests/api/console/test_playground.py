"""The playground: a form for any schema, its cost before, one job or two, and its result as a person reads it."""

import json
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from api.console.playground.capability_form import form_of
from api.console.playground.samples import snippets
from core.capability import Manifest
from core.keys.service import IssuedKey
from core.kit.ids import JOB, decode
from core.knowledge import samples
from pipelines.registry import manifests
from tests.factories.api import RunningApi, issue_key, principal_of
from tests.factories.attempts import Attempt, worker_services
from tests.factories.browser import Browser
from tests.factories.tenancy import audit_trail

SEARCH = "knowledge.search"
QUESTION = "Up to what amount is a mobile phone compensated?"


@pytest.fixture
def browser(api: RunningApi) -> Iterator[Browser]:
    with Browser(api) as opened:
        yield opened.sign_in(api.key)


@pytest.fixture(scope="module")
def base(api: RunningApi) -> str:
    """A knowledge base of the name that the quickstart gives to the sample documents."""
    with api.client() as client:
        made = client.post("/v1/knowledge-bases", json={"name": "handbook"})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def inputs_of(api: RunningApi, location: str) -> list[tuple[str, dict[str, Any]]]:
    """The jobs that a page's address names, with their inputs."""
    return inputs_of_project(api, api.key, location)


def inputs_of_project(api: RunningApi, key: IssuedKey, location: str) -> list[tuple[str, dict[str, Any]]]:
    principal = principal_of(key)
    session = api.runtime.database.single_tenant(principal.organization_id)
    found = re.findall(r"job=(job_\w+)", location)
    given = [api.runtime.jobs.get_with_payloads(session, principal, decode(JOB, each))[1] for each in found]
    return [(each, value or {}) for each, value in zip(found, given, strict=True)]


def test_a_project_without_documents_gets_the_sample_documents_by_one_button(api: RunningApi) -> None:
    key = issue_key(api.settings, project="fresh")
    with Browser(api) as reader, api.client(key) as client:
        reader.sign_in(key)
        for page in ("/console/playground", "/console/knowledge"):
            assert 'action="/console/playground/samples"' in reader.get(page).text
        asked = reader.post("/console/playground/samples", {"once": "o"})
        (job_id, given), *_ = inputs_of_project(api, key, asked.headers["location"])
        base = client.get("/v1/knowledge-bases").json()["data"][0]
        assert (base["name"], given) == (samples.NAME, {"knowledge_base": base["id"]})
        documents = client.get(f"/v1/knowledge-bases/{base['id']}/documents").json()["data"]
        assert {each["name"] for each in documents} == {each.name for each in samples.documents()}
        assert client.get(f"/v1/jobs/{job_id}").json()["capability"] == "knowledge.ingest"
        page = unescape(reader.get(asked.headers["location"]).text)
        assert QUESTION in page
        assert "/console/playground/samples" not in page
        # Sent twice, it is done once.
        again = reader.post("/console/playground/samples", {"once": "o"})
        assert again.headers["location"] == asked.headers["location"]
        assert len(client.get("/v1/knowledge-bases").json()["data"]) == 1
    actions = [each["action"] for each in audit_trail(api.settings, key.organization_id)]
    assert actions.count("api:job:submit") == 1


def test_the_sample_documents_need_the_scopes_of_what_is_done(api: RunningApi) -> None:
    key = issue_key(api.settings, project="narrow", scopes=("knowledge:read", "knowledge:write", "jobs:read"))
    with Browser(api) as reader:
        reader.sign_in(key)
        assert "/console/playground/samples" not in reader.get("/console/knowledge").text
        refused = reader.post("/console/playground/samples")
        assert (refused.status_code, "jobs:write" in refused.text) == (403, True)


def test_every_capability_has_a_form_that_gives_its_example_back(api: RunningApi, browser: Browser) -> None:
    for name in manifests():
        page = browser.get(f"/console/playground?capability={name}")
        assert page.status_code == 200, name
        assert f'value="{name}" selected' in page.text
    assert browser.get("/console/playground?capability=nothing.here").status_code == 422


@pytest.mark.usefixtures("base")
def test_the_sample_question_is_filled_in_where_the_sample_documents_are(api: RunningApi, browser: Browser) -> None:
    page = browser.get("/console/playground").text
    assert QUESTION in page
    assert ">handbook</option>" in page
    with Browser(api) as other:
        other.sign_in(issue_key(api.settings, project="elsewhere"))
        empty = other.get("/console/playground").text
    assert QUESTION not in empty
    assert "has no documents to ask about yet" in empty


def test_a_job_is_submitted_once_and_shown_in_words(api: RunningApi, browser: Browser, base: str) -> None:
    fields = {"capability": SEARCH, "value.knowledge_base": "handbook", "value.query": QUESTION, "once": "run-1"}
    sent = {**fields, "value.mode": "answer", "value.limit": "8"}
    answer = browser.post("/console/playground", sent)
    assert answer.status_code == 303, answer.text
    assert browser.post("/console/playground", sent).headers["location"] == answer.headers["location"]
    ((job_id, given),) = inputs_of(api, answer.headers["location"])
    # What is as by default is left out.
    assert given == {"knowledge_base": base, "query": QUESTION}
    assert "api:job:submit" in [each["action"] for each in audit_trail(api.settings, api.key.organization_id)]
    waiting = browser.get(answer.headers["location"]).text
    assert f'data-events="/console/jobs/{job_id}/events' in waiting
    with worker_services(api.settings) as services:
        quote = {"quote": "EUR 750 <b>", "document": "policy.pdf", "page": 2}
        Attempt(services, decode(JOB, job_id)).succeed(answer="Up to EUR 750 [1]", citations=[quote], passages=[])
    done = browser.part(f"/console/playground/jobs/{job_id}").text
    assert "<html" not in done
    assert re.search(r"<blockquote>EUR 750 &lt;b&gt;</blockquote>.*policy\.pdf · page 2", done, re.DOTALL)
    assert f"/console/jobs/{job_id}/waybill" in done
    # The form is as it was, and a second result stands beside the first.
    beside = browser.post("/console/playground", {**sent, "once": "run-2", "beside": job_id})
    assert inputs_of(api, beside.headers["location"])[0][0] == job_id
    both = browser.get(beside.headers["location"]).text
    assert both.count("run-card") == 2
    assert QUESTION in both


def test_two_models_run_side_by_side(api: RunningApi, browser: Browser) -> None:
    messages = json.dumps([{"role": "user", "content": "Say hello."}])
    sent = {"capability": "models.chat", "value.model": "local/extractive", "value.messages": messages}
    answer = browser.post("/console/playground", {**sent, "other_model": "default", "once": "two"})
    assert answer.status_code == 303, answer.text
    assert [given["model"] for _id, given in inputs_of(api, answer.headers["location"])] == [
        "local/extractive",
        "default",
    ]


def test_what_does_not_fit_is_named_and_not_run(browser: Browser) -> None:
    sent = {"capability": "models.chat", "value.model": "local/extractive", "value.messages": "[{"}
    answer = browser.post("/console/playground", sent)
    assert answer.status_code == 422
    assert "form.messages" in answer.text
    estimate = browser.post("/console/playground/quote", sent, headers={"hx-request": "true"})
    assert estimate.status_code == 200
    assert "Not ready to run yet" in estimate.text


def test_the_estimate_shows_cost_and_code(api: RunningApi, browser: Browser, base: str) -> None:
    sent = {"capability": SEARCH, "value.knowledge_base": "handbook", "value.query": 'it\'s "quoted" $HOME `x`'}
    page = browser.post("/console/playground/quote", sent, headers={"hx-request": "true"}).text
    assert "Probable cost" in page
    code = [unescape(each) for each in re.findall(r'<pre class="text" id="copy-\d">(.*?)</pre>', page, re.DOTALL)]
    curl, python, openai = code
    assert base in curl
    assert base in openai
    # Pasted into a shell, it sends what the form held, and runs nothing.
    echoed = subprocess.run(
        ["/bin/sh", "-c", curl.replace("curl -s", "printf '%s\\n'", 1)], capture_output=True, text=True, check=True
    )
    body = json.loads(echoed.stdout.splitlines()[-1])
    assert body == {"capability": SEARCH, "input": {"knowledge_base": base, "query": sent["value.query"]}}
    for program in (python, openai):
        compile(program, "pasted", "exec")


def test_code_is_code_for_every_example() -> None:
    for name, manifest in manifests().items():
        for example in manifest.examples:
            for language, code in snippets("https://waybill.example.com", name, example):
                if language != "curl":
                    compile(code, name, "exec")


def test_a_file_is_kept_and_its_token_checked(api: RunningApi, browser: Browser) -> None:
    browser.get("/console/playground")
    where = "/console/playground/files?name=a.txt"
    made = browser.upload(where, b"hello")
    assert made.status_code == 200, made.text
    with api.client() as client:
        assert client.get(f"/v1/files/{made.json()['id']}/content").content == b"hello"
    for wrong in ({"x-csrf-token": "0" * 64}, {"x-csrf-token": None}, {"sec-fetch-site": "cross-site"}):
        assert browser.upload(where, b"x", wrong).status_code == 403, wrong


def test_only_what_a_key_may_use_is_offered(api: RunningApi) -> None:
    key = issue_key(api.settings, scopes=("jobs:read", "jobs:write", "capability:models.chat"))
    with Browser(api) as browser:
        browser.sign_in(key)
        page = browser.get("/console/playground").text
        assert "models.chat" in page
        assert "research.report" not in page
        assert browser.post("/console/playground", {"capability": SEARCH}).status_code == 403


def test_a_form_gives_back_what_it_was_filled_with(api: RunningApi) -> None:
    runtime, principal = api.runtime, principal_of(api.key)
    session = runtime.database.single_tenant(principal.organization_id)
    manifest: Manifest = manifests()["research.report"]
    form = form_of(runtime, session, principal, manifest, {"question": "Why?", "rounds": 3})
    shown = {field.name: field.default for field in form.fields}
    assert shown["value.question"] == "Why?"
    assert shown["value.rounds"] == "3"
    assert {field.name for field in form.main} >= {"value.question"}

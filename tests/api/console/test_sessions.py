"""Signing in and out: what a cookie is worth, for how long, and to whom."""

import hashlib
import re
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import text

from api.console.jobs import live
from api.console.security import CSRF_FIELD, SESSION_COOKIE
from core.keys.authentication import Authenticator
from core.keys.roles import Role
from core.keys.sessions import repository
from core.keys.sessions.service import ConsoleSessions
from core.kit.db import Database
from core.kit.ids import SESSION, encode
from core.kit.settings import Settings
from tests.factories.api import RunningApi, issue_key, revoke_key, running_api
from tests.factories.browser import SAME_ORIGIN, Browser
from tests.factories.tenancy import audit_trail, role_key
from tests.factories.waiting import wait_until
from waybill.stack.console_link import console_link


@pytest.fixture
def browser(api: RunningApi) -> Iterator[Browser]:
    with Browser(api) as opened:
        yield opened


@pytest.fixture
def database(api: RunningApi) -> Iterator[Database]:
    opened = Database(api.settings, application_name="test", pool_size=1)
    yield opened
    opened.close()


def is_signed_in(browser: Browser) -> bool:
    answer = browser.get("/console/sessions")
    assert answer.status_code in {200, 303}, answer.text
    return answer.status_code == 200


def test_a_key_is_exchanged_for_a_session(api: RunningApi, browser: Browser) -> None:
    asked = browser.get("/console/sessions")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fsessions"
    assert "API key" in browser.open("/console/sessions").text
    answer = browser.post("/console/sign-in", {"key": api.key.plaintext, "next": "/console/sessions"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sessions")
    cookie = answer.headers["set-cookie"]
    assert re.fullmatch(rf"{SESSION_COOKIE}=[A-Za-z0-9_-]{{43}}; HttpOnly; Path=/; SameSite=lax; Secure", cookie), (
        cookie
    )
    page = browser.get("/console/sessions")
    assert "(this one)" in page.text
    assert api.key.plaintext not in page.text


def test_only_a_keyed_hash_is_stored(api: RunningApi, browser: Browser, database: Database) -> None:
    browser.sign_in(api.key)
    assert browser.session is not None
    with database.system() as session:
        stored = session.execute(text("SELECT * FROM console_sessions")).mappings().all()
    assert stored
    shown = repr([dict(row) for row in stored])
    assert browser.session not in shown
    assert hashlib.sha256(browser.session.encode()).digest() not in {bytes(row["hash"]) for row in stored}


@pytest.mark.parametrize("key", ["", "wb_live_x", "' OR 1=1 --", "<script>alert(1)</script>", "x" * 5000])
def test_a_wrong_key_opens_nothing(api: RunningApi, browser: Browser, key: str) -> None:
    answer = browser.post("/console/sign-in", {"key": key})
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert key not in answer.text or not key
    assert browser.session is None


@pytest.mark.parametrize(
    "following",
    ["https://evil.example/", "//evil.example", "/v1/jobs", "/consolex", "javascript:alert(1)", "/\\evil.example"],
)
def test_signing_in_leads_to_no_other_site(api: RunningApi, browser: Browser, following: str) -> None:
    answer = browser.post("/console/sign-in", {"key": api.key.plaintext, "next": following})
    assert answer.headers["location"] == "/console"


def test_an_address_to_come_back_to_begins_no_other_header(api: RunningApi, browser: Browser) -> None:
    following = "/console/jobs?label=é\r\nSet-Cookie: planted=1"
    answer = browser.post("/console/sign-in", {"key": api.key.plaintext, "next": following})
    assert answer.headers["location"] == "/console/jobs?label=%C3%A9%0D%0ASet-Cookie:%20planted=1"
    assert "planted" not in browser.cookies


def test_a_session_that_was_planted_is_not_the_one_that_is_signed_in(api: RunningApi, browser: Browser) -> None:
    with Browser(api) as attacker:
        attacker.sign_in(role_key(api.settings, Role.AUDITOR, organization="planted"))
        planted = attacker.session
        assert planted is not None
        browser.cookies[SESSION_COOKIE] = planted
        browser.sign_in(api.key)
        assert browser.session not in {None, planted}
        assert not is_signed_in(attacker)
    browser.cookies[SESSION_COOKIE] = "A" * 43
    browser.sign_in(api.key)
    assert browser.session != "A" * 43


def test_a_cookie_is_worth_nothing_after_signing_out(api: RunningApi, browser: Browser) -> None:
    browser.sign_in(api.key)
    stolen = dict(browser.cookies)
    answer = browser.post("/console/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    assert browser.session is None
    assert "You have signed out." in browser.open("/console/sign-in").text
    with Browser(api, stolen) as thief:
        assert not is_signed_in(thief)
        assert thief.session is None


def test_a_stream_ends_with_its_session(api: RunningApi, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_LOOK_SECONDS", 0.2)
    browser.sign_in(api.key)
    with api.client() as client:
        job = client.post("/v1/jobs", json={"capability": "probe.act", "input": {"act": "noop"}}).json()["id"]
    with Browser(api, dict(browser.cookies)) as thief, thief.stream(f"/console/jobs/{job}/events") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        browser.post("/console/sign-out")
        # The job has not ended: the stream would go on for good.
        assert not any(line.startswith("event: job.cancelled") for line in lines)


def test_a_revoked_key_ends_its_sessions_within_two_seconds(api: RunningApi, browser: Browser) -> None:
    key = issue_key(api.settings, organization="revoked-console")
    browser.sign_in(key)
    revoke_key(api.settings, key)
    wait_until(lambda: not is_signed_in(browser), timeout_seconds=2, what="the session to end")


def test_a_session_ends_idle_and_absolutely(api: RunningApi, browser: Browser, database: Database) -> None:
    for column in ("active_until = now()", "expires_at = now(), active_until = now()"):
        browser.sign_in(issue_key(api.settings, organization="ending-console"))
        with database.system() as session:
            session.execute(text(f"UPDATE console_sessions SET {column}"))
        wait_until(lambda: not is_signed_in(browser), timeout_seconds=2, what="the session to end")
    with database.system() as session:
        repository.sweep(session)
    with database.system() as session:
        assert session.execute(text("SELECT count(*) FROM console_sessions")).scalar_one() == 0


def test_use_moves_the_idle_end_and_what_a_page_fetches_by_itself_does_not(
    api: RunningApi, browser: Browser, database: Database
) -> None:
    browser.sign_in(issue_key(api.settings, organization="idle-console"))

    def seen() -> str:
        with database.system() as session:
            return str(session.execute(text("SELECT max(last_seen_at) FROM console_sessions")).scalar_one())

    with database.system() as session:
        session.execute(text("UPDATE console_sessions SET last_seen_at = now() - interval '10 minutes'"))
    long_ago = seen()
    # This process recorded a use just now, and records the next one in a minute.
    sessions = api.runtime.console_sessions
    sessions._known.clear()
    browser.part("/console/sessions")
    assert seen() == long_ago
    sessions._known.clear()
    browser.get("/console/sessions")
    assert seen() != long_ago


def test_own_sessions_are_listed_and_ended_and_no_others(api: RunningApi, browser: Browser) -> None:
    key = issue_key(api.settings, organization="listing-console")
    browser.sign_in(key)
    with Browser(api) as second, Browser(api) as stranger:
        second.sign_in(key)
        stranger.sign_in(issue_key(api.settings, organization="listing-console"))
        ends = re.findall(r'action="(/console/sessions/ses_\w+/end)"', browser.get("/console/sessions").text)
        assert len(ends) == 1
        assert stranger.post(ends[0]).status_code == 404
        assert is_signed_in(second)
        assert browser.post(ends[0]).status_code == 303
        assert not is_signed_in(second)
        assert "The session has ended." in browser.open("/console/sessions").text
        assert browser.post(ends[0]).status_code == 404
    made = [each for each in audit_trail(api.settings, key.organization_id) if ":session:" in each["action"]]
    assert [each["action"] for each in made].count("api:session:create") == 3
    assert [each["action"] for each in made].count("api:session:end") == 1


def test_the_cookie_is_no_key_of_the_api(api: RunningApi, browser: Browser) -> None:
    browser.sign_in(api.key)
    with api.client("") as client:
        for path in ("/v1/jobs", "/openai/v1/models"):
            assert client.get(path, headers={"cookie": f"{SESSION_COOKIE}={browser.session}"}).status_code == 401
            assert client.get(path, headers={"authorization": f"Bearer {browser.session}"}).status_code == 401


def test_a_key_in_the_header_opens_no_page(api: RunningApi) -> None:
    with api.client() as client:
        assert client.get("/console/sessions").status_code == 303


FORGED: list[dict[str, str | None]] = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "anything"},
    {"sec-fetch-site": None, "origin": "https://evil.example"},
    {"sec-fetch-site": None, "origin": "null"},
    {"sec-fetch-site": None, "origin": "http://127.0.0.1"},
]


@pytest.mark.parametrize("headers", FORGED, ids=str)
def test_a_form_of_another_site_is_refused(api: RunningApi, browser: Browser, headers: dict[str, str | None]) -> None:
    browser.sign_in(api.key)
    answer = browser.post("/console/sign-out", headers=headers)
    assert answer.status_code == 403
    assert "This form was not accepted" in answer.text
    assert is_signed_in(browser)
    assert browser.post("/console/sign-in", {"key": api.key.plaintext}, headers=headers).status_code == 403


@pytest.mark.parametrize("token", ["", "0" * 64, "é", "other"])
def test_a_form_without_the_token_of_its_session_is_refused(api: RunningApi, browser: Browser, token: str) -> None:
    browser.sign_in(api.key)
    if token == "other":
        with Browser(api) as second:
            token = second.sign_in(api.key).csrf_token
            assert re.fullmatch(r"[0-9a-f]{64}", token)
    answer = browser.post("/console/sign-out", {CSRF_FIELD: token})
    assert answer.status_code == 403
    assert is_signed_in(browser)


def test_an_old_browser_is_known_by_its_origin(api: RunningApi, browser: Browser) -> None:
    host = httpx.URL(api.url).netloc.decode()
    headers = {"sec-fetch-site": None, "origin": f"https://{host}"}
    assert browser.post("/console/sign-in", {"key": api.key.plaintext}, headers=headers).status_code == 303


def test_only_plain_forms_are_read(api: RunningApi, browser: Browser) -> None:
    browser.sign_in(api.key)
    for content_type in ("application/json", "text/plain", "multipart/form-data; boundary=x"):
        headers = {**SAME_ORIGIN, "content-type": content_type, "cookie": f"{SESSION_COOKIE}={browser.session}"}
        with api.client("") as client:
            assert client.post("/console/sign-out", headers=headers, content=b"x").status_code == 415


def test_a_link_signs_in_once(api: RunningApi, browser: Browser) -> None:
    key = issue_key(api.settings, organization="linked-console")
    link = console_link(api.settings, api.url, key.plaintext).removeprefix(api.url)
    # Fetched ahead, by a mail program or a chat: it still works.
    assert browser.get(link).status_code == 200
    token = link.partition("link=")[2]
    answer = browser.post("/console/sign-in/link", {"link": token})
    assert answer.status_code == 303
    assert is_signed_in(browser)
    with Browser(api) as second:
        again = second.post("/console/sign-in/link", {"link": token})
        assert again.status_code == 401
        assert "used already" in again.text
        assert second.session is None


@pytest.mark.parametrize("spoilt", ["expired", "revoked", "unknown", "malformed"])
def test_a_link_that_is_too_old_or_of_a_revoked_key_signs_no_one_in(
    api: RunningApi, browser: Browser, database: Database, spoilt: str
) -> None:
    key = issue_key(api.settings, organization="spoilt-console")
    token = console_link(api.settings, api.url, key.plaintext).partition("link=")[2]
    if spoilt == "expired":
        with database.system() as session:
            session.execute(text("UPDATE console_links SET expires_at = now()"))
    elif spoilt == "revoked":
        revoke_key(api.settings, key)
    else:
        token = "A" * 43 if spoilt == "unknown" else "<b>"
    answer = browser.post("/console/sign-in/link", {"link": token})
    assert answer.status_code == 401
    assert browser.session is None
    assert "<b>" not in answer.text


def test_guessing_is_limited_by_address(settings: Settings) -> None:
    few = settings.model_copy(update={"api_failed_authentications_per_minute": 2})
    with running_api(few) as api, Browser(api) as guesser:
        for number in range(10):
            guesser.cookies[SESSION_COOKIE] = f"{number:043d}"
            answer = guesser.get("/console/sessions", headers={"x-forwarded-for": "203.0.113.7"})
        assert answer.status_code == 429
        assert "Too many requests" in answer.text


def test_a_session_of_another_organization_is_out_of_reach(api: RunningApi, database: Database) -> None:
    mine, theirs = (issue_key(api.settings, organization=name) for name in ("mine-console", "theirs-console"))
    sessions = ConsoleSessions(api.settings, database, Authenticator(api.settings, database))
    token = sessions.open(sessions._key(theirs.id), "theirs")
    found = sessions.resolve(token, is_use=True)
    with database.tenant(mine.organization_id) as session:
        assert repository.delete(session, found.row.owner, found.row.id) is None
        seen = session.execute(text("SELECT count(*) FROM console_sessions WHERE id = :id"), {"id": found.row.id})
        assert seen.scalar_one() == 0
    assert encode(SESSION, found.row.id).startswith("ses_")

"""Every page: who may see it, what its response carries, and that nothing in it runs."""

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi.routing import APIRoute

from api.console.navigation import SECTIONS
from api.console.routing import SIGNED_IN, ConsoleRoute
from api.console.security import PAGE_HEADERS
from api.main import create_app
from api.routing import PUBLIC, required_scope
from core.keys.roles import Role
from core.keys.scopes import SCOPES
from core.kit.settings import Settings
from tests.api.console.pages import PAGES, address
from tests.factories.api import RunningApi, issue_key
from tests.factories.browser import Browser
from tests.factories.console_figures import made_figures
from tests.factories.console_things import HOSTILE, made_things
from tests.factories.tenancy import role_key

# Its figures are settlements that no model call had.
pytestmark = pytest.mark.own_database

PUBLIC_PAGES = {
    ("GET", "/console/sign-in"),
    ("POST", "/console/sign-in"),
    ("POST", "/console/sign-in/link"),
    ("GET", "/console/sign-in/oidc"),
    ("GET", "/console/sign-in/callback"),
    ("GET", "/console/static/{digest}/{name:path}"),
    ("GET", "/console/{rest:path}"),
}


def routes() -> list[tuple[str, str, str]]:
    """Method, path and scope of every page."""
    return [
        (method, route.path, required_scope(route.endpoint))
        for route in create_app(Settings()).routes
        if isinstance(route, ConsoleRoute)
        for method in sorted(route.methods or ())
    ]


ROUTES = routes()


@pytest.fixture(scope="module")
def things(api: RunningApi) -> Iterator[dict[str, str]]:
    """Ids of things of the API's first tenant, with markup in every text."""
    with made_things(api) as made:
        yield {**made, **made_figures(api)}


@pytest.fixture(scope="module")
def owner(api: RunningApi) -> Iterator[Browser]:
    with Browser(api) as opened:
        yield opened.sign_in(api.key)


def html_pages(things: dict[str, str]) -> list[str]:
    return [address(page, things) for (method, _), page in PAGES.items() if method == "GET" and page.is_html]


def test_every_page_is_listed_and_every_listed_page_exists() -> None:
    assert {(method, path) for method, path, _ in ROUTES} == set(PAGES) | PUBLIC_PAGES


def test_every_page_names_a_known_scope_that_fits_its_method() -> None:
    for method, path, scope in ROUTES:
        if (method, path) in PUBLIC_PAGES:
            assert scope == PUBLIC
        elif scope != SIGNED_IN:
            assert scope in SCOPES, path
            is_choice = path == "/console/projects"
            assert scope.endswith(":read") == (method == "GET" or is_choice), f"{method} {path}"


def test_no_page_is_in_the_openapi_document_or_a_plain_route() -> None:
    app = create_app(Settings())
    assert not [path for path in app.openapi()["paths"] if path.startswith("/console")]
    inside = [route for route in app.routes if isinstance(route, APIRoute) and route.path.startswith("/console")]
    assert all(isinstance(route, ConsoleRoute) and not route.include_in_schema for route in inside)


def test_a_section_has_the_scope_of_its_page() -> None:
    scopes = {path: scope for method, path, scope in ROUTES if method == "GET"}
    for section in SECTIONS:
        assert scopes.get(section.path, section.scope) == section.scope


def test_a_page_refuses_parameters_that_it_does_not_take(owner: Browser, things: dict[str, str]) -> None:
    for (method, path), page in PAGES.items():
        if method == "GET":
            asked = address(page, things)
            answer = owner.get(f"{asked}{'&' if '?' in asked else '?'}surprise=1")
            assert (answer.status_code, "surprise" in answer.text) == (422, True), path


@pytest.mark.parametrize("role", [*Role, None])
def test_a_role_sees_what_its_scopes_allow(api: RunningApi, things: dict[str, str], role: Role | None) -> None:
    scopes = frozenset({"knowledge:write"}) if role is None else role.scopes
    key = issue_key(api.settings, scopes=tuple(scopes))
    for method, path, scope in ROUTES:
        if (method, path) in PUBLIC_PAGES:
            continue
        page = PAGES[method, path]
        with Browser(api) as browser:
            browser.sign_in(key)
            is_allowed = scope == SIGNED_IN or scope in scopes
            if method == "GET":
                answer = browser.get(address(page, things))
                assert (answer.status_code != 403) is is_allowed, f"{path} {role}: {answer.status_code}"
                assert answer.status_code in {200, 303, 403, 404}, f"{path} {role}: {answer.status_code}"
            elif not is_allowed:
                answer = browser.post(address(page, things), page.fields)
            else:
                continue
            if not is_allowed:
                assert answer.status_code == 403
                assert f"lacks the scope {scope}" in answer.text
                assert "You may not see this page" in answer.text


def test_a_stranger_finds_nothing_of_another_tenant(api: RunningApi, things: dict[str, str]) -> None:
    stranger = role_key(api.settings, Role.OWNER, organization="console-strangers")
    with Browser(api) as browser:
        browser.sign_in(stranger)
        for method, path, _ in ROUTES:
            page = PAGES.get((method, path))
            if page is None or "{" not in path or path.startswith("/console/sessions"):
                continue
            where = address(page, things)
            answer = browser.get(where) if method == "GET" else browser.post(where, page.fields)
            assert answer.status_code == page.absent, f"{method} {where}: {answer.status_code}"


def test_without_a_session_every_page_leads_to_the_sign_in(api: RunningApi, things: dict[str, str]) -> None:
    with Browser(api) as browser:
        for method, path in PAGES:
            where = address(PAGES[method, path], things)
            answer = browser.get(where) if method == "GET" else browser.post(where)
            assert answer.status_code == 303, where
            assert answer.headers["location"].startswith("/console/sign-in?next=%2Fconsole")
            part = browser.part(where) if method == "GET" else None
            if part is not None:
                assert part.headers["hx-redirect"].startswith("/console/sign-in")


def test_every_response_carries_the_policy(owner: Browser, things: dict[str, str]) -> None:
    for where in [
        *html_pages(things),
        "/console/sign-in",
        "/console/nowhere",
        "/console/jobs/job_x",
        "/console/sessions?x=1",
    ]:
        answer = owner.open(where)
        for name, value in PAGE_HEADERS.items():
            assert answer.headers[name] == value, f"{where}: {name}"
        assert "unsafe" not in answer.headers["content-security-policy"]


class _Scripts(HTMLParser):
    """Collects what a strict policy would refuse, and what a page must have."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []
        self.ids: list[str] = []
        self.unlabelled: list[dict[str, str | None]] = []
        self.headings = 0
        self._labels: set[str] = set()
        self._in_label = 0
        self._fields: list[tuple[dict[str, str | None], bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given: dict[str, Any] = dict(attrs)
        if tag == "style" or (tag == "script" and not given.get("src")) or "style" in given:
            self.refused.append(f"<{tag} {given}>")
        self.refused += [name for name in given if name.startswith(("on", "hx-on"))]
        for name in ("href", "src", "action", "formaction", "hx-get", "hx-post"):
            where = str(given.get(name, "/"))
            self.refused += [] if where.startswith(("/console", "#")) or where == "/" else [f"{name}={where}"]
        self.ids += [given["id"]] if "id" in given else []
        self.headings += tag == "h1"
        if tag == "label":
            self._in_label += 1
            self._labels.add(given.get("for", ""))
        if tag in {"input", "select", "textarea"} and given.get("type") != "hidden":
            self._fields.append((given, self._in_label > 0))

    def handle_endtag(self, tag: str) -> None:
        self._in_label -= tag == "label"

    def check(self) -> None:
        assert self.refused == []
        assert len(self.ids) == len(set(self.ids)), "an id stands twice"
        for given, is_inside in self._fields:
            assert is_inside or given.get("id") in self._labels or given.get("aria-label"), f"no label: {given}"
        assert self.headings == 1


def check_page(html: str) -> None:
    parser = _Scripts()
    parser.feed(html)
    parser.check()


def test_every_page_is_sound_html_without_anything_inline(owner: Browser, things: dict[str, str]) -> None:
    opened = html_pages(things)
    more = [f"/console/jobs/{things[name]}" for name in ("ended_id", "failed_id", "running_id", "asking_id")]
    texts = f"/console/jobs/{things['ended_id']}/artifacts/a.txt/text"
    seen = 0
    for where in [*opened, *more, texts, "/console/sign-in", "/console/nowhere"]:
        answer = owner.open(where)
        check_page(answer.text)
        assert "alert(1)</script>" not in answer.text
        seen += HOSTILE in unescape(answer.text)
        assert len(answer.content) < 200_000, where
        assert '<main id="main"' in answer.text
    # The list of jobs shortens labels.
    assert seen >= len(more) + 2


def test_the_check_finds_what_is_inline() -> None:
    for html in ("<script>x</script>", "<p style=x>", "<a onclick=x>", "<img src=https://a.example/x>", "<input>"):
        with pytest.raises(AssertionError):
            check_page(f"<h1>x</h1>{html}")


def test_errors_are_pages_in_plain_words(owner: Browser) -> None:
    missing = owner.get("/console/nowhere")
    assert missing.status_code == 404
    assert "There is no such page" in missing.text
    unknown = owner.get("/console/sessions?colour=red")
    assert unknown.status_code == 422
    assert "query.colour" in unknown.text
    assert owner.get("/console/find?id=%00").status_code == 422
    assert owner.get("/console/find?id=<script>").status_code == 404
    part = owner.part("/console/find?id=nonsense")
    assert part.status_code == 404
    assert "<html" not in part.text
    assert part.headers["hx-retarget"] == "#notice"


def test_a_job_is_found_by_its_id(owner: Browser, things: dict[str, str]) -> None:
    found = owner.get(f"/console/find?id=+{things['job_id']}+")
    assert found.headers["location"] == f"/console/jobs/{things['job_id']}"


def test_the_navigation_shows_what_may_be_opened(api: RunningApi) -> None:
    with Browser(api) as browser:
        browser.sign_in(issue_key(api.settings, scopes=("knowledge:write",)))
        assert not re.findall(r'<li><a href="/console/', browser.open("/console").text)

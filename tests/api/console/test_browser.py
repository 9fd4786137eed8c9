"""The console in Debian's Chromium: signing in, watching a job live, keys, the policy, and pages without scripts.

Skipped where Chromium or the package playwright is not installed; `make console-shots` runs it with both.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.kit.ids import JOB, decode
from tests.api.console.pages import PAGES, address
from tests.factories.api import RunningApi
from tests.factories.attempts import Attempt, worker_services
from tests.factories.chromium import CHROMIUM, open_browser, sign_in
from tests.factories.console_figures import made_figures
from tests.factories.console_things import HOSTILE, made_things, submit

pytestmark = [
    # Its figures are settlements that no model call had.
    pytest.mark.own_database,
    pytest.mark.heavy,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt install chromium)"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="playwright is not installed; make console-shots has it"
    ),
    # greenlet switches, and the driver's pipes, are not ours.
    pytest.mark.filterwarnings("ignore"),
]
LIVE_MS = 2000
AXE = importlib.util.find_spec("axe_playwright_python")


@pytest.fixture(scope="module")
def things(api: RunningApi) -> Iterator[dict[str, str]]:
    with made_things(api) as made:
        yield {**made, **made_figures(api)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Any, api: RunningApi) -> Iterator[Any]:
    """A page that is signed in. Anything that the policy refuses, and any error of a script, fails the test."""
    opened = browser.new_page()
    faults: list[str] = []
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("dialog", lambda dialog: faults.append(f"a dialog: {dialog.message}"))
    sign_in(opened, api)
    yield opened
    opened.close()
    assert faults == []


def test_sign_in_jobs_job_and_out(page: Any, api: RunningApi, things: dict[str, str]) -> None:
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    session = cookies["__Host-waybill_session"]
    assert (session["secure"], session["httpOnly"], session["sameSite"]) == (True, True, "Lax")
    assert page.url == f"{api.url}/console/jobs"
    page.locator(f'a[href="/console/jobs/{things["ended_id"]}"]').click()
    page.get_by_role("heading", name="Timeline").wait_for()
    page.get_by_role("main").get_by_role("link", name="Waybill").click()
    page.get_by_text("It holds.").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You have signed out.").wait_for()
    page.goto(f"{api.url}/console/jobs")
    assert page.url.startswith(f"{api.url}/console/sign-in")


def test_no_text_of_others_runs(page: Any, api: RunningApi, things: dict[str, str]) -> None:
    ended, asking = things["ended_id"], things["asking_id"]
    for path in ("jobs", f"jobs/{ended}", f"jobs/{asking}", f"approvals/{asking}"):
        page.goto(f"{api.url}/console/{path}")
        page.wait_for_load_state("networkidle")
    assert HOSTILE in page.locator("h1").inner_text()


def test_a_job_is_followed_live(page: Any, api: RunningApi) -> None:
    with api.client() as client, worker_services(api.settings) as services:
        job_id = submit(client, text="live")
        page.goto(f"{api.url}/console/jobs/{job_id}")
        page.locator(".tiles .state-queued").wait_for()
        running = Attempt(services, decode(JOB, job_id))
        page.locator(".tiles .state-running").wait_for(timeout=LIVE_MS)
        running.delta("written while you look")
        page.get_by_text("written while you look").wait_for(timeout=LIVE_MS)
        with running.context.step("understand"):
            pass
        page.locator(".timeline").get_by_text("understand").wait_for(timeout=LIVE_MS)
        running.succeed(answer="the answer")
        page.locator(".tiles .state-succeeded").wait_for(timeout=LIVE_MS)
        page.get_by_text("the answer").first.wait_for(timeout=LIVE_MS)


def test_new_jobs_are_announced_and_rows_stay(page: Any, api: RunningApi) -> None:
    page.goto(f"{api.url}/console/jobs")
    first = page.locator("table.rows tbody tr").first.get_attribute("id")
    page.locator("input[name=job]").first.check()
    with api.client() as client:
        submit(client, text="newer")
    page.get_by_text("1 new").wait_for(timeout=10_000)
    assert page.locator("table.rows tbody tr").first.get_attribute("id") == first
    assert page.locator("input[name=job]").first.is_checked()
    page.get_by_text("1 new").click()
    page.wait_for_load_state()
    assert page.locator("table.rows tbody tr").first.get_attribute("id") != first


def test_keys_and_theme(page: Any, things: dict[str, str]) -> None:
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    page.keyboard.type("j?")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.locator("tr.current").count() == 1
    assert page.locator("table.rows tbody tr").first.get_attribute("class") == "current"
    page.keyboard.press("?")
    assert page.locator("#keys-help").is_visible()
    page.keyboard.press("Escape")
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != ground


def test_without_scripts_everything_is_read_and_forms_work(browser: Any, api: RunningApi) -> None:
    with made_things(api, "plain") as things:
        plain = browser.new_context(java_script_enabled=False).new_page()
        sign_in(plain, api)
        plain.get_by_label("State").select_option("failed")
        plain.get_by_role("button", name="Filter").click()
        assert plain.locator("table.rows tbody tr").count() >= 1
        plain.goto(f"{api.url}/console/approvals/{things['asking_id']}")
        plain.get_by_label("yes").check()
        plain.get_by_role("button", name="Send answer").click()
        plain.get_by_text("Your answer is recorded.").wait_for()
        plain.goto(f"{api.url}/console/jobs/{things['job_id']}")
        plain.locator("summary", has_text="Cancel").click()
        plain.locator("details form button", has_text="Cancel").click()
        plain.get_by_text("The job is cancelled.").wait_for()
        plain.context.close()


def test_nothing_is_wider_than_a_small_screen(browser: Any, api: RunningApi, things: dict[str, str]) -> None:
    small = browser.new_page(viewport={"width": 360, "height": 700})
    sign_in(small, api)
    ended, asking = things["ended_id"], things["asking_id"]
    figures = ("overview", "money", "money/budgets", "money/statement", "money/prices", "quality", "quality/runs")
    cases = (f"money/budgets/{things['budget_id']}", f"quality/experiments/{things['experiment_id']}")
    for path in ("jobs", f"jobs/{ended}", "approvals", f"approvals/{asking}", "sessions", "x", *figures, *cases):
        small.goto(f"{api.url}/console/{path}")
        assert small.evaluate("document.documentElement.scrollWidth") <= 360, path
    small.close()


@pytest.mark.skipif(AXE is None, reason="axe-playwright-python is not installed; make console-shots has it")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, api: RunningApi, things: dict[str, str], scheme: str) -> None:
    assert AXE is not None
    script = (Path(AXE.origin or "").parent / "axe.min.js").read_text(encoding="utf-8")
    # Axe measures by styles of its own, which the policy of the pages refuses.
    checked = browser.new_context(color_scheme=scheme, bypass_csp=True).new_page()
    checked.goto(f"{api.url}/console/sign-in")
    found = violations(checked, script)
    sign_in(checked, api)
    for path in (address(page, things) for (method, _), page in PAGES.items() if method == "GET" and page.is_html):
        checked.goto(api.url + path)
        found += violations(checked, script)
    checked.context.close()
    assert found == []


def violations(page: Any, script: str) -> list[str]:
    page.evaluate(script)
    result = page.evaluate("axe.run()")
    assert len(result["passes"]) > 10
    return [
        f"{page.url}: {each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in result["violations"]
        if each["impact"] in {"serious", "critical"}
    ]

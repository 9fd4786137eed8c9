"""Spending, budgets, statements and prices in the console: known amounts, and acts with their audit records."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape

import pytest

from api.console.money.spending import series
from core.keys.service import IssuedKey
from core.kit.ids import KEY, PROJECT, encode
from core.ledger.reports.records import Window
from tests.factories.api import RunningApi, issue_key
from tests.factories.browser import Browser
from tests.factories.console_figures import CHARGED, charge
from tests.factories.tenancy import audit_trail

# Its figures are settlements that no model call had.
pytestmark = pytest.mark.own_database

MODEL = "a-model-nobody-priced"
NONE = "\N{EN DASH}"


@pytest.fixture(scope="module")
def key(api: RunningApi) -> IssuedKey:
    """A key of an organization of its own, with a priced call and one without a price."""
    made = issue_key(api.settings, organization="console-money")
    charge(api, MODEL, made)
    return made


@pytest.fixture(scope="module")
def browser(api: RunningApi, key: IssuedKey) -> Iterator[Browser]:
    with Browser(api) as opened:
        yield opened.sign_in(key)


def rows(page: str) -> list[list[str]]:
    """The texts of the cells of every row."""
    found = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    cells = (re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in found)
    return [[" ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in row] for row in cells]


def records(api: RunningApi, key: IssuedKey) -> list[str]:
    return [each["action"] for each in audit_trail(api.settings, key.organization_id)]


def test_the_chart_has_the_days_of_its_window_and_no_other() -> None:
    midnight = datetime(2026, 11, 3, tzinfo=UTC)
    charged = {(midnight - timedelta(days=1)).date(): Decimal("1.5")}
    moments, amounts = series(Window(midnight - timedelta(days=2), midnight), charged)
    assert [datetime.fromtimestamp(moment, UTC).day for moment in moments] == [1, 2]
    assert amounts == [0, 1.5]


def test_a_known_cost_is_shown_and_an_unknown_one_is_not_zero(browser: Browser) -> None:
    lines = rows(browser.get("/console/money?group_by=model").text)
    [priced] = [line for line in lines if line[:2] == ["openai", "gpt-4o"]]
    [unpriced] = [line for line in lines if line[:2] == ["local", MODEL]]
    assert priced[3:] == ["$1.50", NONE, NONE, "1", "1", NONE]
    assert unpriced[3:] == ["not priced", NONE, NONE, "1", "1", "1"]


def test_groups_and_windows_are_those_of_the_api(api: RunningApi, key: IssuedKey, browser: Browser) -> None:
    by_label = rows(browser.get("/console/money?group_by=label:team,project").text)
    assert [MODEL, "default"] in [line[:2] for line in by_label]
    assert "Nothing was spent in this time" in browser.get("/console/money?from=2020-01-01&last=2020-01-31").text
    with api.client(key) as client:
        expected = client.get("/v1/costs", params={"group_by": "model", "format": "csv"}).text
        focus = client.get("/v1/costs/focus").text
    assert browser.get("/console/money/costs.csv?group_by=model").text == expected
    # Lines of one call may come in any order, but no line may be another.
    assert sorted(browser.get("/console/money/focus.csv").text.splitlines()) == sorted(focus.splitlines())


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("group_by=nothing", "query.group_by"),
        ("from=yesterday", "query.from"),
        ("from=2026-02-01&last=2026-01-01", "query.from"),
        ("project=x", "query.project"),
    ],
)
def test_a_wrong_filter_is_named(browser: Browser, query: str, field: str) -> None:
    answer = browser.get(f"/console/money?{query}")
    assert answer.status_code == 422
    assert field in answer.text


def test_another_project_needs_the_scope_for_it(api: RunningApi, key: IssuedKey) -> None:
    narrow = issue_key(api.settings, organization="console-money", project="other", scopes=("costs:read",))
    with Browser(api) as browser:
        browser.sign_in(narrow)
        assert "Nothing was spent in this time" in browser.get("/console/money").text
        for path in ("money", "money/costs.csv", "money/focus.csv", "money/statement", "money/statement.csv"):
            answer = browser.get(f"/console/{path}?project={encode(PROJECT, key.project_id)}")
            assert answer.status_code == 403, path


def test_the_statement_adds_up(api: RunningApi, key: IssuedKey, browser: Browser) -> None:
    page = browser.get("/console/money/statement").text
    lines = rows(page)
    assert ["openai / gpt-4o", "", "$1.50"] in lines
    assert [f"local / {MODEL}", "", "not priced"] in lines
    assert lines.count(["Total", "", "$1.50 + not priced"]) == 4
    month = re.search(r'name="month" type="month" value="([\d-]+)"', page)
    assert month is not None
    with api.client(key) as client:
        expected = client.get("/v1/costs/statement", params={"month": month[1], "format": "csv"}).text
    assert browser.get(f"/console/money/statement.csv?month={month[1]}").text == expected
    assert browser.get("/console/money/statement?month=2026-13").status_code == 422


def test_budgets_are_made_changed_and_archived_with_records(api: RunningApi, key: IssuedKey, browser: Browser) -> None:
    browser.get("/console/money/budgets")
    fields = {"name": "of the console", "limit_usd": "250.00", "period": "month", "scope": "key", "hard": "yes"}
    refused = browser.post("/console/money/budgets", {**fields, "limit_usd": "much"})
    assert refused.status_code == 422
    assert "form.limit_usd" in refused.text
    made = browser.post("/console/money/budgets", {**fields, "scope_id": encode(KEY, key.id)})
    assert made.status_code == 303, made.text
    where = made.headers["location"]
    assert "$250.00" in browser.get(where).text
    assert browser.post(f"{where}/limit", {"limit_usd": "400"}).status_code == 303
    with api.client(key) as client:
        stored = client.get(f"/v1/budgets/{where.rpartition('/')[2]}").json()
    assert (stored["limit_usd"], stored["hard"], stored["scope"]) == ("400.00", False, "key")
    assert browser.post(f"{where}/archive").status_code == 303
    assert "of the console" not in browser.get("/console/money/budgets").text
    assert "of the console" in browser.get("/console/money/budgets?archived=true").text
    made_records = [each for each in records(api, key) if ":budget:" in each]
    assert made_records == ["api:budget:create", "api:budget:update", "api:budget:archive"]


def test_a_limit_is_tried_on_past_jobs(api: RunningApi, browser: Browser, key: IssuedKey) -> None:
    with api.client(key) as client:
        for _each in range(3):
            client.post("/v1/jobs", json={"capability": "probe.act", "input": {"act": "noop"}})
        budget = client.post("/v1/budgets", json={"name": "tried", "limit_usd": "9"}).json()["id"]
        body = {"limit_usd": "0.000001", "period": "month"}
        expected = client.post("/v1/backtests/budget", json=body).json()
    page = " ".join(
        re.sub(r"<[^>]+>", " ", browser.get(f"/console/money/budgets/{budget}?limit_usd=0.000001").text).split()
    )
    assert expected["jobs"] >= 3
    assert f"Jobs {expected['jobs']} Accepted {expected['accepted']} Refused {expected['refused']}" in page
    assert browser.get(f"/console/money/budgets/{budget}?limit_usd=x").status_code == 422


def test_a_price_is_recorded(api: RunningApi, key: IssuedKey, browser: Browser) -> None:
    browser.get("/console/money/prices")
    fields = {"provider": "openai", "model": "gpt-4o", "unit": "output_tokens", "usd_per_unit": "0.000009"}
    assert browser.post("/console/money/prices", {**fields, "usd_per_unit": "-1"}).status_code == 422
    assert browser.post("/console/money/prices", fields).status_code == 303
    lines = rows(browser.get("/console/money/prices?provider=openai&model=gpt-4o").text)
    [own] = [line for line in lines if line[-1] == "yours"]
    assert own[:6] == ["openai", "gpt-4o", "output tokens", NONE, "0.000009", "9.00"]
    assert [each for each in records(api, key) if ":price:" in each] == ["api:price:set"]


def test_the_amount_charged_is_the_ledgers(browser: Browser) -> None:
    assert f'title="{CHARGED:.9f} USD"' in browser.get("/console/money").text

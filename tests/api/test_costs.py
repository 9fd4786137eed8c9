"""``/v1/costs`` and ``/v1/usage``: who sees what, in which form, and what is refused."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal

import httpx
import pytest

from core.keys.service import SCOPES, IssuedKey
from core.kit.ids import MODEL_VERSION, PROJECT, decode, encode, new_id
from tests.api.test_bad_input import paths, problem
from tests.factories.api import RunningApi, issue_key
from tests.factories.charges import Line, id_at, month_start, write_lines

pytestmark = pytest.mark.own_database

MONTH = f"{month_start():%Y-%m}"
NARROW = tuple(scope for scope in SCOPES if scope != "organization:read")


def line(key: IssuedKey, usd: str, **given: object) -> Line:
    quantities, amounts = {"input_tokens": "1000"}, {"input_tokens": usd}
    made = {"amount_usd": Decimal(usd), "quantities": quantities, "amounts": amounts, **given}
    return Line(key.organization_id, key.project_id, key.id, id_at(month_start()), **made)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def claims(api: RunningApi) -> IssuedKey:
    """A key of one project that may not see the whole organisation."""
    key = issue_key(api.settings, organization="spender", project="claims", scopes=NARROW)
    other = issue_key(api.settings, organization="spender", project="returns", scopes=NARROW)
    assert api.settings.database_url is not None
    write_lines(
        api.settings.database_url.get_secret_value(),
        [
            line(key, "0.25", labels={"team": "=red"}),
            line(key, "0.000000001", model="gpt-4o-mini"),
            line(key, "9", kind="intent", entry=0, amount_usd=Decimal(0)),
            line(other, "4"),
        ],
    )
    return key


@pytest.fixture
def narrow(api: RunningApi, claims: IssuedKey) -> Iterator[httpx.Client]:
    with api.client(claims) as opened:
        yield opened


@pytest.fixture
def wide(api: RunningApi, claims: IssuedKey) -> Iterator[httpx.Client]:
    with api.client(issue_key(api.settings, organization="spender", project="office")) as opened:
        yield opened


def table(response: httpx.Response) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert "attachment" in response.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


def test_a_key_sees_its_projects_costs(narrow: httpx.Client) -> None:
    found = narrow.get("/v1/costs", params={"group_by": "model,label:team"}).json()
    assert found["group_by"] == ["model", "label:team"]
    assert found["data"] == [
        {
            "group": {"provider": "openai", "model": "gpt-4o", "label:team": "=red"},
            "amount_usd": "0.25",
            "estimated_usd": "0.00",
            "corrections_usd": "0.00",
            "calls": 1,
            "jobs": 1,
            "unpriced_calls": 0,
        },
        {
            "group": {"provider": "openai", "model": "gpt-4o-mini", "label:team": None},
            "amount_usd": "0.000000001",
            "estimated_usd": "0.00",
            "corrections_usd": "0.00",
            "calls": 1,
            "jobs": 1,
            "unpriced_calls": 0,
        },
    ]
    assert found["total"]["amount_usd"] == "0.250000001"
    assert found["from"] == f"{MONTH}-01T00:00:00.000000Z"


def test_the_organisation_is_seen_with_its_scope_only(
    narrow: httpx.Client, wide: httpx.Client, api: RunningApi
) -> None:
    found = wide.get("/v1/costs", params={"group_by": "project"}).json()
    assert [(row["group"]["project"], row["amount_usd"]) for row in found["data"]] == [
        ("claims", "0.250000001"),
        ("returns", "4.00"),
    ]
    returns = found["data"][1]["group"]["project_id"]
    assert wide.get("/v1/costs", params={"project": returns}).json()["total"]["amount_usd"] == "4.00"
    for route, query in (("", {}), ("/statement", {"month": MONTH}), ("/focus", {})):
        for project in (returns, encode(PROJECT, new_id())):
            refused = narrow.get(f"/v1/costs{route}", params={**query, "project": project})
            assert problem(refused, 403, "scope_missing")["scope"] == "organization:read"
    with api.client(issue_key(api.settings, organization="rival")) as rival:
        assert rival.get("/v1/costs").json()["total"]["amount_usd"] == "0.00"
        assert rival.get("/v1/costs", params={"project": returns}).json()["total"]["amount_usd"] == "0.00"
        assert rival.get("/v1/usage", params={"project": returns}).json()["data"][0]["quantities"] == {}
        problem(rival.get("/v1/costs/statement", params={"month": MONTH, "project": returns}), 404, "project_not_found")
        assert len(table(rival.get("/v1/costs/focus", params={"project": returns}))) == 0


def test_csv_by_format_or_by_accept(narrow: httpx.Client) -> None:
    by_format = table(narrow.get("/v1/costs?group_by=label:team&group_by=capability&format=csv"))
    assert [row["label:team"] for row in by_format] == ["'=red", ""]
    assert sum(Decimal(row["amount_usd"]) for row in by_format) == Decimal("0.250000001")
    accepted = {"accept": "application/json;q=0.5, text/csv"}
    assert table(narrow.get("/v1/costs?group_by=label:team,capability", headers=accepted)) == by_format
    assert narrow.get("/v1/costs?format=json", headers=accepted).json()["total"]["calls"] == 2
    usage = table(narrow.get("/v1/usage?group_by=model&format=csv"))
    assert [(row["model"], row["input_tokens"], row["image"]) for row in usage] == [
        ("gpt-4o", "1000", "0"),
        ("gpt-4o-mini", "1000", "0"),
    ]


def test_usage_counts_what_was_settled(narrow: httpx.Client) -> None:
    (found,) = narrow.get("/v1/usage").json()["data"]
    assert (found["quantities"], found["calls"], found["jobs"]) == ({"input_tokens": "2000"}, 2, 2)


def test_a_statement_as_csv_and_as_a_page(narrow: httpx.Client) -> None:
    rows = table(narrow.get("/v1/costs/statement", params={"month": MONTH}))
    assert sum(Decimal(row["amount_usd"]) for row in rows) == Decimal("0.250000001")
    page = narrow.get("/v1/costs/statement", params={"month": MONTH}, headers={"accept": "text/html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "0.250000001 USD" in page.text
    assert "claims" in page.text


def test_the_focus_export_adds_up(wide: httpx.Client) -> None:
    rows = table(wide.get("/v1/costs/focus"))
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal("4.250000001")
    assert {row["BillingAccountName"] for row in rows} == {"spender"}
    assert {row["SubAccountName"] for row in rows} == {"claims", "returns"}


def test_costs_need_their_scope(api: RunningApi) -> None:
    with api.client(issue_key(api.settings, scopes=("jobs:read", "organization:read"))) as poor:
        for route in ("/v1/costs", "/v1/usage", f"/v1/costs/statement?month={MONTH}", "/v1/costs/focus"):
            assert problem(poor.get(route), 403, "scope_missing")["scope"] == "costs:read"


@pytest.mark.parametrize("route", ["/v1/costs", "/v1/usage"])
@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("from=2026-02-01&to=2026-01-01", "query.from"),
        ("from=2026-02-01&to=2026-02-01", "query.from"),
        ("from=2999-01-01", "query.from"),
        ("from=01.02.2026", "query.from"),
        ("to=2026-02-30", "query.to"),
        ("to=2026-02-01T00:00:00", "query.to"),
        ("to=0001-01-01T00:00:00%2B23:59", "query.from"),
        ("to=1970-01-01", "query.from"),
        ("group_by=team", "query.group_by"),
        ("group_by=", "query.group_by"),
        ("group_by=label:", "query.group_by"),
        ("group_by=label", "query.group_by"),
        ("group_by=day,day", "query.group_by"),
        ("group_by=" + ",".join(f"label:{number}" for number in range(9)), "query.group_by"),
        ("project=prj_x", "query.project"),
        ("format=xml", "query.format"),
    ],
)
def test_a_bad_query_names_its_field(client: httpx.Client, route: str, query: str, path: str) -> None:
    assert paths(problem(client.get(f"{route}?{query}"), 422, "validation_error")) == [path]


@pytest.mark.parametrize("to", ["2026-11-02T00:00:00%2B14:00", "9999-12-31T23:59:59-12:00"])
def test_the_end_of_time_is_a_time(client: httpx.Client, to: str) -> None:
    assert client.get(f"/v1/costs?from=0001-01-01&to={to}").status_code == 200


@pytest.mark.parametrize("month", ["2026-13", "2026-00", "2026-1", "0000-01", "1969-12", "November", ""])
def test_a_bad_month_is_named(client: httpx.Client, month: str) -> None:
    response = client.get("/v1/costs/statement", params={"month": month})
    assert set(paths(problem(response, 422, "validation_error"))) == {"query.month"}


def test_costs_by_version_deployment_and_provider(api: RunningApi) -> None:
    key = issue_key(api.settings, organization="registrar")
    with api.client(key) as client:
        model = client.post("/v1/models", json={"name": "writer"}).json()
        given = {"deployment": "local/smollm2", "provider_model": "local/smollm2", "context_window": 4096}
        version = client.post(f"/v1/models/{model['id']}/versions", json=given).json()["id"]
        stored = str(decode(MODEL_VERSION, version))
        assert api.settings.database_url is not None
        made = [line(key, "0.25", provider="local", model_version=stored), line(key, "0.50")]
        write_lines(api.settings.database_url.get_secret_value(), made)

        def groups(group_by: str) -> list[tuple[dict[str, str | None], str]]:
            found = client.get("/v1/costs", params={"group_by": group_by}).json()
            return [(row["group"], row["amount_usd"]) for row in found["data"]]

        assert groups("model_version") == [
            ({"model_version_id": version, "model_version": "writer v1"}, "0.25"),
            ({"model_version_id": None, "model_version": None}, "0.50"),
        ]
        assert groups("deployment,provider") == [
            ({"deployment": "local/smollm2", "provider": "local"}, "0.25"),
            ({"deployment": None, "provider": "openai"}, "0.50"),
        ]
        as_csv = table(client.get("/v1/costs?group_by=model_version,deployment&format=csv"))
        assert [row["deployment"] for row in as_csv] == ["local/smollm2", ""]
        assert client.get("/v1/usage", params={"group_by": "deployment"}).json()["data"][0]["calls"] == 1
        refused = client.get("/v1/costs", params={"group_by": "model,provider"})
        assert paths(problem(refused, 422, "validation_error")) == ["query.group_by"]

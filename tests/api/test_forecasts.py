"""Quotes, forecasts, spikes and backtests over HTTP."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.keys.principal import Principal
from core.keys.service import SCOPES, IssuedKey
from core.kit.db import Database
from core.kit.ids import KEY, PROJECT, encode
from tests.api.test_bad_input import paths, problem
from tests.factories import rollups
from tests.factories.api import RunningApi, issue_key
from tests.factories.jobs import tenant_of
from tests.factories.rollups import add, ended, every, settled

pytestmark = pytest.mark.own_database

NOW = datetime.now(UTC)
HOUR = NOW.replace(minute=30, second=0, microsecond=0)
NARROW = tuple(scope for scope in SCOPES if scope != "organization:read")
BUDGET = {"name": "all of it", "limit_usd": "100", "period": "total"}


@pytest.fixture(scope="module")
def key(api: RunningApi) -> IssuedKey:
    """A key whose searches cost a cent and whose probes ten cents, with a spike two hours ago."""
    found = issue_key(api.settings, organization="planner")
    organization, project = found.organization_id, found.project_id
    jobs = [
        ended(
            organization,
            project,
            HOUR - timedelta(hours=number % 48 + 1),
            capability="probe.act",
            size_bytes=14,
            cost_usd=Decimal("0.1") + Decimal(number) / 1000,
            tree_usd=Decimal("0.1") + Decimal(number) / 1000,
            model="gpt-4o",
        )
        for number in range(100)
    ]
    steady = [
        settled(organization, project, at, "0.50", key_id=found.id)
        for at in every(timedelta(hours=1), HOUR - timedelta(days=10), 239)
    ]
    spike = settled(
        organization,
        project,
        HOUR - timedelta(hours=2),
        "30",
        key_id=found.id,
        capability="research.report",
        model="o9",
    )
    add(api.settings, jobs, [*steady, spike])
    return found


def test_a_quote_says_what_most_jobs_cost_and_what_none_can(api: RunningApi, key: IssuedKey) -> None:
    asked = {"capability": "probe.act", "input": {"act": "noop"}}
    with api.client(key) as client:
        found = client.post("/v1/quotes", json=asked).json()
        capped = client.post("/v1/quotes", json={**asked, "max_cost_usd": "0.05"}).json()
        other = client.post("/v1/quotes", json={**asked, "model": "gpt-none"}).json()
        wrong = problem(client.post("/v1/quotes", json={**asked, "input": {"act": 7}}), 422, "validation_error")
        client.post("/v1/budgets", json={**BUDGET, "name": "tight", "limit_usd": "31"})
        budgeted = client.post("/v1/quotes", json=asked).json()
    assert (found["basis"], found["jobs"]) == ("project_and_size", 100)
    assert float(found["p50_usd"]) == pytest.approx(0.150, rel=0.03)
    assert float(found["p90_usd"]) == pytest.approx(0.190, rel=0.03)
    assert found["cap_usd"] is None
    assert (capped["cap_usd"], capped["capped_by"]) == ("0.05", "max_cost_usd")
    assert (other["basis"], other["p90_usd"]) == ("none", None)
    assert paths(wrong) == ["body.input.act"]
    assert (budgeted["cap_usd"], budgeted["capped_by"]) == ("31.00", "tight")


def test_a_forecast_of_steady_spending_is_arithmetic(api: RunningApi, key: IssuedKey) -> None:
    with api.client(key) as client:
        made = client.post("/v1/budgets", json={**BUDGET, "scope": "key", "scope_id": encode(KEY, key.id)}).json()
        found = client.get(f"/v1/budgets/{made['id']}/forecast").json()
        missing = client.get("/v1/budgets/bud_01jd3q8v9tfq8a1b2c3d4e5f6g/forecast")
    assert found["based_on_hours"] == pytest.approx(239, abs=2)
    assert found["probability"] == 1.0
    # Half a dollar an hour, and sometimes the hour of the spike: a hundred dollars last at most 200 hours.
    late = datetime.fromisoformat(found["exhausted_at"]["late"])
    assert timedelta(hours=60) < late - NOW <= timedelta(hours=201)
    problem(missing, 404, "budget_not_found")


def test_a_spike_names_its_key_and_what_it_was_spent_on(api: RunningApi, key: IssuedKey) -> None:
    with api.client(key) as client:
        [found] = client.get("/v1/costs/anomalies").json()["data"]
        refused = problem(client.get("/v1/costs/anomalies", params={"from": "2020-01-01"}), 422, "validation_error")
    assert found["key_id"] == encode(KEY, key.id)
    assert (found["amount_usd"], found["expected_usd"]) == ("30.50", "0.50")
    assert (found["causes"][0]["capability"], found["causes"][0]["model"]) == ("research.report", "o9")
    assert paths(refused) == ["query.from"]


@pytest.fixture(scope="module")
def spender(api: RunningApi) -> IssuedKey:
    """A key with five jobs that set a dollar aside and spent half of it."""
    found = issue_key(api.settings, organization="replayed")
    database = Database(api.settings, application_name="test-spend", pool_size=2)
    principal = Principal(found.organization_id, found.project_id, found.id, frozenset(SCOPES))
    tenant = tenant_of(api.settings, principal, database)
    for _ in range(5):
        rollups.spend(api.settings, tenant, cap="1", amount="0.5")
    tenant.close()
    return found


def test_a_backtested_budget_says_what_it_would_have_refused(api: RunningApi, spender: IssuedKey) -> None:
    with api.client(spender) as client:
        enough = client.post("/v1/backtests/budget", json={"limit_usd": "100"}).json()
        tight = client.post("/v1/backtests/budget", json={"limit_usd": "1.75", "period": "total"}).json()
        project = {"scope": "project", "scope_id": encode(PROJECT, spender.project_id)}
        narrow = client.post("/v1/backtests/budget", json={"limit_usd": "1.75", "period": "total", **project}).json()
        wrong = client.post("/v1/backtests/budget", json={"limit_usd": "1", "scope": "key"})
    assert (enough["jobs"], enough["accepted"], enough["spent_usd"]) == (5, 5, "2.50")
    # 1, 0.5 + 1 fit; the third would need 1 + 1.
    assert (tight["accepted"], tight["refused"], tight["spent_usd"], tight["history_usd"]) == (2, 3, "1.00", "2.50")
    assert len(tight["examples"]) == 3
    assert narrow == {**tight, "from": narrow["from"], "to": narrow["to"]}
    assert paths(problem(wrong, 422, "validation_error")) == ["body.scope_id"]


def test_rates_and_prices_are_tried_on_the_same_jobs(api: RunningApi, spender: IssuedKey) -> None:
    with api.client(spender) as client:
        slow = client.post("/v1/backtests/limit", json={"requests_per_minute": 2}).json()
        price = {"provider": "p", "model": "m", "unit": "input_tokens", "usd_per_unit": "0.001"}
        prices = client.post("/v1/backtests/prices", json={"prices": [price]}).json()
    assert (slow["jobs"], slow["refused"]) == (5, 3)
    assert (prices["charged_usd"], prices["repriced_usd"], prices["difference_usd"]) == ("2.50", "0.50", "-2.00")


def test_a_key_of_one_project_replays_its_own(api: RunningApi, spender: IssuedKey) -> None:
    other = issue_key(api.settings, organization="replayed", project="other", scopes=NARROW)
    with api.client(other) as client:
        assert client.post("/v1/backtests/budget", json={"limit_usd": "1"}).json()["jobs"] == 0
        foreign = {"limit_usd": "1", "scope": "project", "scope_id": encode(PROJECT, spender.project_id)}
        assert client.post("/v1/backtests/budget", json=foreign).status_code == 403
        theirs = {"limit_usd": "1", "scope": "key", "scope_id": encode(KEY, spender.id)}
        assert client.post("/v1/backtests/budget", json=theirs).json()["jobs"] == 0
        assert json.loads(client.post("/v1/backtests/limit", json={"requests_per_minute": 1}).text)["jobs"] == 0

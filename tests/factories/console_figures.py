"""Charges, roll-ups, budgets, signals, runs and experiments for pages of the console, with a text of someone's choice.

`figures` of the API's own key: what was charged is 1.50 USD by a model with a price, and a call without one.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import psycopg

from core.keys.service import IssuedKey
from core.kit.db import Database
from core.kit.ids import EXPERIMENT, JOB, decode, encode, new_id
from core.quality.gates import repository as gates
from core.quality.gates.records import NewRun
from tests.factories.api import RunningApi, principal_of
from tests.factories.charges import Line, id_at, write_lines
from tests.factories.console_things import HOSTILE
from tests.factories.experiment_outcomes import Outcome, write_outcomes
from tests.factories.quality import Ended, write_alert, write_ended
from tests.factories.rollups import add, ended, settled

CHARGED = Decimal("1.50")
MODELS = (("openai", "gpt-4o"), ("anthropic", "claude-opus-4-6"))
_SIGNALS = (("succeeded", 0.96), ("quotes_verified", 0.88), ("abstained", 0.07))


def url_of(api: RunningApi) -> str:
    """The address of the API's database."""
    assert api.settings.database_url is not None
    return api.settings.database_url.get_secret_value()


def charge(api: RunningApi, text: str = HOSTILE, key: IssuedKey | None = None) -> None:
    """Two calls of now: one for `CHARGED`, one that has no price."""
    owner = key or api.key

    def line(amount: Decimal, **given: object) -> Line:
        return Line(owner.organization_id, owner.project_id, owner.id, id_at(datetime.now(UTC)), amount, **given)  # type: ignore[arg-type]

    used, paid = {"input_tokens": "600000"}, {"input_tokens": str(CHARGED)}
    unpriced = line(Decimal(0), provider="local", model=text, quantities=used, labels={"team": text[:100]})
    write_lines(url_of(api), [line(CHARGED, quantities=used, amounts=paid), unpriced])


def made_figures(api: RunningApi, text: str = HOSTILE) -> dict[str, str]:
    """Ids of a budget, an experiment, a change of quality, and of a result to label."""
    url = url_of(api)
    organization_id, project_id = api.key.organization_id, api.key.project_id
    charge(api, text)
    now = datetime.now(UTC)
    call = settled(organization_id, project_id, now, "0", provider="local", model=text, is_unpriced=True)
    add(api.settings, [ended(organization_id, project_id, now)], [call])
    name = f"{text[:150]} {encode(JOB, new_id())[-6:]}"
    with api.client() as client:
        budget = client.post("/v1/budgets", json={"name": name, "limit_usd": "40"})
        assert budget.status_code == 201, budget.text
        arms = [{"name": text[:100], "weight": 0.5}, {"name": "as it is", "kind": "control", "weight": 0.5}]
        experiment = client.post(
            "/v1/experiments",
            json={
                "name": name,
                "capability": "probe.act",
                "arms": arms,
                "plan": {"baseline": 0.2, "minimum_lift": 0.05},
                "guardrails": [{"metric": "error_rate", "bound": 0.05}, {"metric": "cost", "bound": 1.25}],
            },
        )
        assert experiment.status_code == 201, experiment.text
        job = Ended({"answer": text}, {"query": text})
        [job_id] = write_ended(url, organization_id, project_id, [job])
        named = {"how": "named", "job_ids": [encode(JOB, job_id)]}
        assert client.post("/v1/quality/annotations", json=named).status_code == 201
    _record_runs(api, text)
    return {
        "budget_id": budget.json()["id"],
        "experiment_id": experiment.json()["id"],
        "alert_id": write_alert(api.settings, organization_id, version=text[:150]),
        "case_id": encode(JOB, job_id),
    }


def _record_runs(api: RunningApi, text: str) -> None:
    principal = principal_of(api.key)
    database = Database(api.settings, application_name="test-console", pool_size=1)
    try:
        with database.tenant(principal.organization_id) as session:
            for passed in (80, 90):
                new = NewRun(new_id(), text[:150], "sha256:" + "ab" * 32, 100, passed)
                assert gates.add_run(session, principal, new, text[:150], 120) is not None
            gates.set_gate(session, principal, new_id(), text[:150], 0.9, 50)
    finally:
        database.close()


def fill(api: RunningApi, experiment_id: str, days: int = 21) -> None:
    """Three weeks of jobs, charges, signals and exposures, for pictures: the same each time."""
    chance = Random(7)
    organization_id, project_id = api.key.organization_id, api.key.project_id
    url = url_of(api)
    now = datetime.now(UTC)
    jobs, calls, lines, hours = [], [], [], []
    for number in range(days * 24):
        at = now - timedelta(hours=number)
        busy = 4 + int(10 * max(0.0, 1 - abs(at.hour - 13) / 9)) + chance.randint(0, 3)
        for _each in range(busy):
            failed = chance.random() < 0.03
            capability = chance.choice(("knowledge.search", "support.reply", "research.report"))
            run = chance.lognormvariate(1, 0.8)
            state = "failed" if failed else "succeeded"
            jobs.append(ended(organization_id, project_id, at, capability=capability, state=state, ran=run))
            provider, model = chance.choice(MODELS)
            amount = Decimal(str(round(chance.lognormvariate(-4.5, 1), 6)))
            calls.append(
                settled(
                    organization_id,
                    project_id,
                    at,
                    str(amount),
                    provider=provider,
                    model=model,
                    capability=capability,
                    key_id=api.key.id,
                    seconds=run / 2,
                )
            )
            lines.append(
                Line(
                    organization_id,
                    project_id,
                    api.key.id,
                    id_at(at),
                    amount,
                    provider=provider,
                    model=model,
                    capability=capability,
                    quantities={"input_tokens": "900"},
                    amounts={"input_tokens": str(amount)},
                    labels={"team": chance.choice(("claims", "support"))},
                )
            )
        for signal, rate in _SIGNALS:
            good = sum(chance.random() < rate for _each in range(busy))
            hours.append((organization_id, "knowledge.search", signal, at.replace(minute=0, second=0, microsecond=0),
                          project_id, "local/smollm2", "sha256:p", busy, busy, good, good, good, busy))  # fmt: skip
    add(api.settings, jobs, calls)
    write_lines(url, lines)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO quality_hours (organization_id, capability, signal, hour, project_id, model_version,"
            " prompt_version, jobs, denominators, numerators, numerators_squared, products, denominators_squared)"
            f" VALUES ({', '.join(['%s'] * 13)}) ON CONFLICT DO NOTHING",
            hours,
        )
        for state, count in (("queued", 14), ("running", 6), ("waiting", 2)):
            cursor.execute(
                "INSERT INTO job_backlog VALUES (%s, %s, 'knowledge.search', %s, %s, now() - interval '4 min', now())"
                " ON CONFLICT DO NOTHING",
                (organization_id, project_id, state, count),
            )
    with api.client() as client:
        assert client.post(f"/v1/experiments/{experiment_id}/start").status_code == 200
    database = Database(api.settings, application_name="test-console", pool_size=1)
    try:
        principal = principal_of(api.key)
        found = api.runtime.experiments.get(
            database.single_tenant(organization_id), principal, decode(EXPERIMENT, experiment_id)
        )
    finally:
        database.close()
    for arm in found.arms:
        rate = 0.24 if arm.kind.value == "control" else 0.31
        outcomes = [
            Outcome(
                "succeeded" if chance.random() < rate else "failed",
                chance.lognormvariate(0.5, 0.4),
                Decimal(str(round(chance.lognormvariate(-4.5, 0.5), 6))),
                min(1.0, max(0.0, chance.gauss(0.7, 0.2))),
            )
            for _each in range(1500)
        ]
        write_outcomes(url, found, arm, outcomes)

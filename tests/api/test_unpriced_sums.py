"""Unknown is never zero where costs are added up either: of children, trees, batches and responses (row 15)."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from core.batches.outcome import finish_once
from core.batches.service import Batches
from core.batches.submission import submit_lines
from core.capability import ChildCall, ChildOutcome, JobSuspended, ModelRef, ModelUsage
from core.jobs.receipts.checks import check
from core.jobs.repository import _GET as GET
from core.kit.blob import open_blob_store
from core.kit.db import Database
from core.kit.ids import JOB, PROJECT, decode
from core.kit.money import ZERO
from core.kit.redis import connect
from core.ledger import service as ledger
from core.ledger.prices.cache import PriceCache
from core.ledger.records import CallIdentity
from core.ledger.usage_checkpoints import UsageCheckpoints
from pipelines.registry import manifests
from tests.api.test_unpriced import DEAR, FREE, USED
from tests.api.test_unpriced import JOB as PROBE
from tests.factories.api import RunningApi, issue_key
from tests.factories.attempts import Attempt, attempt
from waybill.cli.main import app
from waybill.client import WaybillClient

pytestmark = pytest.mark.own_database

PRICED = ModelRef("openai", "priced")


@pytest.fixture
def project(api: RunningApi) -> Iterator[httpx.Client]:
    """A project of its own, in which `PRICED` costs 3.00 a call."""
    with api.client(issue_key(api.settings, organization=str(uuid4()))) as client:
        for unit in ("input_tokens", "output_tokens"):
            price = {"provider": "openai", "model": "priced", "unit": unit, "usd_per_unit": "0.1"}
            client.post("/v1/prices", json=price).raise_for_status()
        yield client


@pytest.fixture
def database(api: RunningApi) -> Iterator[Database]:
    """The dispatcher's."""
    opened = Database(api.settings, application_name="test-unpriced", pool_size=3)
    yield opened
    opened.close()


def spend(running: Attempt, *models: ModelRef) -> None:
    for model in models:
        with running.context.call_model(model, USED) as call:
            call.report(ModelUsage(model.name, USED))
    running.context.wait_settled()


def start(running: Attempt, *keys: str) -> list[ChildOutcome]:
    """Call children; at first they have not ended, and the job steps aside until they have."""
    try:
        return running.context.call_all([ChildCall(key, "probe.act", {"act": "noop"}) for key in keys])
    except JobSuspended:
        running.suspend("children")
        return []


def tree_of(client: httpx.Client, job_id: str) -> dict[str, Any]:
    return dict(client.get(f"/v1/jobs/{job_id}/tree").json())


def costs(shown: dict[str, Any], *names: str) -> list[tuple[str | None, bool]]:
    return [(shown[f"{name}cost_usd"], shown[f"{name}priced"]) for name in names]


def test_row_15_a_job_above_one_without_a_price_says_that_its_cost_is_not_all(
    api: RunningApi, project: httpx.Client
) -> None:
    top = project.post("/v1/jobs", json=PROBE).json()["id"]
    with attempt(api.settings, top) as running:
        spend(running, FREE)
        start(running, "middle", "known")
    middle, known = [node["id"] for node in tree_of(project, top)["jobs"][1:]]
    with attempt(api.settings, known) as running:
        spend(running, FREE)
        running.succeed()
    with attempt(api.settings, middle) as running:
        start(running, "leaf")
    [leaf] = [node["id"] for node in tree_of(project, middle)["jobs"][1:]]
    with attempt(api.settings, leaf) as running:
        spend(running, DEAR)
        running.succeed()
    with attempt(api.settings, middle) as running:
        [outcome] = start(running, "leaf")
        assert (outcome.cost_usd, outcome.is_priced) == (ZERO, False)
        running.succeed()

    # Nothing is known of what costs something, so nothing is shown; what is known to be free is 0.00.
    assert costs(project.get(f"/v1/jobs/{top}").json(), "", "children_", "total_") == [
        ("0.00", True),
        (None, False),
        (None, False),
    ]
    assert costs(project.get(f"/v1/jobs/{top}/cost").json(), "", "children_", "total_") == [
        ("0.00", True),
        (None, False),
        (None, False),
    ]
    tree = tree_of(project, top)
    assert costs(tree, "total_") == [(None, False)]
    assert {node["key"]: costs(node, "")[0] for node in tree["jobs"]} == {
        None: ("0.00", True),
        "middle": ("0.00", True),
        "known": ("0.00", True),
        "leaf": (None, False),
    }
    assert costs(project.get(f"/v1/jobs/{known}").json(), "", "children_", "total_") == [("0.00", True)] * 3

    # With something known, that is shown, and that it is not all.
    with attempt(api.settings, top) as running:
        outcomes = {each.key: each.is_priced for each in start(running, "middle", "known")}
        assert outcomes == {"middle": False, "known": True}
        spend(running, PRICED)
        running.succeed()
    assert costs(project.get(f"/v1/jobs/{top}").json(), "", "children_", "total_") == [
        ("3.00", True),
        (None, False),
        ("3.00", False),
    ]
    assert costs(tree_of(project, top), "total_") == [("3.00", False)]
    reported = {data["key"]: (data["cost_usd"], data["priced"]) for data in _events(api, top, "child.finished")}
    assert reported == {"middle": (None, False), "known": ("0.000000000", True)}

    receipt = project.get(f"/v1/jobs/{top}/waybill").json()
    assert {child["key"]: costs(child, "")[0] for child in receipt["children"]} == {
        "middle": (None, False),
        "known": ("0.00", True),
    }
    [found] = [each for each in check(receipt, None) if each.name == "children"]
    assert (found.holds, found.text) == (None, "of 2 child jobs, 1 cost more than is known: calls were not priced")

    key = client_key(project)
    with WaybillClient(api.url, key) as client:
        job = client.jobs.get(top)
        assert (job.children_cost_usd, job.children_priced) == (None, False)
        assert [(each.cost_usd, each.priced) for each in client.jobs.tree(top).jobs if each.key == "leaf"] == [
            (None, False)
        ]
    shown = CliRunner().invoke(app, ["jobs", "tree", top], env={"WAYBILL_URL": api.url, "WAYBILL_API_KEY": key})
    assert shown.exit_code == 0, shown.output
    assert "$3 and calls that are not priced" in shown.output


def test_row_15_reading_a_job_without_children_looks_for_them_once_and_no_further(
    project: httpx.Client, database: Database
) -> None:
    job = project.post("/v1/jobs", json=PROBE).json()
    scope = {"id": decode(JOB, job["id"]), "capabilities": None, "project_id": decode(PROJECT, job["project_id"])}
    with database.system() as session:
        plan = "\n".join(session.execute(text(f"EXPLAIN ANALYZE {GET}"), scope).scalars())
    assert re.search(r"Function Scan on jobs_costs_below.*never executed", plan), plan
    assert plan.count("InitPlan") + plan.count("SubPlan") == plan.count("One-Time Filter") + 1 == 2, plan


def test_row_15_a_batch_and_its_lines_say_when_a_price_was_missing(
    api: RunningApi, project: httpx.Client, database: Database
) -> None:
    lines: list[dict[str, Any]] = [{"custom_id": name, "input": {}} for name in ("dear", "free", "stopped")]
    batch = project.post("/v1/batches", json={"capability": "probe.act", "lines": lines}).json()
    where = batch["links"]["self"]
    blobs = open_blob_store(api.settings)

    def keep_going() -> dict[str, Any]:
        submit_lines(database, api.runtime.jobs, manifests(), 100)
        finish_once(database, blobs, Batches(api.runtime.jobs), api.runtime.files)
        return dict(project.get(where).json())

    assert costs(keep_going(), "") == [("0.00", True)]
    dear, free, stopped = [job["id"] for job in project.get("/v1/jobs").json()["data"]][::-1]
    with attempt(api.settings, dear) as running:
        spend(running, DEAR)
        # Live lines count as they are.
        assert costs(project.get(where).json(), "") == [(None, False)]
        running.succeed()
    results = project.get(batch["links"]["results"]).text
    assert '"cost_usd":null,"priced":false' in results
    with attempt(api.settings, free) as running:
        spend(running, FREE, PRICED)
        running.succeed()
    project.post(f"/v1/jobs/{stopped}/cancel").raise_for_status()
    keep_going()
    ended = keep_going()
    assert (ended["state"], costs(ended, "")) == ("completed", [("3.00", False)])
    assert costs(project.get("/v1/batches").json()["data"][0], "") == [("3.00", False)]
    key = client_key(project)
    with WaybillClient(api.url, key) as client:
        found = {each.custom_id: (each.cost_usd, each.priced) for each in client.batches.results(batch["id"])}
        assert found == {"dear": (None, False), "free": (3, True), "stopped": (0, True)}
        assert client.batches.get(batch["id"]).priced is False
    for command in (["batches", "show", batch["id"]], ["batches", "list"]):
        shown = CliRunner().invoke(app, command, env={"WAYBILL_URL": api.url, "WAYBILL_API_KEY": key, "COLUMNS": "200"})
        assert "$3 and calls that are not priced" in shown.output, shown.output


def test_row_15_a_call_without_a_price_whose_worker_was_lost_is_not_free(
    api: RunningApi, project: httpx.Client, database: Database
) -> None:
    job_id = project.post("/v1/jobs", json=PROBE).json()["id"]
    with attempt(api.settings, job_id) as running:
        for number, ref in enumerate((DEAR, FREE), start=1):
            call = CallIdentity(decode(JOB, job_id), running.context.attempt, number)
            single = database.single_system()
            ledger.begin_call(single, call, bound_usd=ZERO, provider=ref.provider, model=ref.name)
        running.requeue()
    with connect(api.settings) as redis:
        assert ledger.sweep(database, 0, checkpoints=UsageCheckpoints(redis, api.settings), prices=PriceCache()) == 2
    shown = project.get(f"/v1/jobs/{job_id}").json()
    assert costs(shown, "") == [(None, False)]
    lines = project.get(f"/v1/jobs/{job_id}/cost").json()["lines"]
    assert [(line["amount_usd"], line["reason"]) for line in lines if line["kind"] == "settlement"] == [
        (None, "worker_lost"),
        ("0.00", "worker_lost"),
    ]
    assert project.get("/v1/costs").json()["total"]["unpriced_calls"] == 1


def client_key(client: httpx.Client) -> str:
    return str(client.headers["authorization"].split()[1])


def _events(api: RunningApi, job_id: str, kind: str) -> list[dict[str, Any]]:
    assert api.settings.database_url is not None
    with psycopg.connect(api.settings.database_url.get_secret_value()) as connection:
        found = connection.execute(
            "SELECT data FROM job_events WHERE job_id = %s AND type = %s ORDER BY id", (decode(JOB, job_id), kind)
        )
        return [dict(row[0]) for row in found]

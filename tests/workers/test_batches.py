"""Batches over HTTP and real workers: every line ends once, the counts, the cap and the result file are exact."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from core.keys.service import IssuedKey
from core.kit.db import Database
from core.kit.ids import new_id
from core.kit.settings import Settings
from tests.factories.api import RunningApi, issue_key, probe_capabilities, revoke_key, running_api
from tests.factories.capabilities import SPENDING_MODEL
from tests.factories.processes import dispatcher, settings_of, start, worker
from tests.factories.tenancy_cases import HOOK_URL
from tests.factories.waiting import wait_until

ENDS = {"completed", "failed", "cancelled", "expired"}
TOKEN_USD = Decimal("0.001")


@pytest.fixture(autouse=True)
def _probes() -> Iterator[None]:
    with probe_capabilities():
        yield


@dataclass
class House:
    """An API and a project's client; the price of the spending probe is a tenth of a cent a token."""

    api: RunningApi
    client: httpx.Client
    database: Database
    key: IssuedKey

    def create(self, lines: list[dict[str, Any]], **given: Any) -> dict[str, Any]:
        body = {"capability": "probe.act", "lines": lines, **given}
        answer = self.client.post("/v1/batches", json=body)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def create_from_file(self, content: str, **given: Any) -> dict[str, Any]:
        uploaded = self.client.post("/v1/files", params={"name": "lines.jsonl"}, content=content.encode())
        assert uploaded.status_code == 201, uploaded.text
        body = {"capability": "probe.act", "input_file_id": uploaded.json()["id"], **given}
        answer = self.client.post("/v1/batches", json=body)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def read(self, batch: dict[str, Any]) -> dict[str, Any]:
        shown = self.client.get(batch["links"]["self"]).json()
        counts = dict(shown["counts"])
        assert counts.pop("total") == sum(counts.values()), shown
        return dict(shown)

    def wait(self, batch: dict[str, Any], timeout_seconds: float = 60) -> dict[str, Any]:
        wait_until(
            lambda: self.read(batch)["state"] in ENDS,
            timeout_seconds=timeout_seconds,
            what="the batch to end",
            pause_seconds=0.1,
        )
        return self.read(batch)

    def results(self, batch: dict[str, Any], after: int = 0) -> list[dict[str, Any]]:
        answer = self.client.get(batch["links"]["results"], params={"after": after} if after else {})
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def sql(self, statement: str) -> list[Any]:
        with self.database.tenant(self.key.organization_id) as session:
            return list(session.execute(text(statement)))


@contextmanager
def opened(settings: Settings) -> Iterator[House]:
    with running_api(settings) as api:
        database = Database(settings, application_name="test-batches", pool_size=2)
        key = issue_key(settings, organization=f"org-{new_id()}")
        with database.system() as session:
            session.execute(
                text(
                    "INSERT INTO prices (id, organization_id, provider, model, unit, usd_per_unit, valid_from, source)"
                    " VALUES (:id, :organization, 'local', :model, 'output_tokens', :price, now(), 'operator')"
                ),
                {"id": new_id(), "organization": key.organization_id, "model": SPENDING_MODEL, "price": TOKEN_USD},
            )
        with api.client(key) as client:
            yield House(api, client, database, key)
        database.close()


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    with opened(settings) as made:
        yield made


def line(number: int, **given: Any) -> dict[str, Any]:
    return {"custom_id": f"line-{number}", "input": {"note": str(number), **given}}


def _mixed(count: int) -> list[dict[str, Any]]:
    """Every fifth fails, every seventh spends three tokens, every eleventh crashes once and then answers."""
    made = []
    for number in range(1, count + 1):
        if number % 5 == 0:
            given: dict[str, Any] = {"act": "fail", "retryable": False}
        elif number % 7 == 0:
            given = {"act": "spend", "bound_tokens": 5, "used_tokens": 3}
        elif number % 11 == 0:
            given = {"act": "crash", "until_attempt": 1}
        else:
            given = {"act": "noop"}
        made.append(line(number, **given))
    return made


def _run_mixed(house: House, settings: Settings, count: int, *, cap_usd: str, timeout_seconds: float) -> None:
    lines, line_cap_usd = _mixed(count), Decimal("0.006")
    costs = [3 * TOKEN_USD if each["input"]["act"] == "spend" else Decimal(0) for each in lines]
    # A line begins if what those before it have cost leaves room for what it may cost, whatever runs side by side.
    begun = sum(sum(costs[:at], Decimal(0)) + line_cap_usd <= Decimal(cap_usd) for at in range(count))
    failing = sum(each["input"]["act"] == "fail" for each in lines[:begun]) + count - begun
    with dispatcher(settings), worker(settings, concurrency=4):
        content = "\n".join(json.dumps(each) for each in lines)
        batch = house.create_from_file(content, max_line_cost_usd=str(line_cap_usd), max_cost_usd=cap_usd)
        ended = house.wait(batch, timeout_seconds)
    assert ended["state"] == "completed", ended
    assert ended["counts"] == {
        "total": count,
        "queued": 0,
        "running": 0,
        "succeeded": count - failing,
        "failed": failing,
        "cancelled": 0,
        "expired": 0,
    }
    assert Decimal(ended["cost_usd"]) == sum(costs[:begun]) <= Decimal(cap_usd)
    results = house.results(ended)
    assert [each["custom_id"] for each in results] == [each["custom_id"] for each in lines]
    for at, (given, got) in enumerate(zip(lines, results, strict=True)):
        if at >= begun:
            assert (got["status"], got["error"]["code"], got["job_id"]) == ("failed", "cost_cap_reached", None)
        elif given["input"]["act"] == "fail":
            assert (got["status"], got["error"]["code"]) == ("failed", "asked_to_fail")
        else:
            assert (got["status"], got["result"]["said"]) == ("succeeded", given["input"]["note"])
        assert Decimal(got["cost_usd"]) == (costs[at] if at < begun else 0)
    whole = house.client.get(f"/v1/files/{ended['results_file_id']}/content").content
    assert hashlib.sha256(whole).hexdigest() == ended["results_sha256"]
    assert len(whole) == ended["results_size_bytes"]
    assert len(house.sql("SELECT id FROM jobs WHERE batch_id IS NOT NULL")) == begun
    spent = house.sql("SELECT coalesce(sum(amount_usd), 0) FROM ledger_entries")
    assert spent[0][0] == sum(costs[:begun])


def test_every_line_ends_once_and_the_result_file_says_how(house: House, settings: Settings) -> None:
    _run_mixed(house, settings, 60, cap_usd="0.014", timeout_seconds=60)


@pytest.mark.slow(300)
@pytest.mark.timeout(1200)
def test_five_thousand_lines_with_failures_and_a_cap_are_exact(house: House, settings: Settings) -> None:
    # About 571 lines cost 0.003 each; the cap ends it some hundred lines before the end.
    _run_mixed(house, settings, 5_000, cap_usd="1.5", timeout_seconds=900)


def test_a_batch_costs_what_its_cap_allows_and_not_a_token_more(house: House, settings: Settings) -> None:
    # A line costs 0.1 and may cost 0.2: the ninth begins with 0.8 spent, and after it nothing fits.
    lines = [line(number, act="spend", used_tokens=100) for number in range(1, 13)]
    with dispatcher(settings), worker(settings, concurrency=4):
        batch = house.create(lines, max_cost_usd="1", max_line_cost_usd="0.2")
        ended = house.wait(batch)
    assert (ended["state"], Decimal(ended["cost_usd"])) == ("completed", Decimal("0.9"))
    results = house.results(ended)
    assert [each["status"] for each in results] == ["succeeded"] * 9 + ["failed"] * 3
    assert {each["error"]["code"] for each in results[9:]} == {"cost_cap_reached"}
    assert {each["job_id"] for each in results[9:]} == {None}
    spent = house.sql("SELECT coalesce(sum(amount_usd), 0) FROM ledger_entries WHERE capability = 'probe.act'")
    assert spent[0][0] == Decimal("0.9")


def test_a_dispatcher_that_is_killed_over_and_over_feeds_every_line_once(
    house: House, settings: Settings, tmp_path: Path
) -> None:
    marker = tmp_path / "begun"
    narrow = settings_of(settings, batch_window=5)
    with worker(settings, concurrency=4):
        batch = house.create([line(number, marker=str(marker)) for number in range(1, 81)])
        for number in range(1, 6):
            process = start(narrow, "workers", "dispatcher", WAYBILL_BATCH_WINDOW="5")
            wait_until(
                lambda number=number: house.read(batch)["counts"]["queued"] <= 80 - number * 8,  # type: ignore[misc]
                timeout_seconds=30,
                what="some lines to begin",
            )
            process.kill()
        with dispatcher(settings):
            ended = house.wait(batch)
    assert ended["counts"]["succeeded"] == 80
    begun = Counter(row.split()[0] for row in marker.read_text().splitlines())
    assert len(begun) == 80
    assert [each["line"] for each in house.results(ended)] == list(range(1, 81))
    assert len(house.sql("SELECT id FROM jobs WHERE batch_id IS NOT NULL")) == 80


def test_no_more_jobs_than_the_window_are_there_at_once_and_others_go_first(house: House, settings: Settings) -> None:
    with dispatcher(settings, WAYBILL_BATCH_WINDOW="3"):
        batch = house.create([line(number) for number in range(1, 31)])
        wait_until(
            lambda: len(house.sql("SELECT id FROM jobs WHERE batch_id IS NOT NULL")) == 3,
            timeout_seconds=20,
            what="the first portion",
        )
        answer = house.client.post("/v1/jobs", json={"capability": "probe.act", "input": {"act": "noop"}})
        with worker(settings, concurrency=1):
            ended = house.wait(batch)
    assert ended["counts"]["succeeded"] == 30
    assert ended["priority"] == "low"
    assert house.client.get(answer.headers["location"]).json()["state"] == "succeeded"


def test_a_cancelled_batch_starts_nothing_more_and_keeps_what_is_done(house: House, settings: Settings) -> None:
    lines = [line(1), line(2), *(line(number, act="sleep", seconds=60) for number in range(3, 21))]
    with dispatcher(settings, WAYBILL_BATCH_WINDOW="6"), worker(settings, concurrency=2):
        batch = house.create(lines)
        # The two that run are the first that sleep, not the two before them.
        wait_until(
            lambda: (counts := house.read(batch)["counts"])["succeeded"] == counts["running"] == 2,
            timeout_seconds=60,
            what="two lines to have ended and two to be running",
        )
        assert [each["line"] for each in house.results(batch)] == [1, 2]
        assert [each["line"] for each in house.results(batch, after=1)] == [2]
        # As if a model had written the second.
        marked = "UPDATE jobs SET disclosure = '{\"ai_generated\": true}' WHERE input ->> 'note' = '2' RETURNING id"
        assert len(house.sql(marked)) == 1
        for _ in range(2):
            asked = house.client.post(batch["links"]["cancel"])
            assert asked.json()["state"] in {"cancelling", "finalizing", "cancelled"}, asked.text
        ended = house.wait(batch)
    assert (ended["state"], ended["counts"]["succeeded"], ended["counts"]["cancelled"]) == ("cancelled", 2, 18)
    results = house.results(ended)
    assert [each["status"] for each in results] == ["succeeded"] * 2 + ["cancelled"] * 18
    assert [each.get("disclosure") for each in results] == [None, {"ai_generated": True}] + [None] * 18


def test_lines_that_are_late_expire_with_their_batch(house: House, settings: Settings) -> None:
    lines = [line(number, act="sleep", seconds=60) for number in range(1, 6)]
    with dispatcher(settings, WAYBILL_BATCH_WINDOW="2"), worker(settings, concurrency=2):
        ended = house.wait(house.create(lines, deadline_seconds=2))
    assert (ended["state"], ended["counts"]["expired"]) == ("expired", 5)


def test_a_file_with_bad_lines_starts_nothing_and_names_all_of_them(house: House, settings: Settings) -> None:
    content = "\n".join(
        [
            json.dumps(line(1)),
            "not json",
            json.dumps({"custom_id": "line-1", "input": {}}),
            json.dumps({"custom_id": "c", "input": {"seconds": -1}}),
            json.dumps({"custom_id": "d", "input": {}, "capability": "no.such"}),
            "",
            json.dumps({"custom_id": "e", "inputs": {}}),
        ]
    )
    with dispatcher(settings):
        ended = house.wait(house.create_from_file(content))
    assert (ended["state"], ended["bad_lines"], ended["counts"]["total"]) == ("failed", 5, 0)
    assert [(each["line"], each["path"], each["code"]) for each in ended["errors"]] == [
        (2, "", "malformed_json"),
        (3, "custom_id", "duplicate_custom_id"),
        (4, "input.seconds", "greater_than_equal"),
        (5, "capability", "capability_unknown"),
        (7, "inputs", "extra_forbidden"),
    ]
    assert house.sql("SELECT 1 FROM jobs WHERE batch_id IS NOT NULL") == []
    assert house.results(ended) == []


def test_one_message_is_sent_for_a_whole_batch(house: House, settings: Settings) -> None:
    assert house.client.post("/v1/webhook-endpoints", json={"url": HOOK_URL}).status_code == 201
    assert house.client.post("/v1/webhook-secret/rotate", json={}).status_code < 300
    with dispatcher(settings), worker(settings):
        ended = house.wait(house.create([line(1), line(2)], webhook={"url": HOOK_URL}))
        wait_until(
            lambda: len(house.sql("SELECT event FROM webhook_deliveries")) == 2, timeout_seconds=20, what="messages"
        )
    rows = house.sql("SELECT event, body FROM webhook_deliveries")
    assert [row.event for row in rows] == ["batch.completed"] * 2
    reported = json.loads(bytes(rows[0].body))["data"]
    assert (reported["id"], reported["counts"]["succeeded"], reported["results_file_id"]) == (
        ended["id"],
        2,
        ended["results_file_id"],
    )


def test_what_the_budget_has_no_room_for_waits_and_says_so(house: House, settings: Settings) -> None:
    budget = {"name": "small", "scope": "organization", "period": "month", "limit_usd": "0.1", "hard": True}
    made = house.client.post("/v1/budgets", json=budget)
    assert made.status_code == 201, made.text
    lines = [line(number, act="spend", used_tokens=1) for number in range(1, 4)]
    with dispatcher(settings), worker(settings):
        batch = house.create(lines, max_line_cost_usd="0.2")
        wait_until(
            lambda: house.read(batch)["delayed_reason"] == "budget_exhausted", timeout_seconds=20, what="the delay"
        )
        where = f"/v1/budgets/{made.json()['id']}"
        assert house.client.patch(where, json={"limit_usd": "5"}).status_code == 200
        ended = house.wait(batch)
    assert (ended["counts"]["succeeded"], ended["delayed_reason"]) == (3, None)


def test_nothing_more_is_started_for_a_key_that_was_revoked(house: House, settings: Settings) -> None:
    lines = [line(1), *(line(number, act="sleep", seconds=1) for number in range(2, 12))]
    with dispatcher(settings, WAYBILL_BATCH_WINDOW="2"), worker(settings, concurrency=2):
        batch = house.create(lines)
        wait_until(lambda: house.read(batch)["counts"]["running"] >= 1, timeout_seconds=30, what="a line to run")
        revoke_key(settings, house.key)
        wait_until(
            lambda: house.sql("SELECT state FROM batches")[0].state == "completed", timeout_seconds=30, what="the end"
        )
    codes = Counter(row.code for row in house.sql("SELECT error->>'code' AS code FROM batch_lines"))
    assert codes["key_revoked"] >= 5
    assert codes["key_revoked"] + codes[None] == 11

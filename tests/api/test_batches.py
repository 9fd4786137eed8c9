"""Batches over HTTP: what is accepted, what is refused, and with which words."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from core.batches.records import INLINE_LINES_MAX
from core.keys.scopes import SCOPES
from tests.api.test_bad_input import problem
from tests.factories.api import RunningApi, issue_key
from tests.factories.tenancy import audit_trail


@pytest.fixture
def project(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client(issue_key(api.settings, project=str(uuid4()))) as opened:
        yield opened


def body(*lines: dict[str, Any], **given: Any) -> dict[str, Any]:
    return {"capability": "probe.act", "lines": list(lines), **given}


def line(name: str, **given: Any) -> dict[str, Any]:
    return {"custom_id": name, "input": given}


def test_a_batch_is_accepted_read_and_listed(project: httpx.Client) -> None:
    asked = body(line("a"), line("b"), metadata={"run": "7"}, max_cost_usd="2", max_line_cost_usd="0.1")
    answer = project.post("/v1/batches", json=asked)
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert answer.headers["location"] == made["links"]["self"]
    assert (made["state"], made["priority"], made["metadata"]) == ("in_progress", "low", {"run": "7"})
    assert made["counts"]["total"] == made["counts"]["queued"] == 2
    assert (made["max_cost_usd"], made["max_line_cost_usd"]) == ("2.00", "0.10")
    read = project.get(made["links"]["self"])
    assert (read.json(), read.headers["retry-after"]) == (made, "1")
    second = project.post("/v1/batches", json=body(line("a"))).json()
    page = project.get("/v1/batches", params={"limit": 1}).json()
    assert [each["id"] for each in page["data"]] == [second["id"]]
    following = project.get("/v1/batches", params={"cursor": page["next_cursor"]}).json()
    assert [each["id"] for each in following["data"]] == [made["id"]]
    assert project.get("/v1/batches", params={"state": "cancelled"}).json()["data"] == []
    assert project.get(made["links"]["results"]).text == ""


def test_the_same_key_makes_one_batch(project: httpx.Client) -> None:
    headers = {"Idempotency-Key": "once"}
    made = [project.post("/v1/batches", json=body(line("a")), headers=headers) for _ in range(2)]
    assert made[0].json() == made[1].json()
    assert made[1].headers["idempotent-replayed"] == "true"
    assert len(project.get("/v1/batches").json()["data"]) == 1


@pytest.mark.parametrize(
    ("wrong", "path", "code"),
    [
        ([line("a"), line("a")], "body.lines.1.custom_id", "duplicate_custom_id"),
        ([line("a", seconds=-1)], "body.lines.0.input.seconds", "greater_than_equal"),
        ([line("a", act="no such")], "body.lines.0.input.act", "literal_error"),
        ([{**line("a"), "capability": "no.such"}], "body.lines.0.capability", "capability_unknown"),
        ([{"custom_id": "a"}], "body.lines.0.input", "missing"),
        ([{"custom_id": "", "input": {}}], "body.lines.0.custom_id", "string_too_short"),
        ([], "body.lines", "too_short"),
        ([line(str(number)) for number in range(INLINE_LINES_MAX + 1)], "body.lines", "too_long"),
    ],
    ids=["twice", "bound", "choice", "unknown", "no input", "no name", "none", "too many"],
)
def test_one_wrong_line_refuses_all_of_them(project: httpx.Client, wrong: list[Any], path: str, code: str) -> None:
    answer = project.post("/v1/batches", json=body(*wrong))
    assert answer.status_code == 422, answer.text
    assert (path, code) in [(each["path"], each["code"]) for each in answer.json()["errors"]]
    assert project.get("/v1/batches").json()["data"] == []


def test_every_wrong_line_is_named_at_once(project: httpx.Client) -> None:
    answer = project.post("/v1/batches", json=body(*(line(f"l{number}", seconds=-1) for number in range(150))))
    refused = answer.json()
    assert (refused["code"], refused["bad_lines"], len(refused["errors"])) == ("batch_lines_invalid", 150, 100)


@pytest.mark.parametrize(
    "given",
    [
        {"lines": None},
        {"input_file_id": "file_01jd3q8v9tfq8a1b2c3d4e5f6g"},
        {"deadline_at": "2099-01-01T00:00:00Z", "deadline_seconds": 5},
        {"capability": "no.such"},
        {"max_cost_usd": "-1"},
    ],
    ids=["nothing", "both", "deadlines", "capability", "cost"],
)
def test_a_batch_that_contradicts_itself_is_refused(project: httpx.Client, given: dict[str, Any]) -> None:
    assert project.post("/v1/batches", json={**body(line("a")), **given}).status_code == 422


def test_a_cap_needs_to_know_what_a_line_may_cost(project: httpx.Client) -> None:
    answer = project.post("/v1/batches", json=body(line("a"), max_cost_usd="1"))
    assert answer.json()["errors"][0]["code"] == "max_line_cost_missing"


def test_a_file_that_is_not_there_is_not_found(project: httpx.Client) -> None:
    asked = {"capability": "probe.act", "input_file_id": "file_01jd3q8v9tfq8a1b2c3d4e5f6g"}
    problem(project.post("/v1/batches", json=asked), 404, "file_not_found")


def test_a_file_is_looked_at_before_there_are_results(project: httpx.Client) -> None:
    sent = project.post("/v1/files", params={"name": "l.jsonl"}, content=b'{"custom_id":"a","input":{}}\n')
    made = project.post("/v1/batches", json={"capability": "probe.act", "input_file_id": sent.json()["id"]}).json()
    assert (made["state"], made["counts"]["total"]) == ("validating", 0)
    problem(project.get(made["links"]["results"]), 409, "batch_validating")
    cancelled = project.post(made["links"]["cancel"]).json()
    assert (cancelled["state"], cancelled["finished_at"] is not None) == ("cancelled", True)


def test_cancelling_ends_what_was_not_started(api: RunningApi) -> None:
    key = issue_key(api.settings, organization=str(uuid4()))
    with api.client(key) as client:
        made = client.post("/v1/batches", json=body(line("a"), line("b"))).json()
        cancelled = client.post(made["links"]["cancel"]).json()
        again = client.post(made["links"]["cancel"]).json()
        results = client.get(made["links"]["results"])
    assert (cancelled["state"], cancelled["counts"]["cancelled"]) == ("cancelling", 2)
    assert again == cancelled
    assert results.text.count("batch_cancelled") == 2
    actions = [record["action"] for record in audit_trail(api.settings, key.organization_id)]
    assert actions.count("api:batch:create") == actions.count("api:batch:cancel") == 1


def test_a_key_asks_only_for_its_capabilities(api: RunningApi) -> None:
    key = issue_key(api.settings, scopes=(*SCOPES, "capability:other.act"))
    with api.client(key) as client:
        whole = client.post("/v1/batches", json=body(line("a")))
        one = client.post("/v1/batches", json={"lines": [{**line("a"), "capability": "probe.act"}]})
        fine = client.post("/v1/batches", json={"lines": [{**line("a"), "capability": "other.act"}]})
    assert (whole.json()["errors"][0]["code"], one.json()["errors"][0]["code"]) == ("capability_denied",) * 2
    assert fine.status_code == 202

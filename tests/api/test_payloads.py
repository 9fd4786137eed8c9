"""Whatever JSON goes in or is made comes out of every door, or is refused before it is stored."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.guard.guard import open_guard
from core.jobs import queue
from core.kit.ids import JOB, decode
from core.kit.settings import Settings
from workers.execute import execute
from workers.runtime import Runtime

Run = Callable[..., dict[str, Any]]
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=15,
)


@pytest.fixture(scope="module")
def runtime(module_settings: Settings) -> Iterator[Runtime]:
    made = Runtime(module_settings, open_guard(module_settings), pool_size=4)
    yield made
    made.services.settlements.close()
    made.database.close()


@pytest.fixture(scope="module")
def run(client: httpx.Client, runtime: Runtime) -> Run:
    """Submit an echo, have it executed once here, and read it back as a client does."""

    def submit_and_run(body: str | None = None, **payload: Any) -> dict[str, Any]:
        content = body or json.dumps({"capability": "probe.echo", "input": payload})
        made = client.post("/v1/jobs", content=content, headers={"content-type": "application/json"})
        assert made.status_code == 202, made.text
        job_id = decode(JOB, made.json()["id"])
        attempt(runtime, job_id)
        return read(client, made.json()["id"])

    return submit_and_run


def attempt(runtime: Runtime, job_id: UUID) -> None:
    with runtime.database.system() as session:
        queue.mark_dispatched(session, [job_id])
    execute(runtime, job_id)


def read(client: httpx.Client, job_id: str) -> dict[str, Any]:
    answer = client.get(f"/v1/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    assert client.get("/v1/jobs", params={"limit": 1}).status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@given(value=_VALUES)
@example(value={"z": 1, "a": {"reasoning": 1, "answer": 2}, "m": 1.0})
@example(value=6.02214076e23)
@example(value=1.7e308)
@example(value=123456789012345678901234567890)
@example(value=-(2**63) - 1)
@example(value="\\u0000 is six characters")
@example(value={str(number): number for number in range(300)})
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_comes_back_as_it_was_sent(run: Run, value: Any) -> None:
    job = run(value=value)
    assert job["state"] == "succeeded", job
    # Order of names, kinds of numbers and text: the same letters.
    assert json.dumps(job["result"]["value"]) == json.dumps(value)


@given(value=_VALUES)
@example(value={"z": 6.02214076e23, "a": 2**80})
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_in_an_event_can_be_read(client: httpx.Client, run: Run, value: Any) -> None:
    job = run(value=value, where="event")
    assert job["state"] == "succeeded", job
    events = client.get(f"/v1/jobs/{job['id']}/events").text
    [said] = [json.loads(line[6:]) for line in events.split("\n") if line.startswith("data: ") and "echo.said" in line]
    assert json.dumps(said["data"]["value"]) == json.dumps(value)


@pytest.mark.parametrize(
    "value",
    ["1e400", "1" + "0" * 400, "-1e999", "NaN", "Infinity", '"\\u0000"', '"\\ud800"', "[" * 100 + "]" * 100],
)
def test_what_cannot_be_stored_is_refused_at_submission(client: httpx.Client, value: str) -> None:
    content = f'{{"capability": "probe.echo", "input": {{"value": {value}}}}}'
    refused = client.post("/v1/jobs", content=content, headers={"content-type": "application/json"})
    assert refused.status_code in {400, 422}, refused.text
    assert refused.json()["code"] in {"malformed_json", "number_too_large", "invalid_text", "nesting_too_deep"}


def test_of_names_that_are_there_twice_the_last_counts_everywhere(run: Run) -> None:
    job = run('{"capability": "probe.echo", "input": {"value": {"a": 1, "b": 2, "a": 3}}}')
    assert job["result"]["value"] == {"a": 3, "b": 2}


@pytest.mark.parametrize("where", ["result", "event", "checkpoint", "delta", "question", "child"])
@pytest.mark.parametrize("made", ["nul", "surrogate", "wide", "huge", "avogadro", "nan", "infinity", "deep", "long"])
@pytest.mark.survive("F2")
def test_what_a_capability_makes_is_stored_safe_or_refused_by_name_once(run: Run, made: str, where: str) -> None:
    job = run(made=made, where=where)
    if job["state"] == "failed":
        assert job["error"]["code"] in {"not_storable", "invalid_output"}, job
        assert made in {"huge", "nan", "infinity", "deep"}
    else:
        assert job["state"] in {"succeeded", "waiting"}, job
    assert job["attempt"] == 1
    if where == "result" and job["state"] == "succeeded":
        kept = {"nul": "ab", "surrogate": "bad \ufffd half", "wide": 2**80, "avogadro": 6.02214076e23}
        assert job["result"]["value"] == kept.get(made, job["result"]["value"])

import json
import socket
from typing import Any

import pytest

from tests.waybill.client.scripted_api import Answer, Request, scripted_api
from waybill.client import ApiProblem, ApiUnreachable, WaybillClient
from waybill.client.errors import FieldError

JOB: dict[str, Any] = {
    "id": "job_1",
    "capability": "knowledge.search",
    "state": "queued",
    "created_at": "2026-03-01T12:00:00Z",
}


def answer(status: int = 200, **members: object) -> Answer:
    return Answer(status, json.dumps(members).encode(), {"Content-Type": "application/json"})


def test_the_key_travels_as_a_bearer_token_and_each_submit_has_its_own_idempotency_key() -> None:
    with scripted_api(lambda *_: answer(202, **JOB)) as api, WaybillClient(api.url, "wb_live_x") as client:
        client.jobs.submit("knowledge.search", {"question": "?"}, priority="high")
        client.jobs.submit("knowledge.search", {"question": "?"})
    first, second = api.requests
    assert first.headers["authorization"] == "Bearer wb_live_x"
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    assert json.loads(first.body) == {"capability": "knowledge.search", "input": {"question": "?"}, "priority": "high"}
    assert json.loads(second.body) == {"capability": "knowledge.search", "input": {"question": "?"}}


def test_a_busy_api_is_asked_again_under_the_same_idempotency_key() -> None:
    def respond(_: Request, number: int) -> Answer:
        busy = Answer(503, b'{"code":"database_unavailable"}', {"Retry-After": "0"})
        return busy if number == 1 else answer(202, **JOB)

    with scripted_api(respond) as api, WaybillClient(api.url) as client:
        assert client.jobs.submit("a.b", {}).id == "job_1"
    assert len({request.headers["idempotency-key"] for request in api.requests}) == 1
    assert len(api.requests) == 2


def test_a_cut_answer_is_asked_for_again() -> None:
    def respond(_: Request, number: int) -> Answer:
        return Answer(200, b'{"id"', cut=True) if number == 1 else answer(**JOB)

    with scripted_api(respond) as api, WaybillClient(api.url) as client:
        assert client.jobs.get("job_1").state == "queued"
    assert len(api.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500])
def test_a_refusal_is_not_repeated(status: int) -> None:
    with scripted_api(lambda *_: answer(status, code="no", detail="not this")) as api, WaybillClient(api.url) as client:
        with pytest.raises(ApiProblem) as caught:
            client.jobs.get("job_1")
        assert (caught.value.status, caught.value.code, caught.value.detail) == (status, "no", "not this")
    assert len(api.requests) == 1


def test_a_first_request_still_running_is_waited_for() -> None:
    def respond(_: Request, number: int) -> Answer:
        return Answer(409, b'{"code":"idempotency_in_progress"}', {"Retry-After": "0"}) if number < 3 else answer(**JOB)

    with scripted_api(respond) as api, WaybillClient(api.url) as client:
        client.jobs.submit("a.b", {}, idempotency_key="mine")
    assert [request.headers["idempotency-key"] for request in api.requests] == ["mine"] * 3


def test_the_wrong_fields_of_a_problem_are_named() -> None:
    problem: dict[str, Any] = {"code": "validation_error", "detail": "2 errors", "trace_id": "abc", "limit": 9}
    errors = [{"path": "body.input.question", "code": "missing", "message": "Field required"}, "odd"]
    with (
        scripted_api(lambda *_: answer(422, **problem, errors=errors)) as api,
        WaybillClient(api.url) as client,
        pytest.raises(ApiProblem) as caught,
    ):
        client.jobs.submit("a.b", {})
    assert caught.value.fields == (FieldError("body.input.question", "Field required"), FieldError("", "odd"))
    assert (caught.value.trace_id, caught.value.extra) == ("abc", {"limit": 9})


def test_an_error_that_is_no_problem_document_still_says_something() -> None:
    with (
        scripted_api(lambda *_: Answer(404, b"<h1>nginx</h1>")) as api,
        WaybillClient(api.url) as client,
        pytest.raises(ApiProblem, match="nginx"),
    ):
        client.jobs.get("job_1")


def test_nothing_listening_is_unreachable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with WaybillClient(url) as client, pytest.raises(ApiUnreachable):
        client.jobs.get("job_1")


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host", "http://", "http://[bad"])
def test_what_is_no_url_is_said_to_be_none(url: str) -> None:
    with pytest.raises(ApiUnreachable, match="not"):
        WaybillClient(url)


def test_a_proxy_in_the_environment_does_not_stand_before_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with scripted_api(lambda *_: answer(**JOB)) as api, WaybillClient(api.url) as client:
        assert client.jobs.get("job_1").id == "job_1"


def test_output_keeps_members_this_version_does_not_know() -> None:
    sent: dict[str, Any] = {**JOB, "from_the_future": {"a": [1]}}
    with scripted_api(lambda *_: answer(**sent)) as api, WaybillClient(api.url) as client:
        assert client.jobs.get("job_1").as_json() == sent

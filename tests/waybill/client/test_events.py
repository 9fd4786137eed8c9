import json

import pytest

from tests.waybill.client.scripted_api import Answer, Request, scripted_api
from waybill.client import ApiProblem, StreamLost, WaybillClient


def sse(*events: tuple[int, str], **data: object) -> bytes:
    def one(number: int, kind: str) -> str:
        envelope = {"id": number, "type": kind, "attempt": 1, "data": data, "created_at": "2026-03-01T12:00:00Z"}
        return f"id: {number}\nevent: {kind}\ndata: {json.dumps(envelope)}\n\n"

    return "".join(one(number, kind) for number, kind in events).encode()


STREAM = {"Content-Type": "text/event-stream"}


def test_a_stream_ends_with_the_event_that_ends_the_job() -> None:
    body = sse((1, "job.queued"), (5, "job.succeeded"), (6, "never.seen"))
    with scripted_api(lambda *_: Answer(200, body, STREAM)) as api, WaybillClient(api.url) as client:
        assert [(event.id, event.type) for event in client.jobs.events("job_1")] == [
            (1, "job.queued"),
            (5, "job.succeeded"),
        ]
    assert api.requests[0].path == "/v1/jobs/job_1/events"
    assert api.requests[0].headers["accept-encoding"] == "identity"
    assert "last-event-id" not in api.requests[0].headers


def test_a_broken_stream_is_resumed_after_the_last_event_with_no_gap_and_no_duplicate() -> None:
    def respond(_: Request, number: int) -> Answer:
        match number:
            case 1:
                return Answer(200, sse((1, "job.queued"), (2, "job.started")) + b"id: 3\ndata: {", STREAM, cut=True)
            case 2:
                return Answer(503, b"{}", {"Retry-After": "0"})
            case 3:
                return Answer(200, b": nothing yet\n\n", STREAM)
            case _:
                # A careless server repeats what was seen: it must not be shown twice.
                return Answer(200, sse((2, "job.started"), (3, "step.started"), (9, "job.failed")), STREAM)

    reasons: list[str] = []
    with scripted_api(respond) as api, WaybillClient(api.url) as client:
        found = [event.id for event in client.jobs.events("job_1", on_reconnect=reasons.append)]
    assert found == [1, 2, 3, 9]
    assert [request.headers.get("last-event-id") for request in api.requests] == [None, "2", "2", "2"]
    assert len(reasons) == 3


def test_a_reader_may_begin_in_the_middle() -> None:
    with scripted_api(lambda *_: Answer(200, sse((8, "job.expired")), STREAM)) as api, WaybillClient(api.url) as client:
        assert [event.id for event in client.jobs.events("job_1", after=7)] == [8]
    assert api.requests[0].headers["last-event-id"] == "7"


def test_an_unknown_job_is_refused_at_once() -> None:
    body = b'{"code":"job_not_found","detail":"there is no such job"}'
    with (
        scripted_api(lambda *_: Answer(404, body)) as api,
        WaybillClient(api.url) as client,
        pytest.raises(ApiProblem) as caught,
    ):
        next(client.jobs.events("job_1"))
    assert caught.value.code == "job_not_found"
    assert len(api.requests) == 1


def test_a_stream_that_stays_broken_is_given_up_and_says_where_to_resume() -> None:
    def respond(_: Request, number: int) -> Answer:
        return Answer(200, sse((4, "job.started")), STREAM) if number == 1 else Answer(503, b'{"detail":"down"}')

    with scripted_api(respond) as api, WaybillClient(api.url) as client:
        stream = client.jobs.events("job_1", give_up_seconds=0.3)
        assert next(stream).id == 4
        with pytest.raises(StreamLost) as caught:
            next(stream)
    assert caught.value.last_event_id == 4


def test_what_is_not_a_job_event_is_passed_over() -> None:
    body = b'data: no id\n\nid: 2\ndata: not json\n\nid: 3\nevent: job.succeeded\ndata: {"ok": true}\n\n'
    with scripted_api(lambda *_: Answer(200, body, STREAM)) as api, WaybillClient(api.url) as client:
        events = list(client.jobs.events("job_1"))
    assert [(event.id, event.type, event.data) for event in events] == [(3, "job.succeeded", {"ok": True})]


def test_a_stream_that_has_nothing_left_is_over() -> None:
    with scripted_api(lambda *_: Answer(204, b"")) as api, WaybillClient(api.url) as client:
        assert list(client.jobs.events("job_1", after=9)) == []
    assert len(api.requests) == 1


def test_every_sign_of_life_is_reported() -> None:
    signs: list[None] = []
    body = b": keep-alive\n\n" + sse((1, "job.succeeded"))
    with scripted_api(lambda *_: Answer(200, body, STREAM)) as api, WaybillClient(api.url) as client:
        list(client.jobs.events("job_1", on_alive=lambda: signs.append(None)))
    assert signs

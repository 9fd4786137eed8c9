"""Following a project: nothing is missed over broken connections."""

import json
from contextlib import suppress

import pytest

from tests.waybill.client.scripted_api import Answer, Request, scripted_api
from waybill.client import ApiProblem, EventsLost, WaybillClient

STREAM = {"Content-Type": "text/event-stream"}


def frame(cursor: str, kind: str, job: str = "job_1") -> bytes:
    data = {"cursor": cursor, "id": 1, "job_id": job, "type": kind, "capability": "c", "metadata": {}, "data": {}}
    return f"id: {cursor}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def test_it_goes_on_from_the_last_cursor_that_anything_brought() -> None:
    opened = b"id: c0\nevent: stream.opened\ndata: {}\n\n"

    def respond(_: Request, number: int) -> Answer:
        match number:
            case 1:
                return Answer(200, opened + frame("c1", "job.queued"), STREAM, cut=True)
            case 2:
                return Answer(503, b"{}", {"Retry-After": "0"})
            case 3:
                return Answer(200, b"id: c5\n: keep-alive\n\n", STREAM)
            case 4:
                return Answer(200, b'event: gap\ndata: {"reason":"history_expired"}\n\n' + frame("c6", "x"), STREAM)
            case _:
                return Answer(401, b'{"status":401,"code":"key_revoked","detail":"revoked"}')

    seen = []
    with scripted_api(respond) as api, WaybillClient(api.url) as client:
        events = client.events.stream(types=["job.queued"], metadata={"ticket": "7"})
        with suppress(ApiProblem):
            for event in events:
                seen.append((event.type, event.cursor))  # noqa: PERF401 - it ends with an error
    assert seen == [("job.queued", "c1"), ("gap", ""), ("x", "c6")]
    assert [request.headers.get("last-event-id") for request in api.requests] == [None, "c1", "c1", "c5", "c6"]
    assert "type=job.queued" in api.requests[0].path
    assert "metadata.ticket=7" in api.requests[0].path


def test_it_ends_where_the_history_ends_and_gives_up_when_asked() -> None:
    body = frame("c1", "job.queued")
    with scripted_api(lambda *_: Answer(200, body, STREAM)) as api, WaybillClient(api.url) as client:
        assert [event.cursor for event in client.events.stream(after="0", follow=False)] == ["c1"]
    with WaybillClient(api.url) as client, pytest.raises(EventsLost, match="after c1"):
        list(client.events.stream(after="c1", give_up_seconds=0))

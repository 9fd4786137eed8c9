"""What is asked again, under which key and after how long; and what comes of it when asking does not help."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import repeat
from typing import Any

import pytest

from tests.waybill.client.scripted_api import Answer, Request, ScriptedApi, scripted_api
from tests.waybill.client.twins import both, done, taken
from waybill.client import AsyncWaybillClient, WaybillClient, errors
from waybill.client.bodies import given
from waybill.client.wire import RETRY_AFTER_LIMIT_SECONDS, delay_seconds

Twin = type[WaybillClient] | type[AsyncWaybillClient]
JOB = json.dumps(
    {"id": "job_1", "capability": "a.b", "state": "succeeded", "created_at": "2026-03-01T12:00:00Z", "result": {}}
).encode()


def run(twin: Twin, api: ScriptedApi, call: Callable[[Any], Any], **options: Any) -> Any:
    async def scenario() -> Any:
        client: Any = twin(api.url, "wb_live_x", **options)
        try:
            return await done(call(client))
        finally:
            await done(client.close())

    return asyncio.run(scenario())


def fails_first(*failures: Answer) -> Callable[[Request, int], Answer]:
    def respond(_: Request, number: int) -> Answer:
        return failures[number - 1] if number <= len(failures) else Answer(202, JOB)

    return respond


CUT = Answer(202, JOB, cut=True)
BUSY = Answer(503, b'{"code": "database_unavailable"}', {"Retry-After": "0"})
FULL = Answer(429, b'{"code": "rate_limited"}')


@both
def test_a_post_is_tried_again_under_one_key_whatever_went_wrong(twin: Twin) -> None:
    with scripted_api(fails_first(CUT, BUSY, FULL)) as api:
        job = run(twin, api, lambda client: client.jobs.submit("a.b", {"n": 1}))
    assert job.id == "job_1"
    assert len(api.requests) == 4
    assert len({request.headers["idempotency-key"] for request in api.requests}) == 1
    assert len({request.body for request in api.requests}) == 1


POSTS: dict[str, Callable[[Any], Any]] = {
    "submit": lambda client: client.jobs.submit("a.b", {}),
    "cancel": lambda client: client.jobs.cancel("job_1"),
    "answer": lambda client: client.jobs.answer("job_1", {"approved": True}),
    "rate": lambda client: client.jobs.rate("job_1", 0.5),
    "base": lambda client: client.knowledge_bases.create("handbook"),
    "document": lambda client: client.knowledge_bases.upload("kb_1", "a.txt", b"text", "text/plain"),
    "endpoint": lambda client: client.webhooks.create("https://example.com"),
    "key": lambda client: client.keys.create("laptop"),
    "budget": lambda client: client.budgets.create({"name": "month"}),
    "price": lambda client: client.prices.set("p", "m", "input", "0.1"),
    "erasure": lambda client: client.audit.erase("somebody"),
    "pseudonyms": lambda client: client.guard.erase("Ada"),
}


@both
@pytest.mark.parametrize("post", POSTS.values(), ids=POSTS)
def test_every_post_carries_a_key(twin: Twin, post: Callable[[Any], Any]) -> None:
    with scripted_api(lambda *_: Answer(401, b"{}")) as api:
        for _ in range(2):
            with pytest.raises(errors.NotAuthenticated):
                run(twin, api, post)
    first, second = (request.headers["idempotency-key"] for request in api.requests)
    assert first != second, "another call is another request"


@both
def test_what_is_asked_again_is_logged_without_the_key(twin: Twin, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="waybill.client")
    with scripted_api(fails_first(CUT, BUSY)) as api:
        run(twin, api, lambda client: client.jobs.submit("a.b", {"secret": 1}))
    reported = [record.getMessage() for record in caplog.records if record.name == "waybill.client"]
    assert [line.split("; ")[0].split(": ", 1)[0] for line in reported] == ["POST /v1/jobs"] * 2
    assert "cut" in reported[0]
    assert "database_unavailable" in reported[1]
    assert "wb_live_x" not in caplog.text
    assert "secret" not in "".join(reported)


@both
def test_an_answer_that_never_comes_is_given_up_after_the_last_attempt(twin: Twin) -> None:
    with scripted_api(lambda *_: CUT) as api, pytest.raises(errors.ApiUnreachable, match="cut"):
        run(twin, api, lambda client: client.jobs.get("job_1"), attempts=2)
    assert len(api.requests) == 2


@both
def test_a_client_that_is_to_come_back_much_later_fails_at_once(twin: Twin) -> None:
    later = Answer(429, b'{"code": "quota_exhausted"}', {"Retry-After": "3600"})
    with scripted_api(lambda *_: later) as api, pytest.raises(errors.RateLimited) as caught:
        run(twin, api, lambda client: client.jobs.submit("a.b", {}))
    assert caught.value.retry_after_seconds == 3600
    assert len(api.requests) == 1


@both
def test_a_client_may_be_given_other_timeouts_over_the_same_connections(twin: Twin) -> None:
    with scripted_api(fails_first(BUSY, BUSY)) as api:
        with pytest.raises(errors.ServerProblem):
            run(twin, api, lambda client: client.with_options(attempts=1).jobs.get("job_1"))
        assert len(api.requests) == 1
        assert run(twin, api, lambda client: client.with_options(timeout_seconds=5).jobs.get("job_1")).id == "job_1"
    assert len(api.requests) == 3


@both
@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<h1>Sign in to the network</h1>", {"Content-Type": "text/html"}),
        Answer(200, b'{"another": "program"}', {"Content-Type": "application/json"}),
        Answer(200, b"", {}),
    ],
    ids=["portal", "program", "nothing"],
)
def test_an_answer_of_somebody_else_is_none(twin: Twin, answer: Answer) -> None:
    with scripted_api(lambda *_: answer) as api:
        for call in (lambda client: client.jobs.get("job_1"), lambda client: client.capabilities.get("a.b")):
            with pytest.raises(errors.ApiUnreachable, match="something answered"):
                run(twin, api, call)
        if answer.body[:1] != b"{":
            with pytest.raises(errors.ApiUnreachable, match="JSON"):
                run(twin, api, lambda client: client.audit.waybill("job_1"))


@both
def test_a_redirect_is_no_answer_and_says_where_the_api_is(twin: Twin) -> None:
    moved = Answer(308, b"", {"Location": "https://waybill.example/v1"})
    with scripted_api(lambda *_: moved) as api:
        for call in (lambda client: client.jobs.submit("a.b", {}), lambda client: taken(client.jobs.events("job_1"))):
            with pytest.raises(errors.ApiProblem, match=r"308.*the API is at https://waybill\.example"):
                run(twin, api, call)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequest),
        (401, errors.NotAuthenticated),
        (402, errors.BudgetExhausted),
        (403, errors.NotPermitted),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.Gone),
        (413, errors.InvalidRequest),
        (415, errors.InvalidRequest),
        (418, errors.ApiProblem),
        (422, errors.InvalidRequest),
        (429, errors.RateLimited),
        (500, errors.ServerProblem),
        (507, errors.ServerProblem),
    ],
)
def test_each_status_has_its_class(status: int, kind: type[errors.ApiProblem]) -> None:
    with scripted_api(lambda *_: Answer(status, b'{"code": "no"}')) as api, pytest.raises(errors.ApiProblem) as caught:
        run(WaybillClient, api, lambda client: client.jobs.get("job_1"), attempts=1)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code) == (status, "no")


def test_the_tree_of_errors_is_as_it_is_drawn() -> None:
    drawn = [line.split() for line in str(errors.__doc__).splitlines() if "──" in line]
    names = {
        words[-1] if words[-1][0].isupper() else next(w for w in words if w[0].isupper()): words for words in drawn
    }
    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.ClientError) and kind is not errors.ClientError
    }
    assert names.keys() - {"WebhookRejected"} == kinds.keys()
    for name, kind in kinds.items():
        nested = names[name][0] == "│"
        assert issubclass(kind, errors.ApiProblem) is (nested or kind is errors.ApiProblem), name


def delays() -> Iterator[float]:
    return repeat(0.25)


@pytest.mark.parametrize(
    ("status", "asked", "delay"),
    [
        (503, None, 0.25),
        (429, 0.0, 0.25),
        (429, 7.0, 7.25),
        (429, RETRY_AFTER_LIMIT_SECONDS, RETRY_AFTER_LIMIT_SECONDS + 0.25),
        (429, RETRY_AFTER_LIMIT_SECONDS + 1, None),
        (409, None, None),
        (409, 1.0, 1.25),
        (500, 1.0, None),
        (404, None, None),
    ],
)
def test_no_one_comes_back_earlier_than_asked_or_all_at_once(
    status: int, asked: float | None, delay: float | None
) -> None:
    assert delay_seconds(errors.ApiProblem(status, {}, asked), delays()) == delay


def test_parameters_are_sent_as_the_api_takes_them() -> None:
    moment = datetime.fromisoformat("2026-11-24T03:00:00+01:00")
    assert given(at=moment, cost=Decimal("0.10"), n=0, no=None) == {
        "at": "2026-11-24T03:00:00+01:00",
        "cost": "0.10",
        "n": 0,
    }
    with pytest.raises(ValueError, match="time zone"):
        given(at=datetime(2026, 11, 24, 3))  # noqa: DTZ001 - that is the point

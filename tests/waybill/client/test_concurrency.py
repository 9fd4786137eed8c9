"""What only a program with an event loop does: many things at once, and leaving in the middle of one."""

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.factories.api import RunningApi
from tests.factories.attempts import attempt
from tests.factories.waiting import wait_until
from tests.waybill.client.scripted_api import Answer, Request, scripted_api
from tests.waybill.client.test_events import STREAM, sse
from tests.waybill.client.twins import taken
from waybill.client import AsyncWaybillClient, WaybillClient

NOOP = ("probe.act", {"act": "noop"})
JOB = b'{"id": "job_1", "capability": "a.b", "state": "queued", "created_at": "2026-03-01T12:00:00Z"}'


def test_many_jobs_are_followed_at_once(api: RunningApi) -> None:
    async def follow(client: AsyncWaybillClient, number: int, worker: ThreadPoolExecutor) -> tuple[str, object]:
        job = await client.jobs.submit(*NOOP, metadata={"number": str(number)})

        def work() -> None:
            with attempt(api.settings, job.id) as driven:
                driven.delta(str(number))
                driven.succeed(answer=number)

        working = asyncio.wrap_future(worker.submit(work))
        text = "".join([event.data.get("text", "") async for event in job.stream()])
        await working
        return text, job.result

    async def scenario() -> None:
        with ThreadPoolExecutor(2) as worker:
            async with AsyncWaybillClient(api.url, api.key.plaintext) as client, asyncio.TaskGroup() as group:
                tasks = [group.create_task(follow(client, number, worker)) for number in range(12)]
        assert [task.result() for task in tasks] == [(str(number), {"answer": number}) for number in range(12)]

    asyncio.run(scenario())


def test_a_client_that_leaves_a_stream_or_a_wait_leaves_nothing_behind(api: RunningApi) -> None:
    def streams() -> int:
        return len(api.runtime.hub._subscriptions)

    async def scenario() -> None:
        async with AsyncWaybillClient(api.url, api.key.plaintext) as client:
            job = await client.jobs.submit(*NOOP)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(taken(job.stream()), 0.3)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(job.wait(), 0.3)
            async with job.stream() as events:
                async for _ in events:
                    break
            async for _ in job.stream():  # nobody closes this one but the collector
                break
            gc.collect()
            await asyncio.sleep(0)
            assert (await job.cancel()).state == "cancelled"

    asyncio.run(scenario())
    wait_until(lambda: streams() == 0, timeout_seconds=10, what="the streams to be left")


def test_a_client_is_safe_in_several_threads() -> None:
    barrier = threading.Barrier(4)
    with scripted_api(lambda *_: Answer(200, JOB)) as api, WaybillClient(api.url) as client:

        def ask(_: int) -> list[str]:
            barrier.wait(10)
            return [client.jobs.get(f"job_{number}").id for number in range(10)]

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(ask, range(4))) == [["job_1"] * 10] * 4
    assert len(api.requests) == 40


def test_what_the_reader_has_not_seen_is_not_lost_when_it_goes_on_later() -> None:
    body = sse((1, "job.queued"), (2, "job.started"), (3, "job.succeeded"))

    def respond(request: Request, _: int) -> Answer:
        if request.headers.get("last-event-id") == "3":
            return Answer(204, b"")
        return Answer(200, body, STREAM) if request.path.endswith("/events") else Answer(200, JOB)

    with scripted_api(respond) as api, WaybillClient(api.url) as client:
        job = client.jobs.get("job_1")
        stream = job.stream()
        first = next(stream)
        # All three came in one piece; `last_event_id` must not run ahead of what was handed out.
        assert (first.id, stream.last_event_id) == (1, "1")
        stream.close()
        assert [event.id for event in job.stream(after=stream.last_event_id)] == [2, 3]


def test_an_http_client_of_your_own_is_used() -> None:
    with scripted_api(lambda *_: Answer(200, JOB)) as api:
        own = httpx.Client(headers={"X-Company": "ours"}, trust_env=False)
        with WaybillClient(api.url, "wb_live_x", http_client=own) as client:
            client.jobs.get("job_1")
        assert own.is_closed

        async def scenario() -> None:
            awaited = httpx.AsyncClient(headers={"X-Company": "ours"}, trust_env=False)
            async with AsyncWaybillClient(api.url, "wb_live_x", http_client=awaited) as client:
                await client.jobs.get("job_1")
            assert awaited.is_closed

        asyncio.run(scenario())
    for request in api.requests:
        assert request.headers["x-company"] == "ours"
        assert request.headers["authorization"] == "Bearer wb_live_x"
        assert request.headers["user-agent"].startswith("waybill-python/")


def test_the_environment_says_where_and_with_which_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_api(lambda *_: Answer(200, JOB)) as api:
        monkeypatch.setenv("WAYBILL_URL", api.url)
        monkeypatch.setenv("WAYBILL_API_KEY", "wb_live_env")
        monkeypatch.setenv("WAYBILL_PROJECT", "prj_1")
        with WaybillClient.from_environment() as client:
            client.jobs.get("job_1")
    [request] = api.requests
    assert request.headers["authorization"] == "Bearer wb_live_env"
    assert request.headers["waybill-project"] == "prj_1"

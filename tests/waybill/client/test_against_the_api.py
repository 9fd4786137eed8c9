"""Both clients over a socket against the API itself; attempts are driven by the test."""

import asyncio
import hashlib
import io
import json
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from core.capability import JobSuspended
from core.jobs.states import SUSPEND
from core.kit.settings import Settings
from tests.factories.api import RunningApi, start_api
from tests.factories.attempts import Attempt, attempt
from tests.factories.cutting_proxy import cutting_proxy
from tests.factories.question_capabilities import REFUND_SCHEMA
from tests.factories.tenancy_cases import HOOK_URL
from tests.waybill.client.twins import TWINS, done, taken
from waybill.client import AsyncJob, Conflict, InvalidRequest, Job, JobFailed, NotFound, WaitTimedOut
from waybill.stack.postgres import free_port

pytestmark = pytest.mark.own_database

Scenario = Callable[[Any], Awaitable[None]]
Run = Callable[..., None]
NOOP = ("probe.act", {"act": "noop"})


@pytest.fixture(params=TWINS, ids=["sync", "async"])
def run(request: pytest.FixtureRequest, api: RunningApi) -> Run:
    """Runs a scenario with one of the clients."""

    def perform(scenario: Scenario, url: str = "", key: str = "") -> None:
        async def whole() -> None:
            client = request.param(url or api.url, key or api.key.plaintext)
            try:
                await scenario(client)
            finally:
                await done(client.close())

        asyncio.run(whole())

    return perform


@pytest.fixture
def worker() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


def test_a_handle_follows_its_job_to_the_end(run: Run, api: RunningApi, worker: ThreadPoolExecutor) -> None:
    def work(job_id: str) -> None:
        with attempt(api.settings, job_id) as driven:
            driven.delta("It is ")
            driven.delta("42.")
            driven.succeed(answer=42)

    async def scenario(client: Any) -> None:
        label = f"handle {uuid4()}"
        job = await done(client.jobs.submit(*NOOP, metadata={"ticket": label}, max_attempts=2))
        assert isinstance(job, Job | AsyncJob)
        assert (job.state, job.result, job.max_attempts, job.metadata) == ("queued", None, 2, {"ticket": label})
        assert job.raise_for_state() is job
        working = worker.submit(work, job.id)
        stream = job.stream()
        events = await taken(stream)
        working.result()
        assert [event.type for event in events] == [
            "job.queued",
            "job.started",
            "message.delta",
            "message.delta",
            "job.succeeded",
        ]
        assert "".join(event.data.get("text", "") for event in events) == "It is 42."
        assert (job.state, job.result) == ("succeeded", {"answer": 42})
        assert await taken(job.stream(after=stream.last_event_id)) == []
        assert (await done(job.wait())) is job.raise_for_state()
        cost = await done(job.cost())
        assert (cost.job_id, cost.cost_usd, cost.lines) == (job.id, 0, [])
        assert [node.id for node in (await done(job.tree())).jobs] == [job.id]
        given = await done(job.feedback(0.5, "half of it"))
        assert (given.job_id, given.score) == (job.id, 0.5)
        assert job.as_json() == (await done(client.jobs.get(job.id))).as_json()
        listed = (await done(client.jobs.list(metadata={"ticket": label}))).data[0]
        assert (listed.id, listed.state, listed.is_whole, listed.result) == (job.id, "succeeded", False, None)
        assert (await done(listed.wait())).result == {"answer": 42}

    run(scenario)


def test_a_stream_that_is_cut_goes_on_where_it_was(run: Run, api: RunningApi, worker: ThreadPoolExecutor) -> None:
    reasons: list[str] = []

    def work(job_id: str) -> None:
        with attempt(api.settings, job_id) as driven:
            for number in range(60):
                driven.delta(f"{number} ")
            driven.succeed(answer=42)

    async def scenario(client: Any) -> None:
        job = await done(client.jobs.submit(*NOOP))
        working = worker.submit(work, job.id)
        events = await taken(job.stream(on_reconnect=reasons.append))
        working.result()
        assert [event.id for event in events] == list(range(1, 64))
        assert "".join(event.data.get("text", "") for event in events) == "".join(f"{n} " for n in range(60))
        assert job.result == {"answer": 42}

    # In the head, at a boundary of nothing, in the middle of events.
    with cutting_proxy(api.url, [120, 700, 1501, 2003, 3000]) as proxy:
        run(scenario, proxy.url)
        assert proxy.cuts == 5
    assert len(reasons) == 5


@pytest.mark.survive("S1")
def test_a_stream_outlives_the_api(run: Run, settings: Settings, worker: ThreadPoolExecutor) -> None:
    port = free_port()
    first = start_api(settings, port=port)
    apis = [first]

    def work(job_id: str) -> None:
        with attempt(settings, job_id) as driven:
            driven.delta("before ")
            first.stop()
            driven.delta("meanwhile ")
            apis.append(start_api(settings, port=port, key=first.key))
            driven.delta("after")
            driven.succeed(answer=42)

    async def scenario(client: Any) -> None:
        job = await done(client.jobs.submit(*NOOP))
        working = worker.submit(work, job.id)
        events = await taken(job.stream())
        working.result()
        assert [event.id for event in events] == [1, 2, 3, 4, 5, 6]
        assert "".join(event.data.get("text", "") for event in events) == "before meanwhile after"
        assert job.result == {"answer": 42}

    try:
        run(scenario, first.url, first.key.plaintext)
    finally:
        apis[-1].stop()


def test_the_streams_of_a_project_are_cut_and_go_on(run: Run, api: RunningApi) -> None:
    wanted: set[str] = set()

    async def submit(client: Any) -> None:
        wanted.update([(await done(client.jobs.submit(*NOOP, metadata={"run": "tail"}))).id for _ in range(12)])
        # An event has its place once no older transaction of the server can come before it, whoever's that is.
        seen: set[str] = set()
        while not wanted <= seen:
            kept = await taken(client.events.stream(after="0", follow=False, types=["job.queued"]))
            seen = {event.job_id for event in kept}

    async def scenario(client: Any) -> None:
        found: list[str] = []
        for event in await taken(client.events.stream(after="0", follow=False, types=["job.queued"])):
            found += [event.job_id] if event.job_id in wanted else []
        assert sorted(found) == sorted(wanted)
        tail = client.events.stream(after="0", types=["job.queued"])
        again = await taken(tail, most=len(found))
        assert [event.type for event in again] == ["job.queued"] * len(found)
        resumed = client.events.stream(after=tail.last_event_id)
        for stream in (tail, resumed):
            await done(stream.close())
            assert await taken(stream) == []

    run(submit)
    with cutting_proxy(api.url, [900, 1500, 2500]) as proxy:
        # Without `follow` the server's end is the end; a cut is not.
        run(scenario, proxy.url)
        assert proxy.cuts == 3


def suspend(driven: Attempt) -> None:
    with pytest.raises(JobSuspended) as suspended:
        driven.context.ask("approve", "May it be refunded?", REFUND_SCHEMA, details={})
    why = suspended.value
    waiting = driven.context.end(SUSPEND, "job.waiting", {"reason": why.reason}, reason=why.reason, error=why.why)
    driven.context.publish([waiting])


def test_a_question_is_waited_for_and_answered(run: Run, api: RunningApi, worker: ThreadPoolExecutor) -> None:
    def ask(job_id: str) -> None:
        with attempt(api.settings, job_id) as driven:
            suspend(driven)

    async def scenario(client: Any) -> None:
        job = await done(client.jobs.submit("probe.ask", {}))
        with pytest.raises(Conflict):
            await done(job.answer({"approved": True}))
        asking = worker.submit(ask, job.id)
        await done(job.wait(or_question=True, timeout_seconds=20))
        asking.result()
        assert job.state == "waiting"
        [question] = job.questions
        assert (question.key, question.answer_schema) == ("approve", REFUND_SCHEMA)
        with pytest.raises(InvalidRequest) as refused:
            await done(job.answer("yes"))
        assert refused.value.fields[0].path.startswith("body.value")
        await done(job.answer({"approved": True}, key=question.key))
        assert (job.state, job.questions) == ("queued", [])
        await done(job.cancel())
        assert job.state == "cancelled"
        with pytest.raises(JobFailed, match="cancelled_by_client"):
            job.raise_for_state()

    run(scenario)


def test_a_wait_has_an_end_and_the_job_goes_on(run: Run) -> None:
    async def scenario(client: Any) -> None:
        job = await done(client.jobs.submit(*NOOP))
        with pytest.raises(WaitTimedOut, match="still queued") as late:
            await done(job.wait(timeout_seconds=0))
        assert isinstance(late.value, TimeoutError)
        with pytest.raises(WaitTimedOut):
            await done(client.jobs.wait(job.id, timeout_seconds=0.05))
        await done(client.jobs.cancel(job.id))
        assert job.state == "queued"
        assert (await done(job.refresh())).state == "cancelled"
        assert (await done(client.jobs.wait(job.id))).state == "cancelled"

    run(scenario)


def test_the_same_key_submits_once(run: Run) -> None:
    async def scenario(client: Any) -> None:
        key = str(uuid4())
        first = await done(client.jobs.submit(*NOOP, idempotency_key=key))
        again = await done(client.jobs.submit(*NOOP, idempotency_key=key))
        assert first.id == again.id
        with pytest.raises(InvalidRequest):
            await done(client.jobs.submit("probe.act", {"act": "other"}, idempotency_key=key))

    run(scenario)


def test_a_job_is_submitted_once_though_the_answers_were_lost(run: Run, api: RunningApi) -> None:
    async def scenario(client: Any) -> None:
        label = {"run": f"lost {uuid4()}"}
        job = await done(client.jobs.submit(*NOOP, metadata=label))
        assert [each.id for each in (await done(client.jobs.list(metadata=label))).data] == [job.id]

    with cutting_proxy(api.url, [0, 10, 400], mark=b"HTTP/1.1 202") as proxy:
        run(scenario, proxy.url)
        assert proxy.cuts == 3


def test_an_upload_goes_on_though_the_answer_to_a_part_was_lost(run: Run, api: RunningApi, tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    large.write_bytes(b"0123456789abcde\n" * 1_100_000)

    async def scenario(client: Any) -> None:
        sent = await done(client.files.upload(large, content_type="text/csv"))
        assert sent.sha256 == hashlib.sha256(large.read_bytes()).hexdigest()
        await done(client.files.delete(sent.id))

    with cutting_proxy(api.url, [0], mark=b'"received_bytes":16777216') as proxy:
        run(scenario, proxy.url)
        assert proxy.cuts == 1


def test_listings_are_read_page_by_page(run: Run) -> None:
    async def scenario(client: Any) -> None:
        label = {"run": f"pages {uuid4()}"}
        made = [await done(client.jobs.submit(*NOOP, metadata=label)) for _ in range(5)]
        page = await done(client.jobs.list(metadata=label, limit=2))
        assert [job.id for job in page.data] == [made[4].id, made[3].id]
        assert isinstance(page.data[0], Job | AsyncJob)
        assert [job["id"] for job in json.loads(json.dumps(page.as_json()))["data"]] == [made[4].id, made[3].id]
        found = await taken(client.every(client.jobs.list, metadata=label, limit=2))
        assert [job.id for job in found] == [job.id for job in reversed(made)]
        await done(found[0].cancel())
        assert found[0].state == "cancelled"

    run(scenario)


def test_files_go_there_and_back(run: Run, tmp_path: Path) -> None:
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_text("a;b\n1;2\n")
    large.write_bytes(b"0123456789abcde\n" * 1_100_000)
    progress: list[tuple[int, int]] = []

    async def scenario(client: Any) -> None:
        for path in (small, large):
            sent = await done(
                client.files.upload(path, content_type="text/csv", on_progress=lambda *at: progress.append(at))
            )
            assert (sent.name, sent.size_bytes) == (path.name, path.stat().st_size)
            into = io.BytesIO()
            assert await done(client.files.download(sent.id, into)) == sent.size_bytes
            assert into.getvalue() == path.read_bytes()
            assert sent.id in [file.id for file in (await done(client.files.list())).data]
            await done(client.files.delete(sent.id))
            with pytest.raises(NotFound):
                await done(client.files.get(sent.id))
        size = large.stat().st_size
        assert progress == [(16 * 1024 * 1024, size), (size, size)]

    run(scenario)


def test_knowledge_capabilities_and_webhooks(run: Run) -> None:
    async def scenario(client: Any) -> None:
        name = f"handbook {uuid4()}"
        base, is_new = await done(client.knowledge_bases.ensure(name))
        assert (is_new, (await done(client.knowledge_bases.ensure(name)))) == (True, (base, False))
        document = await done(client.knowledge_bases.upload(base.id, "a.txt", b"The warranty is long.", "text/plain"))
        assert [each.id for each in await taken(client.knowledge_bases.documents(base.id))] == [document.id]
        offered = {capability.id for capability in (await done(client.capabilities.list())).data}
        assert {"knowledge.search", "probe.act"} <= offered
        assert (await done(client.capabilities.get("probe.act"))).input_schema
        endpoint = await done(client.webhooks.create(HOOK_URL, ["job.succeeded"]))
        assert endpoint.secret.startswith("whsec_")
        changed = await done(client.webhooks.update(endpoint.id, description="ours"))
        assert (changed.description, changed.events, changed.secret) == ("ours", ["job.succeeded"], None)
        assert (await done(client.webhooks.pause(endpoint.id))).state == "paused"
        assert endpoint.id in [each.id for each in (await done(client.webhooks.list())).data]
        assert (await done(client.webhooks.deliveries(endpoint_id=endpoint.id))).data == []
        assert (await done(client.webhooks.remove(endpoint.id))).id == endpoint.id

    run(scenario)

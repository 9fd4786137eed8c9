"""S1 and S2: a stream resumes with no gap and no duplicate, and never falls silent."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import httpx
import pytest
from pydantic import SecretStr

from core.jobs.live import LivePublisher
from core.kit.redis import connect
from core.kit.settings import Settings
from tests.factories.api import RunningApi, issue_key, start_api
from tests.factories.attempts import Attempt, attempt
from tests.factories.processes import running
from tests.factories.sse import Stream
from tests.factories.waiting import wait_until
from waybill.stack.postgres import free_port
from waybill.stack.valkey import EmbeddedValkey

RecordProperty = Callable[[str, object], None]
JOB = {"capability": "probe.act", "input": {"act": "noop"}}


def submit(client: httpx.Client) -> str:
    response = client.post("/v1/jobs", json=JOB)
    assert response.status_code == 202, response.text
    job_id: str = response.json()["id"]
    return job_id


def events_path(job_id: str, after: int | None = None) -> str:
    return f"/v1/jobs/{job_id}/events" + (f"?starting_after={after}" if after is not None else "")


def assert_complete(ids: list[int]) -> None:
    assert ids == list(range(1, len(ids) + 1)), ids


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"sse_keepalive_seconds": 0.5})


@pytest.fixture
def api(fresh_api: RunningApi) -> RunningApi:
    return fresh_api


@pytest.fixture
def client(api: RunningApi) -> Iterator[httpx.Client]:
    with api.client() as opened:
        yield opened


@pytest.mark.survive("S1")
def test_a_stream_opened_before_the_run_sees_everything_once(api: RunningApi, client: httpx.Client) -> None:
    job_id = submit(client)
    stream = Stream(client, events_path(job_id))
    stream.wait_for("job.queued")
    with attempt(api.settings, job_id) as run:
        for number in range(20):
            run.delta(f"{number} ")
        run.emit("progress.updated", done=1, total=2)
        run.delta("end")
        run.succeed(answer=42)
    stream.wait_for_end()
    assert_complete(stream.ids)
    assert stream.types == [
        "job.queued",
        "job.started",
        *["message.delta"] * 20,
        "progress.updated",
        "message.delta",
        "job.succeeded",
    ]
    assert stream.text == "".join(f"{number} " for number in range(20)) + "end"
    assert all(event["job_id"] == job_id for event in stream.events)


@pytest.mark.survive("S1")
def test_a_stream_resumes_after_every_id_during_and_after_the_run(api: RunningApi, client: httpx.Client) -> None:
    job_id = submit(client)
    with attempt(api.settings, job_id) as run:
        for number in range(5):
            run.delta(f"{number} ")
        during = [Stream(client, events_path(job_id, after)) for after in range(8)]
        for stream in during:
            stream.wait_until_open()
        run.emit("step.finished", step="speak")
        run.succeed(answer=42)
    for after, stream in enumerate(during):
        stream.wait_for_end()
        assert stream.ids == list(range(after + 1, 10)), after
    for after in range(9):
        stream = Stream(client, events_path(job_id), {"Last-Event-ID": str(after)})
        stream.wait_for_end()
        assert stream.ids == list(range(after + 1, 10)), after
    finished = client.get(events_path(job_id), headers={"Last-Event-ID": "9"})
    assert finished.status_code == 204
    assert client.get(events_path(job_id, 1_000_000)).status_code == 204


@pytest.mark.survive("S1")
def test_a_stream_resumes_after_the_api_was_restarted_in_the_middle(settings: Settings) -> None:
    first = start_api(settings)
    port = int(first.url.rpartition(":")[2])
    with first.client() as client:
        job_id = submit(client)
        with attempt(settings, job_id) as run:
            before = Stream(client, events_path(job_id))
            for number in range(10):
                run.delta(f"{number} ")
            before.wait_for("message.delta", 10)
            first.stop()
            before.wait_for_end()
            assert before.error is None, "a graceful stop ends the stream, it does not cut it"
            assert "job.succeeded" not in before.types
            for number in range(10, 20):
                run.delta(f"{number} ")
            second = start_api(settings, port=port, key=first.key)
            try:
                after = Stream(client, events_path(job_id), {"Last-Event-ID": str(before.ids[-1])})
                after.wait_until_open()
                run.delta("end")
                run.succeed(answer=42)
                after.wait_for_end()
            finally:
                second.stop()
    assert_complete(before.ids + after.ids)
    assert len(before.ids + after.ids) == 2 + 21 + 1


@pytest.mark.survive("S1")
def test_persisted_events_survive_the_loss_of_redis_under_an_open_stream(
    api: RunningApi, client: httpx.Client, valkey: EmbeddedValkey
) -> None:
    job_id = submit(client)
    stream = Stream(client, events_path(job_id))
    with attempt(api.settings, job_id) as run:
        run.delta("before ")
        stream.wait_for("message.delta")
        valkey.stop()
        run.emit("step.finished", step="while redis was away")
        stream.wait_for("step.finished")  # from Postgres
        valkey.start()
        valkey.flush()
        wait_until(lambda: api.runtime.hub.is_live, timeout_seconds=10, what="the hub to reconnect")
        run.delta("after")
        stream.wait_for("message.delta", 2)
        run.succeed(answer=42)
    stream.wait_for_end()
    assert_complete(stream.ids)
    again = Stream(client, events_path(job_id))
    again.wait_for_end()
    assert again.types == ["job.queued", "job.started", "step.finished", "message.delta", "job.succeeded"]


@pytest.mark.survive("S1")
def test_a_persisted_event_whose_publication_was_lost_is_read_from_postgres_before_what_follows(
    api: RunningApi, client: httpx.Client
) -> None:
    job_id = submit(client)
    stream = Stream(client, events_path(job_id))
    with attempt(api.settings, job_id) as run:
        stream.wait_for("job.started")
        with cut_off(run, api.settings):
            run.emit("step.started", step="unheard")
        run.delta("heard")
        stream.wait_for("message.delta")
        run.succeed(answer=42)
    stream.wait_for_end()
    assert_complete(stream.ids)
    assert stream.types == ["job.queued", "job.started", "step.started", "message.delta", "job.succeeded"]


@contextmanager
def cut_off(run: Attempt, settings: Settings) -> Iterator[None]:
    """The attempt's worker cannot reach Redis, while everybody else can."""
    redis = connect(settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")}))
    whole, run.context._publisher = run.context._publisher, LivePublisher(redis, settings)
    try:
        yield
    finally:
        run.context._publisher = whole
        redis.close()


def test_a_final_event_whose_publication_was_lost_still_ends_the_stream(api: RunningApi, client: httpx.Client) -> None:
    job_id = submit(client)
    stream = Stream(client, events_path(job_id))
    with attempt(api.settings, job_id) as run:
        stream.wait_for("job.started")
        with cut_off(run, api.settings):
            run.succeed(answer=42)
    stream.wait_for_end(5)
    assert stream.types[-1] == "job.succeeded"


def test_a_second_attempt_starts_its_text_again(api: RunningApi, client: httpx.Client) -> None:
    job_id = submit(client)
    stream = Stream(client, events_path(job_id))
    with attempt(api.settings, job_id) as run:
        run.delta("wasted")
        run.requeue()
    with attempt(api.settings, job_id) as run:
        run.delta("kept")
        run.succeed(answer=42)
    stream.wait_for_end()
    assert stream.types == [
        "job.queued", "job.started", "message.delta", "job.queued", "job.started", "message.delta", "job.succeeded",
    ]  # fmt: skip
    assert stream.text == "kept"
    assert stream.ids == sorted(set(stream.ids))


@pytest.mark.survive("S2")
def test_a_stream_speaks_at_once_and_never_falls_silent(client: httpx.Client, record_property: RecordProperty) -> None:
    job_id = submit(client)
    stream = Stream(client, events_path(job_id), {"Accept-Encoding": "gzip, br"})
    time.sleep(2.5)
    assert stream.response is not None
    headers = stream.response.headers
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["x-accel-buffering"] == "no"
    assert "no-store" in headers["cache-control"]
    assert "content-encoding" not in headers
    assert "content-length" not in headers
    moments = [moment for moment, _ in stream.comments]
    assert moments[0] < 0.5
    assert len(moments) >= 4
    longest = max(later - earlier for earlier, later in pairwise(moments))
    assert longest < 1.0
    record_property("figure", f"first byte after {moments[0]:.2f} s, longest silence {longest:.2f} s of 0.5 s asked")
    client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
    stream.wait_for_end()
    assert stream.types == ["job.queued", "job.cancelled"]


def test_one_redis_connection_serves_every_stream(api: RunningApi, client: httpx.Client) -> None:
    redis = connect(api.settings)

    def channels() -> list[int]:
        """How many channels each connection listens to."""
        return [int(row["sub"]) for row in redis.client_list()]

    job_ids = [submit(client) for _ in range(10)]
    with httpx.Client(base_url=api.url, headers=client.headers, limits=httpx.Limits(max_connections=100)) as wide:
        streams = [Stream(wide, events_path(job_id)) for job_id in job_ids for _ in range(3)]
        for stream in streams:
            stream.wait_for("job.queued")
        # Others listen to one channel each: the dispatcher, and the APIs of other tests.
        assert [count for count in channels() if count > 1] == [11]
        for job_id in job_ids:
            client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
        for stream in streams:
            stream.wait_for_end()
            assert stream.types == ["job.queued", "job.cancelled"]

    wait_until(lambda: max(channels()) == 1, timeout_seconds=5, what="the channels of ended streams to be dropped")
    redis.close()


def test_a_reader_that_hangs_up_is_removed(api: RunningApi, client: httpx.Client) -> None:
    job_id = submit(client)
    with client.stream("GET", events_path(job_id)) as response:
        chunks = response.iter_bytes()  # kept: httpx hangs up when its iterator is collected
        next(chunks)
        wait_until(lambda: len(api.runtime.hub._subscriptions) == 1, timeout_seconds=5, what="the subscription")
    wait_until(lambda: not api.runtime.hub._subscriptions, timeout_seconds=5, what="the subscription to be dropped")


@pytest.mark.survive("S1")
def test_a_reader_slower_than_the_run_misses_nothing_and_holds_no_memory(api: RunningApi, client: httpx.Client) -> None:
    job_id = submit(client)
    pieces, piece = 3_000, "x" * 1_000
    with client.stream("GET", events_path(job_id), timeout=60) as response:
        lines = response.iter_lines()
        next(lines)
        with attempt(api.settings, job_id) as run:
            for _ in range(pieces):
                run.delta(piece)
            run.succeed(answer=42)
        buffered = [len(reader._items) for readers in api.runtime.hub._subscriptions.values() for reader in readers]
        assert max(buffered, default=0) <= 513
        ids = [int(line[4:]) for line in lines if line.startswith("id: ")]
    assert_complete(ids)
    assert len(ids) == pieces + 3


@pytest.mark.survive("S1")
def test_readers_that_come_and_go_at_random_moments_miss_nothing(
    api: RunningApi, client: httpx.Client, record_property: RecordProperty
) -> None:
    job_id = submit(client)

    def read_in_pieces(seed: int) -> list[int]:
        chance = random.Random(seed)
        ids: list[int] = []
        with api.client() as own:
            while True:
                piece = Stream(own, events_path(job_id), {"Last-Event-ID": str(ids[-1])} if ids else {})
                piece.wait_for_events(chance.randrange(1, 60))
                piece.hang_up()
                ids += piece.ids
                if piece.types and piece.types[-1] == "job.succeeded":
                    return ids

    with ThreadPoolExecutor(4) as readers:
        reading = [readers.submit(read_in_pieces, seed) for seed in range(4)]
        with attempt(api.settings, job_id) as run:
            for number in range(400):
                if number % 7 == 0:
                    run.emit("progress.updated", done=number, total=400)
                else:
                    run.delta("x")
            run.succeed(answer=42)
        for found in reading:
            assert_complete(found.result(60))
            assert len(found.result()) == 403
    record_property("figure", "4 readers, 403 events each, every connection cut after 1 to 60 events")


@pytest.mark.survive("S1")
def test_a_stream_resumes_after_the_api_process_was_killed(settings: Settings, record_property: RecordProperty) -> None:
    port = free_port()
    key = issue_key(settings)
    address = {"WAYBILL_API_PORT": str(port), "WAYBILL_API_HOST": "127.0.0.1"}
    url, headers = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {key.plaintext}"}
    pieces: list[Stream] = []
    with (
        httpx.Client(base_url=url, headers=headers, timeout=20, trust_env=False) as client,
        running(settings, "api", until="Uvicorn running", **address) as process,
    ):
        job_id = submit(client)
        with attempt(settings, job_id) as run:
            pieces.append(Stream(client, events_path(job_id)))
            for number in range(10):
                run.delta(f"{number} ")
            pieces[0].wait_for("message.delta", 5)
            process.kill()
            pieces[0].wait_for_end()
            assert pieces[0].error is not None, "a killed server cuts its connections"
            for number in range(10, 20):
                run.delta(f"{number} ")
            run.emit("step.finished", step="while no API was there")
            with running(settings, "api", until="Uvicorn running", **address) as second:
                last = {"Last-Event-ID": str(pieces[0].ids[-1])}
                pieces.append(Stream(client, events_path(job_id), last))
                run.delta("end")
                run.succeed(answer=42)
                pieces[1].wait_for_end()
                assert second.stop() == 0
    ids = [number for piece in pieces for number in piece.ids]
    assert_complete(ids)
    assert len(ids) == 2 + 20 + 1 + 1 + 1
    record_property("figure", f"killed after event {pieces[0].ids[-1]}, {len(ids)} events, none missing, none twice")


@pytest.mark.survive("S1")
def test_a_stopping_process_lets_its_streams_go_and_exits_in_time(
    settings: Settings, record_property: RecordProperty
) -> None:
    port = free_port()
    key = issue_key(settings)
    headers = {"Authorization": f"Bearer {key.plaintext}"}
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20, trust_env=False) as client,
        running(settings, "api", until="Uvicorn running", WAYBILL_API_PORT=str(port)) as process,
    ):
        streams = [Stream(client, events_path(submit(client))) for _ in range(5)]
        for stream in streams:
            stream.wait_for("job.queued")
        began = time.monotonic()
        assert process.stop() == 0
        took = time.monotonic() - began
        for stream in streams:
            stream.wait_for_end()
            assert stream.error is None, "the stream ends, it is not cut"
    assert took < 10
    record_property("figure", f"5 open streams, exit after {took:.1f} s")

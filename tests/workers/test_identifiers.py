"""One corpus of identifiers on every way through the product, as processes: it is shown on none of them."""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pytest
from openai import DefaultHttpxClient, OpenAI
from pydantic import SecretStr

from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from core.kit.signing import generate_seed
from tests.factories.guarded_stack import SLOWLY, GuardedStack, guarded_stack
from tests.factories.identifiers import IDENTIFIERS, LETTER, RECORDING, SPOKEN, draw, leaked
from tests.factories.sse import Stream
from tests.factories.waiting import wait_until
from waybill.stack.valkey import EmbeddedValkey

pytestmark = [
    pytest.mark.stack,
    pytest.mark.heavy,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("identifiers"),
]
Way = Callable[[GuardedStack], str]
ASKED: Any = {"role": "user", "content": f"Write to them all: {LETTER}"}
# What names no one: the model knows them by itself, and nothing of its answer is restored.
UNASKED: Any = {"role": "user", "content": "Write to them all."}
TOOL = {"name": "write_letter", "parameters": {"type": "object", "properties": {"text": {"type": "string"}}}}
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}}
# What a model's tool was answered, with the letters of JSON that need no escape escaped.
TOOL_OUTPUT = json.dumps({"found": LETTER})


@pytest.fixture(scope="module")
def redis_address(shared_valkey: EmbeddedValkey | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey of this module's own: other tests empty and stop the one that they share."""
    if shared_valkey is None:
        yield os.environ["REDIS_URL"]
        return
    valkey = EmbeddedValkey(tmp_path_factory.mktemp("identifiers-valkey"))
    valkey.start()
    yield valkey.url
    valkey.stop()


@pytest.fixture(scope="module")
def stack(database_url: str, redis_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedStack]:
    """One stack for all ways: starting it takes longer than they do."""
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_address),
        secret_key=SecretStr(secrets.token_urlsafe(32)),
        pseudonym_key=SecretStr(secrets.token_urlsafe(32)),
        signing_key=SecretStr(generate_seed()),
        key_prefix=f"t{secrets.token_hex(4)}",
    )
    with guarded_stack(settings, "models", "probe", "multimodal") as opened:
        yield opened


def echoed(where: str, state: str = "succeeded") -> Way:
    """A job that puts the letter somewhere by itself."""

    def way(stack: GuardedStack) -> str:
        path = stack.submit("probe.echo", value=f"Found: {LETTER}", where=where)
        return stack.reported(path, states=frozenset({state}))

    return way


def json_answer(stack: GuardedStack) -> str:
    return stack.reported(stack.chat(ASKED))


def sse(stack: GuardedStack) -> str:
    return stack.get(f"{stack.chat(ASKED)}/events")


def sse_of_json(stack: GuardedStack) -> str:
    return stack.get(f"{stack.chat(ASKED, output_schema=SCHEMA)}/events")


def tool_arguments(stack: GuardedStack) -> str:
    return "\n".join(stack.reported(stack.chat(asked, tools=[TOOL])) for asked in (ASKED, UNASKED))


def tool_outputs(stack: GuardedStack) -> str:
    call = {"id": "call_1", "name": "write_letter", "arguments": json.dumps({"text": LETTER})}
    asked = {"role": "assistant", "tool_calls": [call]}
    return stack.reported(stack.chat(ASKED, asked, {"role": "tool", "tool_call_id": "call_1", "content": TOOL_OUTPUT}))


def child_jobs(stack: GuardedStack) -> str:
    asked = {"model": "default", "messages": [ASKED]}
    shown = stack.reported(stack.submit("probe.fan", children=[{"capability": "models.chat", "payload": asked}]))
    [child] = json.loads(shown.splitlines()[0])["result"]["outcomes"]
    return "\n".join((shown, stack.reported(f"/v1/jobs/{encode(JOB, UUID(child['job_id']))}")))


def webhooks(stack: GuardedStack) -> str:
    path = stack.chat(ASKED)
    job = path.rpartition("/")[2]

    def bodies() -> list[str]:
        return [each.body.decode() for each in tuple(stack.receiver.received) if job in each.body.decode()]

    wait_until(lambda: "job.succeeded" in str(bodies()), timeout_seconds=60, what="the webhook")
    return "\n".join(bodies())


def webhooks_of_errors(stack: GuardedStack) -> str:
    paths = [stack.submit("probe.echo", value=LETTER, where=where) for where in ("failure", "question")]

    def bodies() -> list[str]:
        received = [each.body.decode() for each in tuple(stack.receiver.received)]
        return [body for path in paths for body in received if path.rpartition("/")[2] in body]

    wait_until(lambda: "job.failed" in str(bodies()), timeout_seconds=60, what="the webhook of the error")
    wait_until(lambda: "job.waiting" in str(bodies()), timeout_seconds=60, what="the webhook of the question")
    return "\n".join(bodies())


def batch_files(stack: GuardedStack) -> str:
    lines = [
        {"custom_id": "chat", "input": {"model": "default", "messages": [ASKED]}},
        {"custom_id": "echo", "capability": "probe.echo", "input": {"value": LETTER, "where": "failure"}},
    ]
    content = "\n".join(map(json.dumps, lines)).encode()
    given = stack.upload("lines.jsonl", content, "application/x-ndjson")
    path = stack.batch(capability="models.chat", input_file_id=given)
    shown = stack.wait(path, frozenset({"completed"}))
    results = stack.get(f"/v1/files/{json.loads(shown)['results_file_id']}/content")
    assert len(results.splitlines()) == 2
    return "\n".join((shown, results, stack.get(f"{path}/results")))


def artifacts(stack: GuardedStack) -> str:
    path = stack.submit("probe.echo", value=f"Found: {LETTER}", where="artifact")
    stack.wait(path)
    return stack.get(f"{path}/artifacts/echo.json") + stack.get(f"{path}/artifacts/echo.txt")


def understood(stack: GuardedStack, name: str, content: bytes, content_type: str) -> str:
    given = stack.upload(name, content, content_type)
    shown = stack.reported(
        stack.submit("multimodal.understand", files=[given], question="What is said there?"), timeout_seconds=300
    )
    # What was read stands in the regions, and a model that reads no pictures was asked about it.
    assert json.loads(shown.splitlines()[0])["result"]["regions"], shown
    return shown


def picture(stack: GuardedStack) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "letter.png"
        draw(path)
        return understood(stack, path.name, path.read_bytes(), "image/png")


def sound(stack: GuardedStack) -> str:
    shown = understood(stack, RECORDING.name, RECORDING.read_bytes(), "audio/ogg")
    assert "<LOCATION_" in shown, "the recording was heard"
    return shown


def openai(stack: GuardedStack) -> OpenAI:
    key = stack.client.headers["Authorization"].removeprefix("Bearer ")
    http = DefaultHttpxClient(trust_env=False)
    return OpenAI(base_url=f"{stack.client.base_url}/openai/v1", api_key=key, http_client=http, timeout=60)


def completion(*, stream: bool, **more: Any) -> Way:
    def way(stack: GuardedStack) -> str:
        with openai(stack) as client:
            made: Any = client.chat.completions.create(model="default", messages=[ASKED], stream=stream, **more)
            return "\n".join(each.to_json() for each in (made if stream else [made]))

    return way


def response(*, stream: bool) -> Way:
    def way(stack: GuardedStack) -> str:
        with openai(stack) as client:
            made: Any = client.responses.create(model="default", input=ASKED["content"], stream=stream)
            return "\n".join(each.to_json() for each in (made if stream else [made]))

    return way


def openai_batch(stack: GuardedStack) -> str:
    body = {"model": "default", "messages": [ASKED]}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    with openai(stack) as client:
        given = client.files.create(file=("requests.jsonl", json.dumps(line).encode()), purpose="batch").id
        made = client.batches.create(input_file_id=given, endpoint="/v1/chat/completions", completion_window="24h")
        wait_until(
            lambda: client.batches.retrieve(made.id).status == "completed",
            timeout_seconds=60,
            what="the batch",
            pause_seconds=0.2,
        )
        return client.files.content(client.batches.retrieve(made.id).output_file_id or "").text


WAYS: dict[str, Way] = {
    "JSON": json_answer,
    "SSE": sse,
    "SSE of JSON": sse_of_json,
    "tool arguments": tool_arguments,
    "tool outputs": tool_outputs,
    "child jobs": child_jobs,
    "child results": echoed("child"),
    "webhooks": webhooks,
    "webhooks of errors": webhooks_of_errors,
    "batch files": batch_files,
    "artifacts": artifacts,
    "events": echoed("event"),
    "deltas": echoed("delta"),
    "results": echoed("result"),
    "errors": echoed("failure", "failed"),
    "questions": echoed("question", "waiting"),
    "picture": picture,
    "sound": sound,
    "OpenAI": completion(stream=False),
    "OpenAI streamed": completion(stream=True),
    "OpenAI tools": completion(stream=False, tools=[{"type": "function", "function": TOOL}]),
    "OpenAI tools streamed": completion(stream=True, tools=[{"type": "function", "function": TOOL}]),
    "OpenAI JSON": completion(stream=False, response_format={"type": "json_object"}),
    "OpenAI JSON streamed": completion(stream=True, response_format={"type": "json_object"}),
    "OpenAI batch": openai_batch,
    "OpenAI response": response(stream=False),
    "OpenAI response streamed": response(stream=True),
}
# Where a child's result is not shown.
_SILENT = {"child results"}


@pytest.mark.survive("P9")
@pytest.mark.parametrize("way", WAYS)
def test_no_identifier_is_shown_on_this_way(stack: GuardedStack, way: str) -> None:
    before = len(stack.provider.requests)
    shown = WAYS[way](stack)
    assert leaked(shown) == []
    if way not in _SILENT:
        missing = [kind for kind in IDENTIFIERS if f"<{kind.upper()}" not in shown]
        assert missing == [], shown
    sent = [json.dumps(request.body) for request in stack.provider.requests[before:]]
    assert leaked(*sent) == []


@pytest.mark.survive("P9")
def test_no_identifier_is_in_the_events_of_the_project(stack: GuardedStack) -> None:
    path = stack.submit("probe.echo", value=f"Found: {LETTER}", where="event")
    stack.wait(path)
    shown: list[str] = []
    with stack.client.stream("GET", "/v1/events", headers={"Last-Event-ID": "0"}) as answer:
        for line in answer.iter_lines():
            shown.append(line)
            if "job.succeeded" in line and path.rpartition("/")[2] in line:
                break
    assert "<PERSON_" in "".join(shown)
    assert leaked(*shown) == []


@pytest.mark.survive("P9")
def test_no_identifier_is_in_traces_logs_or_flower(stack: GuardedStack) -> None:
    crashed = stack.submit("probe.echo", value=f"Found: {LETTER}", where="crash")
    failed = stack.reported(crashed)
    assert leaked(failed) == []
    stack.wait(stack.chat(ASKED))
    logs = stack.logs()
    assert {name: leaked(written) for name, written in logs.items()} == {name: [] for name in logs}
    assert "job_attempt_crashed" in logs["probe"]
    assert all(logs.values()), "a process without a log would prove nothing"
    wait_until(
        lambda: "chat" in {span.name.partition(" ")[0] for span in stack.collector.spans},
        timeout_seconds=30,
        what="spans",
    )
    assert leaked(stack.collector.text) == []
    wait_until(lambda: "run_job" in stack.flower("/api/tasks"), timeout_seconds=30, what="Flower to see tasks")
    assert leaked(stack.flower("/api/tasks"), stack.flower("/tasks"), stack.flower("/api/workers")) == []


@pytest.mark.survive("S3")
def test_an_analyzer_that_is_killed_in_mid_stream_leaks_nothing_and_the_job_resumes(stack: GuardedStack) -> None:
    before = len(stack.provider.requests)
    path = stack.chat({"role": "user", "content": f"{SLOWLY} {LETTER}"})
    stream = Stream(stack.client, f"{path}/events")
    stream.wait_for("message.delta", 2, timeout_seconds=60)
    stack.processes["analyzer"].kill()
    stream.wait_for("job.queued", 2, timeout_seconds=60)
    queued = json.loads(stack.get(path))
    assert (queued["reason"], queued["error"]["dependency"]) == ("dependency_unavailable", "guard analyzer")
    assert leaked(json.dumps(queued)) == []
    stack.start_analyzer()
    shown = stack.reported(path)
    stream.wait_for_end(60)
    job = json.loads(shown.splitlines()[0])
    assert (job["state"], job["attempt"], job["error"]) == ("succeeded", 1, None)
    assert stream.text == job["result"]["text"]
    assert stream.text.count("<PERSON_1>") == 100
    assert leaked(shown, json.dumps(stream.events)) == []
    assert leaked(*(json.dumps(request.body) for request in stack.provider.requests[before:])) == []


def test_the_corpus_leaks_where_it_is_looked_for() -> None:
    assert leaked(TOOL_OUTPUT, json.dumps(TOOL_OUTPUT)) == [*IDENTIFIERS.values()]
    assert leaked(f"to {SPOKEN.upper()}") == [SPOKEN]

"""Batches as OpenAI's own client asks for them: a file of requests in, a file of answers out."""

import json
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.factories.openai_stack import WORDS
from tests.factories.waiting import wait_until

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("openai")]

TEXT = "".join(WORDS)


def line(custom_id: str, text: str, **change: Any) -> dict[str, Any]:
    body = {"model": "writer", "messages": [{"role": "user", "content": text}]}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body | change}


def upload(client: OpenAI, *lines: Any) -> str:
    content = b"".join(json.dumps(each).encode() + b"\n" for each in lines)
    return client.files.create(file=("requests.jsonl", content), purpose="batch").id


def run(client: OpenAI, endpoint: Any, *lines: Any) -> Any:
    made = client.batches.create(
        input_file_id=upload(client, *lines), endpoint=endpoint, completion_window="24h", metadata={"night": "1"}
    )
    wait_until(
        lambda: client.batches.retrieve(made.id).status in {"completed", "failed", "cancelled"},
        timeout_seconds=60,
        what="the batch's end",
        pause_seconds=0.2,
    )
    return client.batches.retrieve(made.id)


def read(client: OpenAI, file_id: str) -> dict[str, Any]:
    return {each["custom_id"]: each for each in map(json.loads, client.files.content(file_id).text.splitlines())}


def test_a_file_of_requests_becomes_files_of_answers_and_errors(client: OpenAI) -> None:
    done = run(client, "/v1/chat/completions", line("a", "Say hello"), line("b", "REFUSE"), line("c", "LONG"))
    assert (done.status, done.endpoint, done.metadata) == ("completed", "/v1/chat/completions", {"night": "1"})
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (3, 2, 1)
    answers, errors = read(client, done.output_file_id), read(client, done.error_file_id)
    assert set(answers) == {"a", "c"}
    first = answers["a"]["response"]
    assert first["status_code"] == 200
    assert first["body"]["choices"][0]["message"]["content"] == TEXT
    assert first["body"]["usage"]["completion_tokens"] > 0
    assert errors["b"]["response"]["body"]["error"]["code"] == "provider_refused"
    assert client.files.retrieve(done.output_file_id).bytes == len(client.files.content(done.output_file_id).read())
    assert done.id in [each.id for each in client.batches.list(limit=1)]


def test_responses_and_embeddings_are_batched_too(client: OpenAI) -> None:
    asked = {"custom_id": "r", "method": "POST", "url": "/v1/responses", "body": {"model": "writer", "input": "Hi"}}
    done = run(client, "/v1/responses", asked)
    body = read(client, done.output_file_id)["r"]["response"]["body"]
    assert client.responses.retrieve(body["id"]).output_text == TEXT
    model = "local/all-MiniLM-L6-v2-int8"
    asked = {"custom_id": "e", "method": "POST", "url": "/v1/embeddings", "body": {"model": model, "input": "a parcel"}}
    done = run(client, "/v1/embeddings", asked)
    (vector,) = read(client, done.output_file_id)["e"]["response"]["body"]["data"]
    assert len(vector["embedding"]) == 384


def test_a_batch_is_cancelled(client: OpenAI) -> None:
    lines = [line(f"l{number}", "HOLD") for number in range(3)]
    made = client.batches.create(
        input_file_id=upload(client, *lines), endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert client.batches.cancel(made.id).status in {"cancelling", "cancelled"}
    wait_until(lambda: client.batches.retrieve(made.id).status == "cancelled", timeout_seconds=60, what="its end")
    errors = read(client, client.batches.retrieve(made.id).error_file_id or "")
    assert {each["error"]["code"] for each in errors.values()} == {"batch_cancelled"}


WRONG: list[tuple[Any, str]] = [
    (line("a", "x", model="no-such-model"), "line 2: there is no model"),
    (line("a", "x", stream=True), "line 2: Unsupported parameter: 'stream'"),
    (line("a", "x", functions=[]), "line 2: Unsupported parameter: 'functions'"),
    ({**line("a", "x"), "url": "/v1/embeddings"}, "line 2: url"),
    (line("first", "x"), "line 2: custom_id"),
    ("text", "line 2"),
]


@pytest.mark.parametrize(("wrong", "reported"), WRONG)
def test_a_wrong_line_refuses_the_whole_batch_by_its_number(client: OpenAI, wrong: Any, reported: str) -> None:
    file = upload(client, line("first", "Say hello"), wrong)
    with pytest.raises(openai.BadRequestError, match=reported) as refused:
        client.batches.create(input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h")
    assert refused.value.param == "input_file_id"


def test_what_is_no_batch_is_not_there(client: OpenAI) -> None:
    for ask in (client.batches.retrieve, client.batches.cancel):
        with pytest.raises(openai.NotFoundError):
            ask("batch_01jd3q8v9tfq8a1b2c3d4e5f6g")
    with pytest.raises(openai.NotFoundError):
        client.files.content("output_01jd3q8v9tfq8a1b2c3d4e5f6g")
    with pytest.raises(openai.BadRequestError) as endpoint:
        client.batches.create(input_file_id="file_1", endpoint="/v1/completions", completion_window="24h")
    assert endpoint.value.param == "endpoint"

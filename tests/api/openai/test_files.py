"""Files, and the headers that tell of rates."""

from io import BytesIO

import openai
import pytest
from openai import OpenAI

from tests.factories.openai_stack import OpenAIStack

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("openai")]

CONTENT = b"Claims must be filed within seven days.\n"


def test_files_are_uploaded_listed_read_and_deleted(client: OpenAI, stack: OpenAIStack) -> None:
    made = client.files.create(file=("claims.txt", BytesIO(CONTENT)), purpose="user_data")
    assert (made.filename, made.bytes, made.object, made.purpose) == ("claims.txt", len(CONTENT), "file", "user_data")
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).read() == CONTENT
    other = client.files.create(file=("other.jsonl", b'{"a":1}\n'), purpose="batch")
    assert [file.id for file in client.files.list(limit=1)][:2] == [other.id, made.id]
    with stack.plain() as plain:
        assert plain.get(f"/v1/files/{made.id}").json()["name"] == "claims.txt"
    repeated = {"Idempotency-Key": "the-same-file"}
    twice = [client.files.create(file=("b.txt", CONTENT), purpose="user_data", extra_headers=repeated) for _ in "ab"]
    assert twice[0].id == twice[1].id
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)


def test_a_form_that_is_not_as_it_should_be_is_refused_by_name(client: OpenAI, stack: OpenAIStack) -> None:
    with pytest.raises(openai.BadRequestError) as purpose:
        client.files.create(file=("a.txt", CONTENT), purpose="fine-tune")
    assert purpose.value.param == "purpose"
    with pytest.raises(openai.BadRequestError) as expiry:
        client.files.create(
            file=("a.txt", CONTENT), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
        )
    assert (expiry.value.param or "").startswith("expires_after")
    with pytest.raises(openai.BadRequestError) as empty:
        client.files.create(file=("a.txt", b""), purpose="user_data")
    assert empty.value.param == "file"
    with stack.plain() as plain:
        plain.headers["content-type"] = "text/plain"
        assert plain.post("/openai/v1/files", content=CONTENT).status_code == 415


def test_rates_are_reported_in_its_headers(client: OpenAI) -> None:
    reported = client.models.with_raw_response.list().headers
    assert 0 < int(reported["x-ratelimit-remaining-requests"]) < int(reported["x-ratelimit-limit-requests"])
    assert reported["x-ratelimit-reset-requests"].endswith("ms")

"""A capability as the model of a response: with no change but the name in ``model``."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.factories.openai_stack import OpenAIStack
from tests.factories.waiting import wait_until

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("openai")]

QUESTION = "How long may a claim for a damaged parcel be filed?"
ANSWER = "within seven days"


@pytest.fixture(scope="module")
def base(stack: OpenAIStack) -> Iterator[str]:
    """A knowledge base with one document."""
    with stack.plain() as plain:
        made: str = plain.post("/v1/knowledge-bases", json={"name": "claims"}).json()["id"]
        text = f"Claims for damaged parcels must be filed {ANSWER} of delivery. Lost parcels are refunded in full."
        document = plain.post(f"/v1/knowledge-bases/{made}/documents?name=claims.txt", content=text.encode()).json()
        job = plain.post(
            "/v1/jobs",
            json={
                "capability": "knowledge.ingest",
                "input": {"knowledge_base": made, "documents": [document["id"]]},
            },
        ).json()["id"]
        wait_until(
            lambda: plain.get(f"/v1/jobs/{job}?wait=20").json()["state"] == "succeeded",
            timeout_seconds=60,
            what="the document to be read",
        )
        yield made


def test_file_search_says_where_knowledge_search_looks(client: OpenAI, base: str) -> None:
    made: Any = client.responses.create(
        model="knowledge.search", input=QUESTION, tools=[{"type": "file_search", "vector_store_ids": [base]}]
    )
    assert made.status == "completed"
    assert ANSWER in made.output_text
    assert made.model == "knowledge.search"
    assert made.waybill["result"]["citations"][0]["document"] == "claims.txt"
    items: Any = client.responses.input_items.list(made.id).data
    assert [item.content[0].text for item in items] == [QUESTION]
    on = client.responses.create(model="writer", input="And the HISTORY", previous_response_id=made.id)
    assert on.output_text.startswith(f"user: {QUESTION} | assistant: {made.output_text}")


def test_a_capability_streams(client: OpenAI, base: str) -> None:
    where = {"capability_input": {"knowledge_base": base}}
    stream = client.responses.create(model="knowledge.search", input=QUESTION, stream=True, extra_body=where)
    events: list[Any] = list(stream)
    reported = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert ANSWER in reported
    assert reported == events[-1].response.output_text
    assert events[-1].type == "response.completed"


def test_text_that_is_an_object_is_the_input_itself(client: OpenAI, base: str) -> None:
    made: Any = client.responses.create(
        model="knowledge.search", input=f'{{"knowledge_base": "{base}", "query": "claims", "mode": "passages"}}'
    )
    assert made.waybill["result"]["mode"] == "passages"
    assert '"passages"' in made.output_text


def test_what_a_capability_has_no_field_for_is_refused(client: OpenAI, base: str) -> None:
    search: Any = [{"type": "file_search", "vector_store_ids": [base, base]}]
    with pytest.raises(openai.BadRequestError) as bases:
        client.responses.create(model="knowledge.search", input=QUESTION, tools=search)
    assert bases.value.param == "tools.0.vector_store_ids"
    talk: Any = [{"role": "user", "content": "One"}, {"role": "user", "content": "Two"}]
    with pytest.raises(openai.BadRequestError) as conversation:
        client.responses.create(model="knowledge.search", input=talk)
    assert conversation.value.param == "input"
    file: Any = [{"role": "user", "content": [{"type": "input_file", "file_id": "file_01jd3q8v9tfq8a1b2c3d4e5f6g"}]}]
    with pytest.raises(openai.BadRequestError, match="no field files"):
        client.responses.create(model="knowledge.search", input=file)

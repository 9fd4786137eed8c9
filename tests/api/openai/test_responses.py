"""``responses`` as OpenAI's own client asks for them: at once, in events, in the background, and gone on from."""

from typing import Any

import openai
import pytest
from openai import OpenAI
from sqlalchemy import text

from core.jobs.live import stream_key
from core.kit.ids import decode
from core.kit.redis import connect
from tests.factories.api import running_api
from tests.factories.openai_stack import WORDS, OpenAIStack
from tests.factories.waiting import wait_until

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("openai")]

TEXT = "".join(WORDS)
TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}
EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    *["response.output_text.delta"] * len(WORDS),
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


def ended(client: OpenAI, response_id: str) -> Any:
    wait_until(
        lambda: client.responses.retrieve(response_id).status not in {"queued", "in_progress"},
        timeout_seconds=20,
        what="the response's end",
    )
    return client.responses.retrieve(response_id)


def test_a_response_is_a_job(client: OpenAI, stack: OpenAIStack) -> None:
    made = client.responses.create(
        model="writer", instructions="Be brief.", input="Say hello", metadata={"ticket": "4711"}, max_output_tokens=60
    )
    assert (made.status, made.output_text, made.instructions) == ("completed", TEXT, "Be brief.")
    assert made.metadata == {"ticket": "4711"}
    assert made.usage
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens > 0
    assert client.responses.retrieve(made.id) == made
    with stack.plain() as plain:
        job = plain.get(f"/v1/jobs/job_{made.id.removeprefix('resp_')}").json()
    assert (job["capability"], job["state"]) == ("models.chat", "succeeded")
    assert made.model_extra
    assert made.model_extra["waybill"]["job_id"] == job["id"]
    assert made.model_extra["waybill"]["disclosure"] == job["disclosure"]
    assert job["disclosure"]["ai_generated"] is True


def test_a_conversation_goes_on_from_the_response_before(client: OpenAI, stack: OpenAIStack) -> None:
    first = client.responses.create(model="writer", instructions="Be brief.", input="Say hello")
    second = client.responses.create(model="writer", input="And now the HISTORY", previous_response_id=first.id)
    assert second.output_text == f"user: Say hello | assistant: {TEXT} | user: And now the HISTORY"
    assert second.previous_response_id == first.id
    items = client.responses.input_items.list(second.id, order="asc")
    assert [getattr(item, "role", None) for item in items.data] == ["user", "assistant", "user"]
    page = client.responses.input_items.list(second.id, order="asc", limit=2)
    assert [item.id for item in page] == [item.id for item in items.data]
    third = client.responses.create(
        model="writer", input=[{"role": "user", "content": "Once more HISTORY"}], previous_response_id=second.id
    )
    assert third.output_text == f"{second.output_text} | assistant: {second.output_text} | user: Once more HISTORY"


def test_what_was_not_stored_or_was_deleted_is_not_there(client: OpenAI, stack: OpenAIStack) -> None:
    hidden = client.responses.create(model="writer", input="Say hello", store=False)
    assert hidden.output_text == TEXT
    kept = client.responses.create(model="writer", input="Say hello")
    client.responses.delete(kept.id)
    for gone in (hidden.id, kept.id, "resp_01jd3q8v9tfq8a1b2c3d4e5f6g", "nonsense"):
        with pytest.raises(openai.NotFoundError) as refused:
            client.responses.retrieve(gone)
        assert refused.value.code == "response_not_found"
        with pytest.raises(openai.BadRequestError) as continued:
            client.responses.create(model="writer", input="More", previous_response_id=gone)
        assert continued.value.code == "previous_response_not_found"
    with stack.plain() as plain:
        job = plain.get(f"/v1/jobs/job_{kept.id.removeprefix('resp_')}").json()
        audited = plain.get("/v1/audit", params={"subject": job["id"]}).json()
    assert job["result"] is None
    assert job["payload_erased_at"] is not None
    assert job["usage"]
    assert "api:job:erase" in {record["action"] for record in audited["data"]}


def test_a_stream_reports_everything_in_order(client: OpenAI) -> None:
    events = list(client.responses.create(model="writer", input="Say hello", stream=True))
    assert [event.type for event in events] == EVENTS
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))
    final: Any = events[-1]
    assert final.response.output_text == TEXT
    assert final.response == client.responses.retrieve(final.response.id)


def test_the_clients_own_stream_helper_reads_it(client: OpenAI) -> None:
    with client.responses.stream(model="writer", input="Say hello") as stream:
        reported = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == reported == TEXT


def test_a_stream_is_resumed_after_any_event(client: OpenAI) -> None:
    made = client.responses.create(model="writer", input="Say hello", background=True)
    assert made.status == "queued"
    whole = list(client.responses.retrieve(made.id, stream=True))
    assert [event.type for event in whole] == ["response.created", "response.queued", *EVENTS[1:]]
    for at, event in enumerate(whole):
        rest = client.responses.retrieve(made.id, stream=True, starting_after=event.sequence_number)
        assert list(rest) == whole[at + 1 :]


def test_a_background_response_that_is_streamed_survives_its_client(client: OpenAI, stack: OpenAIStack) -> None:
    stream = client.responses.create(model="writer", input="HOLD", background=True, stream=True)
    seen = []
    for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    stream.close()
    first: Any = seen[0]
    assert client.responses.retrieve(first.response.id).status == "in_progress"
    resumed = client.responses.retrieve(first.response.id, stream=True, starting_after=seen[-1].sequence_number)
    cancelled = client.responses.cancel(first.response.id)
    assert cancelled.status in {"in_progress", "cancelled"}
    rest = list(resumed)
    last: Any = rest[-1]
    assert (last.type, last.response.status) == ("response.failed", "cancelled")
    assert ended(client, first.response.id).status == "cancelled"
    assert not {event.sequence_number for event in seen} & {event.sequence_number for event in rest}


def test_tool_calls_and_their_results_are_items(client: OpenAI) -> None:
    asked: Any = [{"role": "user", "content": "Use your TOOL"}]
    made = client.responses.create(model="writer", input=asked, tools=[TOOL])
    (call,) = made.output
    assert call.type == "function_call"
    assert (call.name, call.call_id) == ("get_weather", "call_weather")
    asked += [call.model_dump(exclude_none=True)]
    asked += [{"type": "function_call_output", "call_id": call.call_id, "output": "raining"}]
    assert client.responses.create(model="writer", input=asked, tools=[TOOL]).output_text == "It is raining."
    answer: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "snowing"}
    on: Any = client.responses.create(model="writer", input=[answer], tools=[TOOL], previous_response_id=made.id)
    assert on.output_text == "It is snowing."
    kinds = [event.type for event in client.responses.create(model="writer", input="TOOL", tools=[TOOL], stream=True)]
    assert kinds[2:] == [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_failures_end_as_errors_or_as_failed_responses(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="writer", input="REFUSE")
    assert refused.value.code == "provider_refused"
    assert refused.value.response.headers["x-should-retry"] == "false"
    made = client.responses.create(model="writer", input="REFUSE", background=True)
    failed = ended(client, made.id)
    assert failed.status == "failed"
    assert failed.error.code == "invalid_prompt"
    assert [event.type for event in client.responses.retrieve(made.id, stream=True)][-1] == "response.failed"
    with pytest.raises(openai.BadRequestError, match="no answer to continue"):
        client.responses.create(model="writer", input="More", previous_response_id=made.id)
    short = client.responses.create(model="writer", input="LONG")
    assert short.incomplete_details
    assert (short.status, short.incomplete_details.reason) == ("incomplete", "max_output_tokens")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"truncation": "auto"}, "truncation"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"tools": [{"type": "web_search"}]}, "tools.0"),
    ({"tools": [{"type": "file_search", "vector_store_ids": ["kb_1"]}]}, "tools.0"),
    ({"include": ["file_search_call.results"]}, "include.0"),
    ({"background": True, "store": False}, "store"),
    ({"model": "knowledge.search", "instructions": "Be brief."}, "instructions"),
    ({"model": "knowledge.search"}, "capability_input.knowledge_base"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.0"),
]


@pytest.mark.parametrize(("change", "param"), REFUSED)
def test_what_is_not_supported_is_refused_by_name(client: OpenAI, change: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(**{"model": "writer", "input": "Say hello"} | change)
    assert (refused.value.param or "").startswith(param)


def test_only_a_background_response_is_cancelled(client: OpenAI) -> None:
    made = client.responses.create(model="writer", input="Say hello")
    with pytest.raises(openai.BadRequestError, match="only a background response"):
        client.responses.cancel(made.id)


def test_a_stream_reads_on_when_redis_has_lost_the_pieces(client: OpenAI, stack: OpenAIStack) -> None:
    whole = list(client.responses.create(model="writer", input="Say hello", stream=True))
    first, last = whole[0], whole[-1]
    assert first.type == "response.created"
    settings = stack.api.settings
    with connect(settings) as redis:
        redis.delete(stream_key(settings, decode("resp", first.response.id)))
    again = list(client.responses.retrieve(first.response.id, stream=True))
    assert [event.delta for event in again if event.type == "response.output_text.delta"] == [TEXT]
    assert again[-1] == last
    # A client that has had some of the text is told no piece twice; the event that holds all of it comes.
    seen = next(event for event in whole if event.type == "response.output_text.delta")
    rest = client.responses.retrieve(first.response.id, stream=True, starting_after=seen.sequence_number)
    assert [event.type for event in rest] == EVENTS[-4:]


def test_a_stream_reports_the_end_when_its_events_are_past_their_retention(client: OpenAI, stack: OpenAIStack) -> None:
    made = client.responses.create(model="writer", input="Say hello")
    job_id = decode("resp", made.id)
    with connect(stack.api.settings) as redis:
        redis.delete(stream_key(stack.api.settings, job_id))
    with stack.tenant.database.system() as session:
        session.execute(text("DELETE FROM job_events WHERE job_id = :id"), {"id": job_id})
    reported: list[Any] = list(client.responses.retrieve(made.id, stream=True, starting_after=5))
    assert reported[-1].type == "response.completed"
    assert reported[-1].response.output_text == TEXT


def test_a_stream_goes_on_from_another_process_of_the_api(client: OpenAI, stack: OpenAIStack) -> None:
    made = client.responses.create(model="writer", input="Say hello", background=True)
    whole = list(client.responses.retrieve(made.id, stream=True))
    with (
        running_api(stack.api.settings) as other,
        stack.client(base_url=f"{other.url}/openai/v1") as elsewhere,
    ):
        assert list(elsewhere.responses.retrieve(made.id, stream=True)) == whole
        seen = whole[len(whole) // 2].sequence_number
        rest = list(elsewhere.responses.retrieve(made.id, stream=True, starting_after=seen))
    assert rest == whole[len(whole) // 2 + 1 :]

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import BaseModel

from core.capability import JobCancelled
from core.gateway.errors import ProviderUnavailable
from core.kit.errors import CapabilityFailure
from pipelines._kit.embeddings import GatewayEmbeddings
from pipelines._kit.langchain_model import GatewayChatModel
from tests.factories.context import RecordingContext
from tests.factories.job_models import models_at
from tests.factories.provider_simulator import (
    Answer,
    Failure,
    ProviderSimulator,
    Tokens,
    ToolUse,
    obey_schema,
)


class Verdict(BaseModel):
    """What was found."""

    ok: bool
    reason: str


@tool
def weather(place: str) -> str:
    """The weather of a place."""
    return f"It rains in {place}."


def test_it_streams_with_usage_on_the_last_chunk() -> None:
    ctx = RecordingContext()
    tokens = Tokens(30, 9, cached=20, reasoning=4)
    with ProviderSimulator(Answer("It ", "rains.", usage=tokens)) as server, models_at(server, ctx) as models:
        heard: list[str] = []
        model = GatewayChatModel(models=models, model="writer", on_text=heard.append)
        chunks = list(model.stream([SystemMessage("Be brief."), HumanMessage("Weather?")]))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert isinstance(whole, AIMessageChunk)
    assert heard == ["It ", "rains."]
    assert whole.text == "It rains."
    usage: Any = whole.usage_metadata
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (30, 9, 39)
    assert usage["input_token_details"]["cache_read"] == 20
    assert usage["output_token_details"]["reasoning"] == 4
    assert whole.response_metadata["request_id"] == "req_1"
    assert models.names == ["writer"]
    assert [usage.input_tokens for usage in ctx.usage] == [30]
    assert server.requests[0].body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_an_agent_calls_its_tool_and_every_call_is_metered() -> None:
    ctx = RecordingContext()
    scripts = (Answer(tool_calls=(ToolUse("weather", {"place": "Oslo"}),)), Answer("It rains in Oslo."))
    with ProviderSimulator(*scripts) as server, models_at(server, ctx) as models:
        agent = create_agent(GatewayChatModel(models=models, model="writer"), [weather])
        result = agent.invoke({"messages": [HumanMessage("Weather in Oslo?")]})
    assert result["messages"][-1].text == "It rains in Oslo."
    assert [message.content for message in result["messages"] if isinstance(message, ToolMessage)] == [
        "It rains in Oslo."
    ]
    second = server.requests[1].body["messages"]
    assert [message["role"] for message in second] == ["user", "assistant", "tool"]
    assert server.requests[0].body["tools"][0]["function"]["name"] == "weather"
    assert len(ctx.usage) == len(server.requests) == 2
    assert sum(usage.input_tokens for usage in ctx.usage) == server.bill().input
    assert sum(usage.output_tokens for usage in ctx.usage) == server.bill().output


@pytest.mark.parametrize("include_raw", [True, False])
def test_structured_output_is_obeyed_by_the_provider(include_raw: bool) -> None:
    with ProviderSimulator(obey_schema) as server, models_at(server, RecordingContext()) as models:
        model = GatewayChatModel(models=models, model="writer")
        answer: Any = model.with_structured_output(Verdict, include_raw=include_raw).invoke("Is it?")
    assert (answer["parsed"] if include_raw else answer) == Verdict(ok=True, reason="text")
    assert server.requests[0].body["response_format"]["json_schema"]["name"] == "Verdict"


def test_structured_output_by_a_tool_for_models_without_schemas() -> None:
    script = Answer(tool_calls=(ToolUse("Verdict", {"ok": True, "reason": "so"}),))
    with ProviderSimulator(script) as server, models_at(server, RecordingContext()) as models:
        model = GatewayChatModel(models=models, model="writer")
        answer = model.with_structured_output(Verdict, method="function_calling").invoke("Is it?")
    assert answer == Verdict(ok=True, reason="so")
    assert server.requests[0].body["tool_choice"] == "required"


def test_a_graph_streams_its_model_and_is_cancelled_between_chunks() -> None:
    received: list[str] = []

    def on_check() -> None:
        if len(received) >= 2:
            raise JobCancelled

    ctx = RecordingContext(on_check=on_check)
    with ProviderSimulator(Answer(*["word "] * 9, hold_after=2)) as server, models_at(server, ctx) as models:
        model = GatewayChatModel(models=models, model="writer", on_text=received.append)
        graph = StateGraph(MessagesState)
        graph.add_node("write", lambda state: {"messages": [model.invoke(state["messages"])]})
        graph.add_edge(START, "write")
        graph.add_edge("write", END)
        with pytest.raises(JobCancelled):
            graph.compile().invoke({"messages": [HumanMessage("Write.")]})
        assert server.requests[0].finished.wait(5)
        assert server.requests[0].client_closed
        assert len(server.requests) == 1
    assert received == ["word ", "word "]
    assert [usage.output_tokens for usage in ctx.usage] == [server.bill().output]


def test_a_failure_of_the_gateway_comes_out_as_it_is_and_is_not_tried_again() -> None:
    with ProviderSimulator(Failure(status=503)) as server, models_at(server, RecordingContext()) as models:
        agent = create_agent(GatewayChatModel(models=models, model="writer"), [weather])
        with pytest.raises(ProviderUnavailable):
            agent.invoke({"messages": [HumanMessage("Weather in Oslo?")]})
    assert len(server.requests) == 1


def test_pictures_go_inline_and_addresses_are_refused() -> None:
    inline = {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}}
    with ProviderSimulator(Answer("A cat.")) as server, models_at(server, RecordingContext()) as models:
        model = GatewayChatModel(models=models, model="writer")
        model.invoke([HumanMessage([{"type": "text", "text": "What is it?"}, inline])])
        with pytest.raises(CapabilityFailure) as caught:
            model.invoke([HumanMessage([{"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}])])
    assert server.requests[0].body["messages"][0]["content"][1] == inline
    assert caught.value.code == "image_not_inline"
    assert len(server.requests) == 1


def test_embeddings_pass_the_gateway() -> None:
    ctx = RecordingContext()
    with ProviderSimulator() as server, models_at(server, ctx) as models:
        embeddings = GatewayEmbeddings(models, "finder")
        rows = embeddings.embed_documents(["one", "two words"])
        assert embeddings.embed_query("one") == rows[0]
        assert embeddings.embed_documents([]) == []
    assert [len(row) for row in rows] == [8, 8]
    assert [usage.quantities for usage in ctx.usage] == [{"embedding_tokens": 3}, {"embedding_tokens": 1}]

"""LangChain's own classes for OpenAI, of which only the address and the key are ours."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests.factories.openai_stack import WORDS, OpenAIStack

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("openai")]

TEXT = "".join(WORDS)


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"raining in {city}"


@pytest.fixture
def model(stack: OpenAIStack) -> Iterator[ChatOpenAI]:
    with httpx.Client(trust_env=False) as client:
        yield chat(stack, http_client=client)


def chat(stack: OpenAIStack, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model="writer", base_url=stack.base_url, api_key=SecretStr(stack.api.key.plaintext), max_retries=0, **options
    )


def test_it_invokes_and_streams(model: ChatOpenAI) -> None:
    answer = model.invoke([("system", "Be brief."), ("user", "Say hello")])
    assert answer.content == TEXT
    assert answer.usage_metadata
    assert answer.usage_metadata["output_tokens"] > 0
    pieces = list(model.stream("Say hello", stream_usage=True))
    assert "".join(str(piece.content) for piece in pieces) == TEXT
    assert len([piece for piece in pieces if piece.content]) > 1
    assert sum(piece.usage_metadata["output_tokens"] for piece in pieces if piece.usage_metadata) > 0


def test_it_streams_from_an_event_loop(stack: OpenAIStack) -> None:
    async def run() -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            model = chat(stack, http_async_client=client, http_client=httpx.Client(trust_env=False))
            return "".join([str(piece.content) async for piece in model.astream("Say hello")])

    assert asyncio.run(run()) == TEXT


def test_it_calls_tools_and_goes_on(model: ChatOpenAI) -> None:
    able = model.bind_tools([get_weather])
    asked = able.invoke("Use your TOOL")
    (call,) = asked.tool_calls
    assert call["args"] == {"city": "Gdańsk"}
    tool_result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    assert able.invoke([HumanMessage("Use your TOOL"), asked, tool_result]).content == "It is raining in Gdańsk."


def test_it_gives_structured_output(model: ChatOpenAI) -> None:
    class Claim(BaseModel):
        """A claim."""

        days: int
        reason: str

    assert model.with_structured_output(Claim).invoke("Follow the SCHEMA") == Claim(days=1, reason="text")


def test_it_speaks_the_responses_dialect_too(stack: OpenAIStack) -> None:
    with httpx.Client(trust_env=False) as client:
        model = chat(stack, http_client=client, use_responses_api=True)
        assert model.invoke("Say hello").text == TEXT
        assert "".join(piece.text for piece in model.stream("Say hello")) == TEXT


def test_embeddings_are_of_length_one(stack: OpenAIStack) -> None:
    with httpx.Client(trust_env=False) as client:
        embeddings = OpenAIEmbeddings(
            model="local/all-MiniLM-L6-v2-int8",
            openai_api_base=stack.base_url,
            openai_api_key=SecretStr(stack.api.key.plaintext),
            check_embedding_ctx_length=False,
            http_client=client,
        )
        vectors = embeddings.embed_documents(["a parcel", "a package"])
    assert [sum(value * value for value in vector) for vector in vectors] == pytest.approx([1, 1], abs=1e-4)

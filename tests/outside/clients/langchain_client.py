"""LangChain's ``ChatOpenAI`` and ``OpenAIEmbeddings``."""

import asyncio
from typing import Any

from cases import EMBEDDING_MODEL, MESSAGES, MODEL, case, get_weather
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class Answer(BaseModel):
    """An answer."""

    reasoning: str
    answer: int


def chat(**options: Any) -> Any:
    return ChatOpenAI(model=MODEL, max_retries=0, timeout=60, **options)


@case("chat")
def _() -> Any:
    return chat().invoke("Hello").content


@case("chat, temperature, top_p, seed, reasoning_effort")
def _() -> Any:
    return chat(temperature=0, top_p=0.9, seed=7, reasoning_effort="low").invoke("Hello").content


@case("chat, stream")
def _() -> Any:
    return "".join(str(chunk.content) for chunk in chat().stream("Hello"))


@case("chat, batch and async")
def _() -> Any:
    return len(chat().batch(["a", "b"])) == 2 and asyncio.run(chat().ainvoke("c")).content


@case("tools and their results")
def _() -> Any:
    model = chat().bind_tools([get_weather])
    messages: list[Any] = [HumanMessage("Weather in Oslo?")]
    first = model.invoke(messages)
    results = [ToolMessage("sunny", tool_call_id=call["id"]) for call in first.tool_calls]
    return results and model.invoke([*messages, first, *results]).content


@case("tools, parallel_tool_calls=False")
def _() -> Any:
    return chat().bind_tools([get_weather], parallel_tool_calls=False, strict=True).invoke("Weather?").tool_calls


for method in ("json_schema", "function_calling", "json_mode"):

    @case(f"structured output, {method}")
    def _(method: str = method) -> Any:
        if method == "json_mode":
            return chat().with_structured_output(None, method=method).invoke("Answer in JSON.") is not None
        return chat().with_structured_output(Answer, method=method).invoke("Hello")


@case("responses, stream and tools")
def _() -> Any:
    model = chat(use_responses_api=True)
    text = "".join(str(chunk.content) for chunk in model.stream("Hello"))
    return text and model.bind_tools([get_weather]).invoke("Weather?").tool_calls


@case("create_agent with a tool")
def _() -> Any:
    return create_agent(chat(), [get_weather]).invoke({"messages": MESSAGES})["messages"][-1].content


@case("create_agent with response_format")
def _() -> Any:
    return create_agent(chat(), [], response_format=Answer).invoke({"messages": MESSAGES})["structured_response"]


@case("logprobs")
def _() -> Any:
    return chat(logprobs=True).invoke("Hello").response_metadata["logprobs"]["content"]


@case("embeddings, check_embedding_ctx_length=False")
def _() -> Any:
    model = OpenAIEmbeddings(model=EMBEDDING_MODEL, check_embedding_ctx_length=False)
    return len(model.embed_documents(["a", "b"])) == 2

"""LiteLLM, as a library."""

from typing import Any

import litellm
from cases import API_KEY, BASE_URL, EMBEDDING_MODEL, MESSAGES, MODEL, TOOL, case
from pydantic import BaseModel


class Answer(BaseModel):
    reasoning: str
    answer: int


litellm.suppress_debug_info = True
shared: dict[str, Any] = {"model": f"openai/{MODEL}", "api_base": BASE_URL, "api_key": API_KEY, "max_retries": 0}


def ask(messages: Any = MESSAGES, **options: Any) -> Any:
    return litellm.completion(messages=messages, **shared, **options)


@case("chat")
def _() -> Any:
    return ask().choices[0].message.content


@case("chat, temperature, top_p, seed, n=1")
def _() -> Any:
    return ask(temperature=0.1, top_p=0.9, seed=1, n=1).choices[0].message.content


@case("chat, stream")
def _() -> Any:
    return "".join(chunk.choices[0].delta.content or "" for chunk in ask(stream=True) if chunk.choices)


@case("tools and their results")
def _() -> Any:
    first = ask(tools=[TOOL]).choices[0].message
    result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "name": "get_weather", "content": "sunny"}
    return ask([*MESSAGES, first, result], tools=[TOOL]).choices[0].message.content


@case("structured output")
def _() -> Any:
    return Answer.model_validate_json(ask(response_format=Answer).choices[0].message.content)


@case("responses")
def _() -> Any:
    return litellm.responses(input="Hello", **shared).output[0]


@case("embeddings")
def _() -> Any:
    options = {**shared, "model": f"openai/{EMBEDDING_MODEL}"}
    return len(litellm.embedding(input=["a", "b"], **options).data) == 2

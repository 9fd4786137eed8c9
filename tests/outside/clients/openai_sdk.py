"""OpenAI's own client."""

from typing import Any

from cases import EMBEDDING_MODEL, MESSAGES, MODEL, PARAMETERS, TOOL, case
from openai import OpenAI
from pydantic import BaseModel

client = OpenAI(max_retries=0, timeout=60)
ask: Any = client.chat.completions.create


class Answer(BaseModel):
    reasoning: str
    answer: int


@case("chat")
def _() -> Any:
    return ask(model=MODEL, messages=MESSAGES).choices[0].message.content


@case("chat, stream with usage")
def _() -> Any:
    chunks = list(ask(model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}))
    return chunks[-1].usage.completion_tokens and len(chunks) > 2


@case("chat, tools and their results")
def _() -> Any:
    first = ask(model=MODEL, messages=MESSAGES, tools=[TOOL]).choices[0].message
    result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "sunny"}
    return ask(model=MODEL, messages=[*MESSAGES, first, result], tools=[TOOL]).choices[0].message.content


@case("chat, structured output (parse)")
def _() -> Any:
    return (
        client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Answer).choices[0].message.parsed
    )


@case("chat, structured output streamed")
def _() -> Any:
    with client.chat.completions.stream(model=MODEL, messages=MESSAGES, response_format=Answer) as stream:
        return stream.get_final_completion().choices[0].message.parsed


@case("chat, json_object")
def _() -> Any:
    return ask(model=MODEL, messages=MESSAGES, response_format={"type": "json_object"}).choices[0].message.content


@case("chat, top_p, seed, penalties, parallel_tool_calls")
def _() -> Any:
    return ask(
        model=MODEL,
        messages=MESSAGES,
        top_p=0.9,
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=0.1,
        tools=[TOOL],
        parallel_tool_calls=False,
    ).choices[0]


@case("chat, nulls")
def _() -> Any:
    return ask(model=MODEL, messages=MESSAGES, stop=None, tools=None, logprobs=None, functions=None, audio=None).id


@case("chat, n=2")
def _() -> Any:
    return len(ask(model=MODEL, messages=MESSAGES, n=2).choices) == 2


@case("chat, logprobs")
def _() -> Any:
    return ask(model=MODEL, messages=MESSAGES, logprobs=True).choices[0].logprobs.content


@case("completions")
def _() -> Any:
    return client.completions.create(model=MODEL, prompt="Hello").choices[0].text


@case("completions, stream")
def _() -> Any:
    chunks = client.completions.create(model=MODEL, prompt="Hello", stream=True)
    return "".join(choice.text for chunk in chunks for choice in chunk.choices)


@case("chat, audio", refused="modalities")
def _() -> Any:
    return ask(model=MODEL, messages=MESSAGES, modalities=["text", "audio"])


@case("chat, functions (deprecated)", refused="functions")
def _() -> Any:
    return ask(model=MODEL, messages=MESSAGES, functions=[{"name": "f", "parameters": PARAMETERS}])


@case("responses")
def _() -> Any:
    return client.responses.create(model=MODEL, input="Hello").output_text


@case("responses, stream")
def _() -> Any:
    kinds = [event.type for event in client.responses.create(model=MODEL, input="Hello", stream=True)]
    return kinds[-1] == "response.completed"


@case("responses, tools and their results")
def _() -> Any:
    tools: Any = [{"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": True}]
    first = client.responses.create(model=MODEL, input="Weather?", tools=tools)
    call: Any = first.output[0]
    result: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
    return client.responses.create(model=MODEL, input=result, previous_response_id=first.id, tools=tools).output_text


@case("responses, structured output (parse)")
def _() -> Any:
    return client.responses.parse(model=MODEL, input="Hello", text_format=Answer).output_parsed


@case("responses, web_search", refused="tools")
def _() -> Any:
    return client.responses.create(model=MODEL, input="Hello", tools=[{"type": "web_search"}])


@case("embeddings")
def _() -> Any:
    return len(client.embeddings.create(model=EMBEDDING_MODEL, input=["a", "b"]).data) == 2


@case("embeddings, dimensions that the model has not", refused="dimensions")
def _() -> Any:
    return client.embeddings.create(model=EMBEDDING_MODEL, input="a", dimensions=8)


@case("embeddings, token ids (LangChain's default)", refused="input")
def _() -> Any:
    return client.embeddings.create(model=EMBEDDING_MODEL, input=[[1, 2, 3]])


@case("models")
def _() -> Any:
    return MODEL in {model.id for model in client.models.list()}

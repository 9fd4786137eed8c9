"""LlamaIndex: its ``OpenAI`` and ``OpenAILike`` models."""

import asyncio
from typing import Any

from cases import API_KEY, BASE_URL, EMBEDDING_MODEL, MODEL, case, get_weather
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel


class Answer(BaseModel):
    """An answer."""

    reasoning: str
    answer: int


shared: dict[str, Any] = {"model": MODEL, "api_base": BASE_URL, "api_key": API_KEY, "max_retries": 0, "timeout": 60}
models: dict[str, Any] = {
    "OpenAI": OpenAI(**shared),
    "OpenAILike": OpenAILike(**shared, is_chat_model=True, is_function_calling_model=True),
    "OpenAIResponses": OpenAIResponses(**shared),
}
tool = FunctionTool.from_defaults(get_weather)


async def run_agent(model: Any) -> str:
    return str(await FunctionAgent(tools=[tool], llm=model).run("Weather in Oslo?"))


for name, model in models.items():

    @case(f"{name}, complete and stream")
    def _(model: Any = model) -> Any:
        return str(model.complete("Hello")) and "".join(piece.delta or "" for piece in model.stream_complete("Hello"))

    @case(f"{name}, tools (predict_and_call)")
    def _(model: Any = model) -> Any:
        return str(model.predict_and_call([tool], user_msg="Weather in Oslo?"))

    @case(f"{name}, structured_predict")
    def _(model: Any = model) -> Any:
        return model.structured_predict(Answer, PromptTemplate("Hello"))

    @case(f"{name}, FunctionAgent")
    def _(model: Any = model) -> Any:
        return asyncio.run(run_agent(model))


@case("OpenAILike, not a chat model (completions)")
def _() -> Any:
    return str(OpenAILike(**shared).complete("Hello"))


@case("embeddings")
def _() -> Any:
    model = OpenAILikeEmbedding(model_name=EMBEDDING_MODEL, api_base=BASE_URL, api_key=API_KEY)
    return len(model.get_text_embedding_batch(["a", "b"])) == 2

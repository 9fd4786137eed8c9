"""Pydantic AI, over both of its models of OpenAI."""

from typing import Any

from cases import EMBEDDING_MODEL, MODEL, case, get_weather
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel


class Answer(BaseModel):
    reasoning: str
    answer: int


for kind in (OpenAIChatModel, OpenAIResponsesModel):
    model = kind(MODEL)

    @case(f"{kind.__name__}, agent")
    def _(model: Any = model) -> Any:
        return Agent(model, instructions="Be brief.").run_sync("Hello").output

    @case(f"{kind.__name__}, settings")
    def _(model: Any = model) -> Any:
        settings: Any = {"temperature": 0.2, "top_p": 0.9, "max_tokens": 50, "parallel_tool_calls": False}
        return Agent(model, tools=[get_weather], model_settings=settings).run_sync("Hello").output

    @case(f"{kind.__name__}, stream")
    def _(model: Any = model) -> Any:
        return Agent(model).run_stream_sync("Hello").get_output()

    @case(f"{kind.__name__}, tool and history")
    def _(model: Any = model) -> Any:
        agent = Agent(model, tools=[get_weather])
        first = agent.run_sync("Weather in Oslo?")
        return agent.run_sync("And now?", message_history=first.all_messages()).output

    for form in (ToolOutput, NativeOutput, PromptedOutput):

        @case(f"{kind.__name__}, {form.__name__}")
        def _(model: Any = model, form: Any = form) -> Any:
            return Agent(model, output_type=form(Answer)).run_sync("Hello").output


@case("embeddings")
def _() -> Any:
    from pydantic_ai import Embedder

    return Embedder(f"openai:{EMBEDDING_MODEL}").embed_documents_sync(["a", "b"]).embeddings

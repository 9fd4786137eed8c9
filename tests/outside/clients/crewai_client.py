"""CrewAI, whose own client speaks to OpenAI."""

import os
from typing import Any

os.environ |= {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true", "CREWAI_TRACING_ENABLED": "false"}

from cases import API_KEY, BASE_URL, MODEL, case, get_weather
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from pydantic import BaseModel


class Answer(BaseModel):
    reasoning: str
    answer: int


def model(**options: Any) -> Any:
    return LLM(model=f"openai/{MODEL}", base_url=BASE_URL, api_key=API_KEY, **options)


def crew(tools: Any = (), output: Any = None, **options: Any) -> Any:
    agent = Agent(role="Clerk", goal="Answer", backstory="Short.", llm=model(**options), tools=list(tools))
    task = Task(description="Say hello.", expected_output="A sentence.", agent=agent, output_pydantic=output)
    return Crew(agents=[agent], tasks=[task], verbose=False).kickoff()


@case("LLM, call")
def _() -> Any:
    return model(temperature=0.2, top_p=0.9, seed=7, max_tokens=50).call("Hello")


@case("LLM, stream")
def _() -> Any:
    return model(stream=True).call("Hello")


@case("LLM, response_format")
def _() -> Any:
    return model(response_format=Answer).call("Hello")


@case("crew")
def _() -> Any:
    return crew().raw


@case("crew with a tool")
def _() -> Any:
    return crew([tool("get_weather")(get_weather)]).raw


@case("crew, output_pydantic")
def _() -> Any:
    return crew(output=Answer).pydantic

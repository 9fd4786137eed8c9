import time
from typing import Any

import pytest
from pydantic import BaseModel

from core.capability import JobCancelled
from core.gateway.errors import ProviderUnavailable
from tests.factories.context import RecordingContext
from tests.factories.job_models import OneProvider, models_at
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator, ToolUse, obey_schema

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.xdist_group("crews"),
    # CrewAI reads fields of its own that it has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def crews() -> None:
    pytest.importorskip("crewai")


def make_crew(models: OneProvider, *tools: Any, on_text: Any = None) -> Any:
    """Two agents, each with a model object of its own, and a task each."""
    from crewai import Agent, Task

    from pipelines._kit.crewai_model import GatewayLLM, JobCrew

    agents = [
        Agent(
            role=role,
            goal="Answer.",
            backstory="You are brief.",
            llm=GatewayLLM(model="writer", models=models, on_text=on_text),
            tools=list(tools) if role == "researcher" else [],
            verbose=False,
        )
        for role in ("researcher", "editor")
    ]
    tasks = [Task(description=f"Do it, {agent.role}.", expected_output="A line.", agent=agent) for agent in agents]
    return JobCrew(agents=agents, tasks=tasks, memory=False, verbose=False)


def test_a_crew_of_two_tasks_is_metered_like_the_bill() -> None:
    from pipelines._kit.crewai_model import run_crew

    ctx = RecordingContext()
    heard: list[str] = []
    with ProviderSimulator(Answer("Rain ", "falls."), Answer("It rains.")) as server, models_at(server, ctx) as models:
        result = run_crew(make_crew(models, on_text=heard.append))
    assert result.raw == "It rains."
    assert heard == ["Rain ", "falls.", "It rains."]
    assert "Rain falls." in str(server.requests[1].body["messages"])
    assert len(ctx.usage) == len(server.requests) == 2
    assert sum(usage.input_tokens for usage in ctx.usage) == server.bill().input
    assert sum(usage.output_tokens for usage in ctx.usage) == server.bill().output


def test_an_agent_calls_its_tool() -> None:
    from crewai.tools import tool

    from pipelines._kit.crewai_model import run_crew

    @tool("weather")
    def weather(place: str) -> str:
        """The weather of a place."""
        return f"It rains in {place}."

    scripts = (Answer(tool_calls=(ToolUse("weather", {"place": "Oslo"}),)), Answer("Rain in Oslo."), Answer("Rain."))
    with ProviderSimulator(*scripts) as server, models_at(server, RecordingContext()) as models:
        result = run_crew(make_crew(models, weather))
    assert result.raw == "Rain."
    assert server.requests[0].body["tools"][0]["function"]["name"] == "weather"
    roles = [message["role"] for message in server.requests[1].body["messages"]]
    assert "tool" in roles
    assert "It rains in Oslo." in str(server.requests[1].body["messages"])


def test_cancelling_inside_a_crew_hangs_up_and_asks_for_nothing_more() -> None:
    from pipelines._kit.crewai_model import run_crew

    received: list[str] = []

    def on_check() -> None:
        if len(received) >= 2:
            raise JobCancelled

    ctx = RecordingContext(on_check=on_check)
    begin = time.monotonic()
    with ProviderSimulator(Answer(*["word "] * 9, hold_after=2)) as server, models_at(server, ctx) as models:
        with pytest.raises(JobCancelled):
            run_crew(make_crew(models, on_text=received.append))
        assert server.requests[0].finished.wait(5)
        assert server.requests[0].client_closed
        assert len(server.requests) == 1
    assert time.monotonic() - begin < 10
    assert [usage.output_tokens for usage in ctx.usage] == [server.bill().output]


@pytest.mark.parametrize("script", [Failure(status=429, retry_after="1"), Failure(status=503)])
def test_a_failure_of_the_gateway_comes_out_as_it_is_and_no_layer_tries_it_again(script: Failure) -> None:
    from pipelines._kit.crewai_model import run_crew

    with (
        ProviderSimulator(script) as server,
        models_at(server, RecordingContext()) as models,
        pytest.raises(ProviderUnavailable),
    ):
        run_crew(make_crew(models))
    assert len(server.requests) == 1


class Verdict(BaseModel):
    ok: bool


def test_a_response_model_is_asked_of_the_provider() -> None:
    from pipelines._kit.crewai_model import GatewayLLM

    with ProviderSimulator(obey_schema) as server, models_at(server, RecordingContext()) as models:
        llm = GatewayLLM(model="writer", models=models)
        assert llm.call("Is it?", response_model=Verdict) == Verdict(ok=True)
    assert server.requests[0].body["response_format"]["json_schema"]["name"] == "Verdict"

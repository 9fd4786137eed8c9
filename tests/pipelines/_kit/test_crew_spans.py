"""A crew's tasks and tools are spans of their own, above the model calls that the gateway counts, once each."""

from collections.abc import Iterator
from typing import Any

import pytest

from core.kit import telemetry
from core.kit.settings import Settings
from tests.factories.calls import simulated
from tests.factories.context import RecordingContext
from tests.factories.provider_simulator import Answer, ProviderSimulator, ToolUse
from tests.factories.trace_collector import Collector, attributes_of, collecting
from tests.factories.trace_reference import check_spans
from tests.factories.trace_tree import Tree

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.xdist_group("crews"),
    # CrewAI reads fields of its own that it has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def crews() -> None:
    pytest.importorskip("crewai")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        telemetry.configure_tracing(Settings(), "test")
        yield server
        telemetry.shutdown_tracing()


def make_crew(models: Any, tool: Any) -> Any:
    from crewai import Task

    from pipelines._kit.crewai_model import GatewayLLM, JobAgent, JobCrew

    agents = [
        JobAgent(
            role=role,
            goal="Answer {secret}.",
            backstory="You are brief.",
            llm=GatewayLLM(model="writer", models=models),
            tools=[tool] if role.startswith("researcher") else [],
            verbose=False,
        )
        for role in ("researcher of {secret}", "editor")
    ]
    tasks = [Task(description="Do it: {secret}.", expected_output="A line.", agent=agent) for agent in agents]
    return JobCrew(name="weather", agents=agents, tasks=tasks, memory=False, verbose=False)


def test_agents_and_tools_stand_above_the_calls_and_each_call_is_there_once(collector: Collector) -> None:
    from crewai.events.event_bus import crewai_event_bus
    from crewai.tools import tool

    from pipelines._kit.crewai_model import run_crew

    @tool("weather")
    def weather(place: str) -> str:
        """The weather of a place."""
        return f"It rains in {place}."

    ctx = RecordingContext()
    scripts = (Answer(tool_calls=(ToolUse("weather", {"place": "Oslo"}),)), Answer("Rain in Oslo."), Answer("Rain."))
    with (
        ProviderSimulator(*scripts) as server,
        simulated(Settings(), writer=server) as (gateway, _),
        telemetry.span("step crewai:weather"),
    ):
        run_crew(make_crew(gateway.for_job(ctx), weather), {"secret": "hunter2"})
        assert crewai_event_bus.flush()
    telemetry.shutdown_tracing()
    tree = Tree(collector.spans)
    assert tree.orphans == []
    crew = ["step crewai:weather", "invoke_workflow weather"]
    paths = [tree.path(span) for span in collector.spans if span.name.startswith("chat ")]
    assert [path[:3] for path in paths] == [
        [*crew, "invoke_agent researcher of {secret}"],
        [*crew, "invoke_agent researcher of {secret}"],
        [*crew, "invoke_agent editor"],
    ]
    assert len(paths) == len(server.requests) == 3
    used = tree.one("execute_tool weather")
    assert tree.path(used)[:3] == [*crew, "invoke_agent researcher of {secret}"]
    assert attributes_of(used)["gen_ai.tool.type"] == "function"
    check_spans(collector.spans)
    for said in ("hunter2", "Oslo"):
        assert said not in collector.text

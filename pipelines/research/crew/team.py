"""One task of the crew, carried out by CrewAI. Importing this takes seconds and 240 MB: only the pool's entry may.

One task is one step of the graph, so an agent's result is stored before the next agent starts. Every task has a crew,
an agent and a language model object of its own, because CrewAI keeps state in all three.
"""

import logging
from collections.abc import Callable
from typing import Any

from pydantic import Field

from core.gateway.models import ChatRequest
from core.gateway.routing import CHAT
from pipelines._kit.crewai_model import GatewayLLM, JobAgent, JobCrew, run_crew
from pipelines._kit.job_models import JobModels
from pipelines.research.crew.formats import NOTHING
from pipelines.research.crew.roles import Role

from crewai import Process, Task  # isort: skip - the adapter sets what it must not report first

_OUTPUT_MAX_TOKENS = 1500
_DESCRIPTION = "{instructions}\n\n{material}"

ExtractiveAgent = Callable[[], str]

# Its warnings are about its own defaults, and its errors come out as exceptions.
logging.getLogger("crewai").setLevel(logging.CRITICAL)


class CrewModel(GatewayLLM):
    """The bound chat model, for an agent of this crew. It never returns empty text, for which CrewAI repeats a call."""

    def _ask(self, request: ChatRequest) -> tuple[str, list[dict[str, Any]]]:
        text, calls = super()._ask(request)
        return (text if text.strip() or calls else NOTHING), calls


class ExtractiveAgentModel(GatewayLLM):
    """Used when only an extractive model is bound: `extractive` works out the agent's answer.

    It reads the evidence in the task's text, through the gateway's extractive and embedding models, and answers in the
    form that the task requests.
    """

    extractive: ExtractiveAgent = Field(exclude=True, repr=False)

    def _ask(self, request: ChatRequest) -> tuple[str, list[dict[str, Any]]]:  # noqa: ARG002 - it reads the evidence
        return self.extractive() or NOTHING, []


def carry_out(
    role: Role, instructions: str, material: str, models: JobModels, extractive: ExtractiveAgent | None
) -> str:
    """The agent's answer: the bound model's text, or that of `extractive`. One model call, no tools, no delegation.

    Raises `CapabilityFailure` as the gateway does, and the exceptions that end the job.
    """
    llm = (
        CrewModel(model=CHAT, models=models, max_output_tokens=_OUTPUT_MAX_TOKENS, cleaned=role.is_shown)
        if extractive is None
        else ExtractiveAgentModel(model=CHAT, models=models, extractive=extractive)
    )
    agent = JobAgent(
        role=role.title,
        goal=role.goal,
        backstory=role.backstory,
        llm=llm,
        tools=[],
        allow_delegation=False,
        max_iter=1,
        max_retry_limit=0,
        verbose=False,
    )
    task = Task(name=role.name, description=_DESCRIPTION, expected_output=role.expects, agent=agent)
    crew = JobCrew(
        name=role.step,
        agents=[agent],
        tasks=[task],
        process=Process.sequential,
        memory=False,
        cache=False,
        verbose=False,
    )
    # As inputs, because a text that holds braces is no template.
    return str(run_crew(crew, {"instructions": instructions, "material": material}).raw).strip()

"""What the agent folder offers."""

from core.capability import Manifest
from pipelines.agent.schemas import EXAMPLES, RunInput, RunOutput

RUN = Manifest(
    id="agent.run",
    version="1",
    title="Run an agent over your tools",
    description=(
        "A bound model that calls tools works on what a user asks for, in several turns, with the operations of the"
        " operator's file of tool servers: under its limits, with a person's approval where money moves or a call rests"
        " on text from outside, and nothing with an effect without the user's own words for it."
    ),
    input=RunInput,
    output=RunOutput,
    entry="pipelines.agent.graph:build",
    examples=EXAMPLES,
    written_by="machine",
    deadline_seconds=31 * 86_400,
    price_hint="a call of the bound model for every step, each over the whole conversation",
    runs_in="customer_operations",
)

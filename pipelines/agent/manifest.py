"""The capabilities of the agent folder."""

from core.capability import Manifest
from pipelines.agent.schemas import EXAMPLES, RunInput, RunOutput

RUN = Manifest(
    id="agent.run",
    version="1",
    title="Run an agent over your tools",
    description=(
        "A bound model works on a user's request in several turns, with the operations of the operator's"
        " tool servers. It observes their limits, asks a person to approve where money moves or a call is"
        " based on text from outside, and does nothing with an effect unless the user's own words ask for it."
    ),
    input=RunInput,
    output=RunOutput,
    entry="pipelines.agent.graph:build",
    examples=EXAMPLES,
    written_by="machine",
    deadline_seconds=31 * 86_400,
    price_hint="one call of the bound model per step, each over the whole conversation",
    runs_in="customer_operations",
)

"""A provider of models for tests: speaks OpenAI's and Anthropic's wire over a real socket, and keeps its own bill.

with ProviderSimulator(Answer("Hello", " world")) as provider:
    client = openai.OpenAI(base_url=provider.base_url, api_key="secret", max_retries=0)
    ...
assert provider.bill().output == 2
"""

from tests.factories.provider_simulator.obedient import obey_orders
from tests.factories.provider_simulator.records import Recorded, count_words
from tests.factories.provider_simulator.scripts import (
    COUNTED,
    Answer,
    Failure,
    LateScript,
    Raw,
    Script,
    Tokens,
    ToolUse,
    example_of,
    obey_schema,
)
from tests.factories.provider_simulator.server import ProviderSimulator

__all__ = [
    "COUNTED",
    "Answer",
    "Failure",
    "LateScript",
    "ProviderSimulator",
    "Raw",
    "Recorded",
    "Script",
    "Tokens",
    "ToolUse",
    "count_words",
    "example_of",
    "obey_orders",
    "obey_schema",
]

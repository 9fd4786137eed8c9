"""How a script says what it tried: one line of JSON a case. Runs in the client's own environment, without ours."""

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

MODEL = "gpt-4o"
EMBEDDING_MODEL = "embedding"
BASE_URL = os.environ.get("OPENAI_BASE_URL", "")
API_KEY = os.environ.get("OPENAI_API_KEY", "")
MESSAGES: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Any = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather.", "parameters": PARAMETERS, "strict": True},
}


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def case(name: str, *, refused: str | None = None) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Run the function at once. What it returns must be true; `refused` names the parameter that must be refused."""

    def run(function: Callable[[], Any]) -> Callable[[], Any]:
        outcome, detail = "passed", ""
        try:
            if not function():
                outcome, detail = "failed", "an empty answer"
            elif refused is not None:
                outcome, detail = "failed", f"{refused} was not refused"
        except Exception as error:  # noqa: BLE001 - every way to fail is a line of the table
            outcome, detail = "failed", traceback.format_exception_only(error)[-1].strip()[:300]
            if refused is not None and refused in str(error) and "Error code: 40" in detail:
                outcome, detail = "refused", refused
        # Clients write to it too, and not whole lines.
        sys.stdout.write("\nCASE " + json.dumps({"case": name, "outcome": outcome, "detail": detail}) + "\n")
        sys.stdout.flush()
        return function

    return run

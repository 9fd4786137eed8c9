"""OpenAI's Agents SDK, over both of its interfaces."""

import asyncio
from typing import Any

from agents import (
    Agent,
    ModelSettings,
    Runner,
    SQLiteSession,
    function_tool,
    set_default_openai_api,
    set_tracing_disabled,
)
from cases import MODEL, case, get_weather
from pydantic import BaseModel

set_tracing_disabled(True)
# The library keeps one client, which belongs to one loop.
loop = asyncio.new_event_loop()


class Answer(BaseModel):
    reasoning: str
    answer: int


def run(**options: Any) -> Any:
    agent = Agent(name="a", **{"model": MODEL, **options})
    return loop.run_until_complete(Runner.run(agent, "Weather in Oslo?")).final_output


async def stream() -> str:
    streamed = Runner.run_streamed(Agent(name="a", model=MODEL), "Hello")
    count = 0
    async for _ in streamed.stream_events():
        count += 1
    return str(streamed.final_output) if count > 2 else ""


for api in ("chat_completions", "responses"):
    set_default_openai_api(api)  # type: ignore[arg-type]

    @case(f"{api}, default agent")
    def _() -> Any:
        return run(instructions="Be brief.")

    @case(f"{api}, tool")
    def _() -> Any:
        return run(tools=[function_tool(get_weather)])

    @case(f"{api}, output_type")
    def _() -> Any:
        return run(output_type=Answer)

    @case(f"{api}, streamed")
    def _() -> Any:
        return loop.run_until_complete(stream())

    @case(f"{api}, handoff")
    def _() -> Any:
        return run(handoffs=[Agent(name="b", model=MODEL)])

    @case(f"{api}, ModelSettings(top_p, parallel_tool_calls)")
    def _() -> Any:
        settings = ModelSettings(top_p=0.9, parallel_tool_calls=False, max_tokens=200)
        return run(model_settings=settings, tools=[function_tool(get_weather)])


@case("responses, session")
def _() -> Any:
    session, agent = SQLiteSession("x"), Agent(name="a", model=MODEL)
    loop.run_until_complete(Runner.run(agent, "Hello", session=session))
    return loop.run_until_complete(Runner.run(agent, "Again", session=session)).final_output

"""A CrewAI language model over the gateway. Importing it takes seconds and 240 MB: only a crew's own module may.

A failure of the gateway leaves the crew as a BaseException: CrewAI retries an Exception in three places, and each of
them would multiply the retries that the gateway has already made. `run_crew` turns it back.

CrewAI keeps the tasks and outputs of every crew in an SQLite file, for its command ``crewai replay``; `JobCrew` keeps
nothing. Anything CrewAI may still write goes to a folder of this process (`core.kit.scratch`).
"""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pipelines._kit.crewai_home  # noqa: F401

# isort: split
from crewai import Agent, Crew, Task
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.llm_events import LLMCallType
from crewai.events.types.tool_usage_events import ToolUsageFinishedEvent
from crewai.llms.base_llm import BaseLLM, llm_call_context
from crewai.tools.base_tool import BaseTool
from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler
from crewai_core.lock_store import set_lock_backend
from opentelemetry import trace
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from core.capability import JobInterrupted
from core.gateway.models import ChatRequest, Message, Part, Role, Text, ToolCall, ToolResult
from core.kit import semconv
from core.kit.errors import CapabilityFailure
from core.kit.json_values import loads_foreign
from core.kit.semconv import Operation
from core.kit.telemetry import record_span, span
from pipelines._kit.job_models import JobModels
from pipelines._kit.tool_format import read_content, read_tool_choice, read_tools

_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


@contextmanager
def _lock(name: str, *, timeout: float = 120.0) -> Iterator[None]:
    if not _locks[name].acquire(timeout=timeout):
        raise TimeoutError(f"another thread has held {name} for {timeout:.0f} s")
    try:
        yield
    finally:
        _locks[name].release()


# CrewAI would lock resources it shares with other processes in our Redis, outside our prefix, or by files in the shared
# temp folder. Nothing is shared here.
set_lock_backend(_lock)


class _KeepsNothing(TaskOutputStorageHandler):
    """Replaces the store of a crew's outputs for a replay. The job is the durable part: a new attempt starts over."""

    def __init__(self) -> None:
        pass

    def update(self, task_index: int, log: dict[str, Any]) -> None:
        """Discard an output."""

    def add(self, *_: Any, **__: Any) -> None:
        """Discard an output."""

    def reset(self) -> None:
        """Nothing is stored."""

    def load(self) -> list[dict[str, Any]] | None:
        """Nothing is stored."""
        return None


class JobCrew(Crew):
    """A crew that writes nothing to disk."""

    _task_output_handler: TaskOutputStorageHandler = PrivateAttr(default_factory=_KeepsNothing)


@crewai_event_bus.on(ToolUsageFinishedEvent)
def _write_tool_span(_: Any, event: ToolUsageFinishedEvent) -> None:
    """Write the span of a tool that an agent has used, below the agent's span, in whose context this runs."""
    record_span(
        f"{Operation.EXECUTE_TOOL} {event.tool_name}",
        parent=trace.get_current_span().get_span_context(),
        attributes={
            semconv.OPERATION: Operation.EXECUTE_TOOL.value,
            semconv.TOOL_NAME: event.tool_name,
            semconv.TOOL_TYPE: "function",
        },
        began=event.started_at,
        ended=event.finished_at,
        error=None if event.failure is None else "tool_failed",
    )


class JobAgent(Agent):
    """An agent whose every task is a span, the parent of its model calls.

    CrewAI's events carry the same facts but come from other threads, where nothing can be nested below them.
    """

    def execute_task(self, task: Task, context: str | None = None, tools: list[BaseTool] | None = None) -> Any:
        """Carry out a task."""
        # As it was written: the values that a crew's inputs fill in belong to the job.
        role = self._original_role or self.role
        with span(
            f"{Operation.INVOKE_AGENT} {role}",
            attributes={
                semconv.OPERATION: Operation.INVOKE_AGENT.value,
                semconv.PROVIDER: semconv.OURS,
                semconv.AGENT_NAME: role,
            },
        ):
            return super().execute_task(task, context, tools)


class CallFailed(JobInterrupted):
    """Carries a failure of the gateway out of a crew, past everything that would retry it."""

    def __init__(self, failure: CapabilityFailure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class GatewayLLM(BaseLLM):
    """The model called `model` (an alias or a name) for one agent of one run.

    Create one per agent: CrewAI counts the tokens of a shared one twice. Its counts are only for its own reports; the
    gateway meters what is paid. `on_text` receives every piece of text, for example ``ctx.delta``.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, populate_by_name=True)

    models: JobModels = Field(exclude=True, repr=False)
    on_text: Callable[[str], None] | None = Field(default=None, exclude=True, repr=False)
    max_output_tokens: int = 1024
    context_window: int = 128_000
    calls_tools: bool = True
    cleaned: bool = True
    provider: str = "waybill"

    def call(  # noqa: PLR0917 - the base class's signature
        self,
        messages: Any,
        tools: list[dict[str, Any]] | None = None,
        callbacks: list[Any] | None = None,  # noqa: ARG002 - the same
        available_functions: dict[str, Any] | None = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: type[BaseModel] | None = None,
    ) -> Any:
        """Answer with text, with an object of `response_model`, or with the tool calls that the model requested.

        Raises `CallFailed` for failures of the gateway, and passes on exceptions that end the job.
        """
        request = self._request(messages, tools, response_model)
        with llm_call_context():
            self._emit_call_started_event(messages=messages, tools=tools, from_task=from_task, from_agent=from_agent)
            try:
                text, calls = self._ask(request)
            except CapabilityFailure as failure:
                self._emit_call_failed_event(error=str(failure), from_task=from_task, from_agent=from_agent)
                raise CallFailed(failure) from None
            except BaseException as interruption:
                self._emit_call_failed_event(
                    error=type(interruption).__name__, from_task=from_task, from_agent=from_agent
                )
                raise
            self._emit_call_completed_event(
                response=text or [call["function"]["name"] for call in calls],
                call_type=LLMCallType.TOOL_CALL if calls else LLMCallType.LLM_CALL,
                from_task=from_task,
                from_agent=from_agent,
            )
        if calls and available_functions:
            return self._run_tool(calls[0], available_functions, from_task, from_agent)
        if calls:
            return calls
        return response_model.model_validate_json(text) if response_model is not None else self._apply_stop_words(text)

    def supports_function_calling(self) -> bool:
        """Whether the model calls tools itself; otherwise CrewAI makes it write its calls as text."""
        return self.calls_tools

    def supports_stop_words(self) -> bool:
        """Stop sequences are passed on."""
        return True

    def get_context_window_size(self) -> int:
        """How many tokens CrewAI may fill before it summarizes."""
        return self.context_window

    def _ask(self, request: ChatRequest) -> tuple[str, list[dict[str, Any]]]:
        texts: list[str] = []
        calls: list[ToolCall] = []
        with self.models.chat(self.model, request) as stream:
            for chunk in stream:
                texts.append(chunk.text)
                calls.extend(chunk.tool_calls)
                if chunk.text and self.on_text is not None:
                    self.on_text(chunk.text)
        usage = stream.usage
        self._track_token_usage_internal(
            {
                "prompt_tokens": usage.input_tokens,
                "completion_tokens": usage.output_tokens,
                "total_tokens": usage.input_tokens + usage.output_tokens,
                "cached_prompt_tokens": usage.cached_input_tokens,
            }
        )
        return "".join(texts), [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]

    def _run_tool(self, call: Mapping[str, Any], functions: dict[str, Any], from_task: Any, from_agent: Any) -> Any:
        function = call["function"]
        return self._handle_tool_execution(
            function_name=function["name"],
            function_args=loads_foreign(function["arguments"] or "{}"),
            available_functions=functions,
            from_task=from_task,
            from_agent=from_agent,
        )

    def _request(
        self, messages: Any, tools: Sequence[Mapping[str, Any]] | None, response_model: type[BaseModel] | None
    ) -> ChatRequest:
        given = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        system = [part.text for entry in given if entry["role"] == "system" for part in _texts(entry)]
        schema = response_model.model_json_schema() if response_model is not None else None
        return ChatRequest(
            system="\n\n".join(system),
            messages=tuple(_read_message(entry) for entry in given if entry["role"] != "system"),
            tools=read_tools(tools or ()),
            tool_choice=read_tool_choice(None),
            output_schema=schema,
            output_name=response_model.__name__ if response_model is not None else "answer",
            stop=tuple(self.stop_sequences),
            max_output_tokens=int(self.max_tokens or self.max_output_tokens),
            temperature=self.temperature or 0.0,
            cleaned=self.cleaned,
        )


def run_crew(crew: JobCrew, inputs: Mapping[str, Any] | None = None) -> Any:
    """Run ``crew.kickoff(inputs)``.

    Raises the gateway's failures unchanged (`CapabilityFailure`), and `TypeError` for a crew that stores its outputs.
    """
    if not isinstance(crew, JobCrew):
        raise TypeError("make this crew with pipelines._kit.crewai_model.JobCrew: crewai.Crew writes payloads to disk")
    try:
        with span(
            f"{Operation.INVOKE_WORKFLOW} {crew.name}",
            attributes={
                semconv.OPERATION: Operation.INVOKE_WORKFLOW.value,
                semconv.WORKFLOW_NAME: crew.name or "crew",
            },
        ):
            return crew.kickoff(inputs=dict(inputs or {}))
    except CallFailed as failed:
        failure = failed.failure
    raise failure


def _texts(entry: Mapping[str, Any]) -> list[Text]:
    return [part for part in read_content(entry.get("content")) if isinstance(part, Text)]


def _read_message(entry: Mapping[str, Any]) -> Message:
    if entry["role"] == "tool":
        text = "".join(part.text for part in _texts(entry))
        return Message(Role.TOOL, (ToolResult(str(entry.get("tool_call_id", "")), text),))
    parts: tuple[Part, ...] = read_content(entry.get("content"))
    if entry["role"] == "assistant":
        calls = [
            ToolCall(str(call.get("id", "")), call["function"]["name"], _arguments(call["function"].get("arguments")))
            for call in entry.get("tool_calls") or ()
        ]
        return Message(Role.ASSISTANT, (*parts, *calls))
    return Message(Role.USER, parts)


def _arguments(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value or {})

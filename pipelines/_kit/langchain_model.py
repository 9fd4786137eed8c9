"""A LangChain chat model over the gateway, so that every framework built on LangChain uses the gateway."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel, generate_from_stream
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from pydantic import BaseModel, ConfigDict, Field

from core.gateway.models import ChatRequest, ChatStream, Chunk, Message, Part, Role, Text, ToolCall, ToolResult, Usage
from pipelines._kit.job_models import JobModels
from pipelines._kit.tool_format import read_content, read_tool_choice, read_tools

OnText = Callable[[str], None]


class GatewayChatModel(BaseChatModel):
    """The model called `model` (an alias or a name) for one run of one job.

    Streams, with usage on the last chunk; binds tools; structured output by the provider's own JSON Schema mode.
    `on_text` receives every piece of text, for example ``ctx.delta``. It has no asynchronous path: LangChain runs the
    synchronous one in a thread.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    models: JobModels = Field(exclude=True, repr=False)
    model: str
    max_output_tokens: int = 1024
    temperature: float = 0.0
    cleaned: bool = True
    on_text: OnText | None = Field(default=None, exclude=True, repr=False)

    @property
    def _llm_type(self) -> str:
        return "waybill-gateway"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"model": self.model, "temperature": self.temperature, "max_output_tokens": self.max_output_tokens}

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools that it may call. `tool_choice`: ``auto``, ``none``, ``any`` or a tool's name."""
        # Values that LangChain adds for its own tracing are no arguments of a call.
        kept = {name: value for name, value in kwargs.items() if name in {"stop", "max_output_tokens", "temperature"}}
        return self.bind(
            tools=[convert_to_openai_tool(tool) for tool in tools],
            tool_choice=read_tool_choice(tool_choice),
            **kept,
        )

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: str = "json_schema",
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """The model with answers that obey `schema`: a pydantic class, or a JSON Schema with a title.

        `method` is ``json_schema``, or ``function_calling`` for models that know tools but no schemas.
        """
        if method == "function_calling":
            return super().with_structured_output(schema, include_raw=include_raw, **kwargs)
        body = convert_to_json_schema(schema)
        llm: Any = self.bind(output_schema=body, output_name=body.get("title", "answer"))
        parser: Any = (
            PydanticOutputParser(pydantic_object=schema)
            if isinstance(schema, type) and issubclass(schema, BaseModel)
            else JsonOutputParser()
        )
        if not include_raw:
            structured: Runnable[LanguageModelInput, dict[str, Any] | BaseModel] = llm | parser
            return structured
        parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
        nothing = RunnablePassthrough.assign(parsed=lambda _: None)
        return RunnableMap(raw=llm) | parsed.with_fallbacks([nothing], exception_key="parsing_error")

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - BaseChatModel tells its callbacks itself
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with self.models.chat(self.model, self._request(messages, stop, kwargs)) as stream:
            for chunk in stream:
                if chunk.text and self.on_text is not None:
                    self.on_text(chunk.text)
                yield ChatGenerationChunk(message=_message_of(chunk))
            yield ChatGenerationChunk(message=_last_message(stream, self.model))

    def _request(self, messages: list[BaseMessage], stop: list[str] | None, more: Mapping[str, Any]) -> ChatRequest:
        leading = [message for message in messages if isinstance(message, SystemMessage)]
        return ChatRequest(
            system="\n\n".join(str(message.text) for message in leading),
            messages=tuple(_read_message(message) for message in messages if not isinstance(message, SystemMessage)),
            tools=read_tools(more.get("tools") or ()),
            tool_choice=read_tool_choice(more.get("tool_choice")),
            output_schema=more.get("output_schema"),
            output_name=more.get("output_name", "answer"),
            stop=tuple(stop or ()),
            max_output_tokens=more.get("max_output_tokens", self.max_output_tokens),
            temperature=more.get("temperature", self.temperature),
            cleaned=self.cleaned,
        )


def _read_message(message: BaseMessage) -> Message:
    if isinstance(message, ToolMessage):
        text = "".join(part.text for part in read_content(message.content) if isinstance(part, Text))
        return Message(Role.TOOL, (ToolResult(message.tool_call_id, text, is_error=message.status == "error"),))
    parts: tuple[Part, ...] = read_content(message.content)
    if isinstance(message, AIMessage):
        calls = (ToolCall(call["id"] or "", call["name"], json.dumps(call["args"])) for call in message.tool_calls)
        return Message(Role.ASSISTANT, (*parts, *calls))
    return Message(Role.USER, parts)


def _message_of(chunk: Chunk) -> AIMessageChunk:
    return AIMessageChunk(
        content=chunk.text,
        tool_call_chunks=[
            tool_call_chunk(name=call.name, args=call.arguments or "{}", id=call.id, index=number)
            for number, call in enumerate(chunk.tool_calls)
        ],
    )


def _last_message(stream: ChatStream, model: str) -> AIMessageChunk:
    return AIMessageChunk(
        content="",
        usage_metadata=_usage_metadata(stream.usage),
        response_metadata={
            "model_name": stream.model_reported or model,
            "finish_reason": stream.finish.value if stream.finish else None,
            "request_id": stream.request_id,
        },
        chunk_position="last",
    )


def _usage_metadata(usage: Usage) -> UsageMetadata:
    return UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
        input_token_details=InputTokenDetails(
            cache_read=usage.cached_input_tokens, cache_creation=usage.cache_write_tokens
        ),
        output_token_details=OutputTokenDetails(reasoning=usage.reasoning_tokens),
    )

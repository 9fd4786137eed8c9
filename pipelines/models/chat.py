"""`models.chat`: one call of one model."""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol

from core.capability import JobContext
from core.gateway.models import (
    Break,
    ChatRequest,
    Finish,
    Image,
    Message,
    Part,
    Passage,
    Question,
    Readable,
    Role,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Usage,
)
from core.gateway.routed import RoutedStream
from core.guard.records import Source
from core.kit.errors import CapabilityFailure
from core.registry.records import ResolvedModel
from pipelines._kit.resources import get_gateway
from pipelines.models.schemas import (
    OUTPUT_TOKENS_DEFAULT,
    ChatAnswer,
    ChatInput,
    ChatMessage,
    ChatOutput,
    ChatToolCall,
    ChatUsage,
    ImagePart,
    TextPart,
)

_BETWEEN = "\n\n"
_ANY_OBJECT: Mapping[str, Any] = {"type": "object"}


class Models(Protocol):
    """The part of a job's models that is used here."""

    def chat(self, name: str, request: ChatRequest) -> AbstractContextManager[RoutedStream]:
        """Start an answer."""


class Gateway(Protocol):
    """The part of `core.gateway.service.Gateway` that is used here."""

    def for_job(self, ctx: JobContext) -> Models:
        """The models, for one attempt of one job."""


class Chat:
    """Runs a conversation's next turn. Safe in several threads."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def run(self, ctx: JobContext, payload: ChatInput) -> ChatOutput:
        """Ask, and pass on every piece of the answer. Raises the failures of `core.gateway.calls.JobModels.chat`."""
        models, request = self._gateway.for_job(ctx), request_of(payload)
        first, model, used, left_out = _answer(models.chat(payload.model, request), ctx.delta)
        others: list[ChatAnswer] = []
        for sample in range(1, payload.n):
            again = models.chat(payload.model, replace(request, sample=sample))
            other, _, more, missing = _answer(again, lambda _: None)
            others.append(other)
            left_out |= missing
            used = _sum(used, more)
        return ChatOutput(
            **first.model_dump(),
            others=others,
            model=model.model,
            version=model.version,
            usage=_usage(used),
            left_out=sorted(left_out & _said(payload)),
        )


def _said(asked: ChatInput) -> frozenset[str]:
    """The input's fields besides the conversation, by their names in OpenAI's interface."""
    return frozenset(asked.options.model_dump(exclude_none=True)) | {
        name
        for name, is_said in (
            ("temperature", asked.temperature is not None),
            ("max_tokens", asked.max_output_tokens is not None),
            ("strict", asked.output_strict is not None or any(tool.strict is not None for tool in asked.tools)),
        )
        if is_said
    }


def _answer(
    asked: AbstractContextManager[RoutedStream], hand_on: Callable[[str], None]
) -> tuple[ChatAnswer, ResolvedModel, Usage, frozenset[str]]:
    """One answer, its model, its usage, and the parameters that were left out for that model.

    Every piece of the text is passed on as it arrives.
    """
    pieces: list[str] = []
    calls: list[ToolCall] = []
    with asked as stream:
        for chunk in stream:
            if chunk.text:
                pieces.append(chunk.text)
                hand_on(chunk.text)
            calls.extend(chunk.tool_calls)
        finish = stream.finish or Finish.STOP
        answer = ChatAnswer(
            text="".join(pieces),
            tool_calls=[ChatToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in calls],
            finish="tool_calls" if calls and finish is Finish.STOP else finish.value,
            logprobs=stream.logprobs,
        )
        return answer, stream.model, stream.usage, stream.left_out


def request_of(asked: ChatInput) -> ChatRequest:
    """The input as a gateway request. Raises `CapabilityFailure` for an invalid picture."""
    last = max((at for at, message in enumerate(asked.messages) if message.role == "user"), default=-1)
    return ChatRequest(
        messages=tuple(_message(message, at, is_last=at == last) for at, message in enumerate(asked.messages)),
        tools=tuple(ToolSpec(tool.name, tool.description, tool.parameters, tool.strict) for tool in asked.tools),
        tool_choice=asked.tool_choice,
        output_schema=_ANY_OBJECT if asked.json_object else asked.output_schema,
        json_object=asked.json_object,
        output_name=asked.output_name,
        output_description=asked.output_description,
        output_strict=asked.output_strict,
        stop=tuple(asked.stop),
        max_output_tokens=asked.max_output_tokens or OUTPUT_TOKENS_DEFAULT,
        has_own_limit=asked.max_output_tokens is not None,
        temperature=asked.temperature,
        options=asked.options.model_dump(exclude_none=True),
        render=render,
    )


def render(parts: Sequence[Readable]) -> str:
    """A user's text as it was written: nothing is numbered and nothing added."""
    return "".join(part.text for part in parts)


def _message(message: ChatMessage, at: int, *, is_last: bool) -> Message:
    if message.role == "tool":
        return Message(Role.TOOL, (ToolResult(message.tool_call_id or "", _plain(message)),))
    if message.role == "assistant":
        text = _plain(message)
        calls = (ToolCall(call.id, call.name, call.arguments) for call in message.tool_calls)
        return Message(Role.ASSISTANT, (*((Text(text),) if text else ()), *calls), message.name)
    if message.role == "system":
        return Message(Role.SYSTEM, (Text(_plain(message)),), message.name)
    return Message(Role.USER, tuple(_parts(message, at, is_last=is_last)), message.name)


def _parts(message: ChatMessage, at: int, *, is_last: bool) -> Iterator[Part]:
    """A user's content in its order.

    A model that only quotes (``local/extractive``) answers the very last paragraph from the text before it.
    """
    content = [TextPart(text=message.content)] if isinstance(message.content, str) else message.content
    texts = [number for number, part in enumerate(content) if isinstance(part, TextPart)]
    for number, part in enumerate(content):
        if isinstance(part, ImagePart):
            yield Image(part.media_type, _bytes(part), part.detail)
            continue
        asks = is_last and number == texts[-1]
        before, gap, question = part.text.rpartition(_BETWEEN) if asks else (part.text, "", "")
        if before or gap:
            yield Passage(f"message-{at}-{number}", before + gap, document="conversation", source=Source.INPUT)
        if question:
            yield Question(question)
        yield Break()


def _plain(message: ChatMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    return _BETWEEN.join(part.text for part in message.content if not isinstance(part, ImagePart))


def _bytes(part: ImagePart) -> bytes:
    try:
        return base64.b64decode(part.data, validate=True)
    except binascii.Error:
        raise CapabilityFailure("a picture is not valid base64", code="image_malformed") from None


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.model,
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cached_input_tokens + other.cached_input_tokens,
        one.cache_write_tokens + other.cache_write_tokens,
        one.reasoning_tokens + other.reasoning_tokens,
        one.estimated or other.estimated,
    )


def _usage(used: Usage) -> ChatUsage:
    return ChatUsage(
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cached_input_tokens=used.cached_input_tokens,
        cache_write_tokens=used.cache_write_tokens,
        reasoning_tokens=used.reasoning_tokens,
        estimated=used.estimated,
    )


def build() -> Chat:
    """The entry point named by the manifest."""
    return Chat(get_gateway())

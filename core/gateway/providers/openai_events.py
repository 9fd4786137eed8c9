"""Reads the events of an answer on OpenAI's wire, which every server speaks a little differently.

What is not understood is skipped; the text that came is kept. Only an answer without a known end is an error.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from core.gateway.models import Chunk, Finish, ToolCall
from core.gateway.providers import failures
from core.gateway.providers.reported import read_usage
from core.gateway.streams import Meter
from core.kit.errors import Unstorable
from core.kit.json_values import clean

_STOPS = frozenset(
    {"stop", "tool_calls", "tool_use", "function_call", "eos", "eos_token", "end_turn", "stop_sequence", "complete"}
)
_LENGTHS = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "max_length"})
_FILTERS = frozenset(
    {
        "content_filter",
        "content_filtered",
        "safety",
        "image_safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "language",
        "sensitive",
        "refusal",
        "guardrail_intervened",
    }
)
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")


def finish_of(reason: object) -> Finish | None:
    """Why the model ended, by the words of many servers; None for a word that says failure, or that is unknown."""
    word = reason.lower() if isinstance(reason, str) else ""
    if word in _STOPS:
        return Finish.STOP
    if word in _LENGTHS:
        return Finish.LENGTH
    return Finish.FILTERED if word in _FILTERS else None


@dataclass
class _Call:
    """A tool call whose fragments are still coming."""

    id: str = ""
    name: str = ""
    arguments: str = ""


class Reader:
    """Reads the events of one answer, as the JSON that came: a field may hold anything or be absent."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._is_failed = False

    def read(self, event: Any) -> Chunk | None:
        """The text of one event, if it holds any; usage, end, reasoning and names go to the meter."""
        if not isinstance(event, dict):
            return None
        model = event.get("model")
        if isinstance(model, str) and model:
            self._meter.model_reported = model
        choices = event.get("choices")
        choice = next(_choices(choices), {})
        own = event.get("x_groq")
        for usage in (event.get("usage"), own.get("usage") if isinstance(own, dict) else None, choice.get("usage")):
            read_usage(usage, self._meter)
        return self._read_choice(choice) if choice else None

    def end(self) -> Chunk | None:
        """The tool calls, now that they are whole. Raises `GatewayError` for an answer that did not end well."""
        if self._is_failed:
            raise failures.failed_midway()
        if self._meter.finish is None:
            raise failures.cut_short()
        if not self._calls:
            return None
        if not all(call.name for call in self._calls):
            raise failures.not_the_protocol("a tool call without a name")
        return Chunk(
            "",
            tool_calls=tuple(
                ToolCall(call.id or f"call_{number}", call.name, call.arguments)
                for number, call in enumerate(self._calls, start=1)
            ),
        )

    def _read_choice(self, choice: dict[str, Any]) -> Chunk | None:
        reason = choice.get("finish_reason")
        if reason:
            self._meter.finish = finish_of(reason)
            self._is_failed = self._meter.finish is None
        self._read_logprobs(choice.get("logprobs"))
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._collect(delta.get("tool_calls"), delta.get("function_call"))
        elif isinstance(delta := choice.get("message"), dict):
            calls = delta.get("tool_calls")
            entries = enumerate(calls if isinstance(calls, list) else ())
            whole = [{"index": at, **call} for at, call in entries if isinstance(call, dict)]
            self._collect(whole, delta.get("function_call"))
        else:
            return None
        thought = next((text for name in _REASONING_FIELDS if (text := "".join(_texts(delta.get(name))))), "")
        thought += "".join(_thoughts(delta.get("content")))
        if thought:
            self._meter.think(thought)
        text = "".join((*_texts(delta.get("content")), *_texts(delta.get("refusal"))))
        if not text:
            return None
        self._meter.say(text)
        return Chunk(text)

    def _read_logprobs(self, logprobs: object) -> None:
        content = logprobs.get("content") if isinstance(logprobs, dict) else None
        for entry in content if isinstance(content, list) else ():
            if isinstance(entry, dict):
                with suppress(Unstorable):
                    self._meter.logprobs.append(clean(entry))

    def _collect(self, fragments: object, old_call: object) -> None:
        entries = list(fragments) if isinstance(fragments, list) else []
        if isinstance(old_call, dict):
            entries.append({"index": 0, "function": old_call})
        for fragment in entries:
            function = fragment.get("function") if isinstance(fragment, dict) else None
            if not isinstance(function, dict):
                continue
            call = self._call_of(fragment.get("index"), _word(fragment.get("id")), _word(function.get("name")))
            arguments = function.get("arguments")
            # Some servers send the object itself where the protocol has its text.
            piece = json.dumps(arguments) if isinstance(arguments, dict | list) else _word(arguments)
            call.arguments += piece
            if piece:
                self._meter.say(piece)

    def _call_of(self, index: object, given: str, name: str) -> _Call:
        """The call that a fragment belongs to: by its index, but another id is another call under any index."""
        if isinstance(index, int):
            call = self._by_index.get(index)
        else:
            call = next((call for call in self._calls if call.id == given), None) if given else self._last(name)
        if call is None or (given and call.id and given != call.id):
            call = next((call for call in self._calls if given and call.id == given), None) or _Call()
            if call not in self._calls:
                self._calls.append(call)
        if isinstance(index, int):
            self._by_index[index] = call
        call.id = call.id or given
        call.name = call.name or name
        return call

    def _last(self, name: str) -> _Call | None:
        """The call that a fragment without index and id continues; one that brings a name after arguments begins."""
        last = self._calls[-1] if self._calls else None
        return None if last is not None and name and last.name and last.arguments else last


def _choices(choices: object) -> Iterator[dict[str, Any]]:
    """The first answer's part of an event: one that is asked for, whatever else comes beside it."""
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("index") in {0, None}:
            yield choice


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _parts(content: object) -> Iterable[dict[str, Any]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else ()


def _texts(content: object) -> Iterator[str]:
    """The text of a content, which is a string, or parts of which some are text."""
    if isinstance(content, str):
        yield content
    for part in _parts(content):
        if part.get("type") in {"text", "output_text", None}:
            yield _word(part.get("text"))


def _thoughts(content: object) -> Iterator[str]:
    for part in _parts(content):
        if part.get("type") in {"thinking", "reasoning"}:
            for name in ("thinking", "reasoning", "text"):
                yield from _texts(part.get(name))

"""Reads the events of an answer in OpenAI's wire format, which every server speaks slightly differently.

Unknown content is skipped; text that arrived is kept. Only an answer without a known end is an error.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from core.gateway.models import Chunk, Finish
from core.gateway.providers import failures
from core.gateway.providers.error_bodies import is_error, read_error
from core.gateway.providers.reported import read_usage
from core.gateway.providers.tool_fragments import ToolCalls, word
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
    """Why the model ended, in the words of many servers; None for a word that means failure or is unknown."""
    word = reason.lower() if isinstance(reason, str) else ""
    if word in _STOPS:
        return Finish.STOP
    if word in _LENGTHS:
        return Finish.LENGTH
    return Finish.FILTERED if word in _FILTERS else None


class Reader:
    """Reads the events of one answer from the raw JSON: a field may hold anything or be absent."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._calls = ToolCalls()
        self._is_failed = False

    def read(self, event: Any) -> Chunk | None:
        """The text of one event, if it holds any. Usage, end, reasoning and names go to the meter.

        Raises `GatewayError` for an event that reports an error.
        """
        if is_error(event):
            raise failures.of_event(read_error(event), has_begun=self._meter.has_begun)
        if not isinstance(event, dict):
            return None
        model = event.get("model")
        if isinstance(model, str) and model:
            self._meter.model_reported = model
        choices = event.get("choices")
        choice = next(_choices(choices), {})
        if choice.get("error"):
            raise failures.of_event(read_error(choice["error"]), has_begun=self._meter.has_begun)
        own = event.get("x_groq")
        places = (event, choice, own if isinstance(own, dict) else {})
        for usage in (place.get(name) for place in places for name in ("usage", "usageMetadata", "usage_metadata")):
            read_usage(usage, self._meter)
        return self._read_choice(choice) if choice else None

    def end(self) -> Chunk | None:
        """The tool calls, now complete. Raises `GatewayError` for an answer that did not end properly."""
        if self._is_failed:
            raise failures.failed_midway()
        if self._meter.finish is None:
            raise failures.cut_short()
        calls = self._calls.whole()
        return Chunk("", tool_calls=calls) if calls else None

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
            piece = self._calls.add(fragment)
            if piece:
                self._meter.say(piece)


def _choices(choices: object) -> Iterator[dict[str, Any]]:
    """The first answer's part of an event: only one is requested, whatever else the server sends."""
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("index") in (0, None):
            yield choice


def _parts(content: object) -> Iterable[dict[str, Any]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else ()


def _texts(content: object) -> Iterator[str]:
    """The texts of a content, which is a string or a list of parts, some of them text."""
    if isinstance(content, str):
        yield content
    for part in _parts(content):
        if part.get("type") in ("text", "output_text", None):
            yield word(part.get("text"))


def _thoughts(content: object) -> Iterator[str]:
    for part in _parts(content):
        if part.get("type") in ("thinking", "reasoning"):
            for name in ("thinking", "reasoning", "text"):
                yield from _texts(part.get(name))

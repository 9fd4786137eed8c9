"""What a networked model reads: tokens in place of values; and its answer, with the values restored.

An embedded model crosses no border: it reads the text unchanged, unless the policy blocks it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from core.gateway.models import (
    ChatRequest,
    Chunk,
    Citation,
    Message,
    Part,
    Passage,
    Question,
    Role,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from core.gateway.routing import LOCAL
from core.guard.guard import JobGuard
from core.guard.holdback import Restorer
from core.guard.records import Direction, RedactionMode, Source
from core.guard.rewriting import Rewritten
from core.guard.tokens import Token
from core.guard.values import map_texts
from core.kit.json_values import dumps, loads
from core.registry.records import ResolvedModel

Change = Callable[[Source, str], str]
# Keywords of JSON Schema and of providers, which hold no personal text.
_GRAMMAR = frozenset({"type", "$ref", "$id", "$schema", "format", "pattern", "required"})
_OF_ROLE = {Role.ASSISTANT: Source.MODEL_OUTPUT, Role.TOOL: Source.TOOL_OUTPUT}


class RequestGuard:
    """The guard between a job and its models, for one attempt. Without a `guard` everything passes unchanged."""

    def __init__(self, guard: JobGuard | None) -> None:
        self._guard = guard

    def chat(self, model: ResolvedModel, request: ChatRequest) -> "Guarded":
        """The request as `model` may read it. Raises the errors of `core.guard.guard.JobGuard`."""
        if self._guard is None:
            return Guarded(request)
        texts: dict[tuple[Source, str], None] = {}

        def read(source: Source, text: str) -> str:
            texts[source, text] = None
            return text

        _changed(request, read)
        is_local = model.provider == LOCAL
        compares = (Source.INPUT,) if is_local else tuple(Source)
        redacted = self._guard.redact(list(texts), Direction.TO_MODEL, blocks_only=is_local, compares=compares)
        new = {pair: text for pair, text in zip(texts, redacted.texts, strict=True) if text.edits}
        if not new:
            return Guarded(request)
        changed = _changed(request, lambda source, text: new[source, text].text if (source, text) in new else text)
        passages = {each.id: (each.text, new.get((each.source, each.text))) for each in request.passages}
        return Guarded(changed, self._guard.values_of(redacted), passages)

    def texts(self, model: ResolvedModel, texts: Sequence[str]) -> list[str]:
        """Texts that `model` is to embed, from documents or queries. Raises the errors of `JobGuard`.

        Values are replaced by their kinds: the numbered tokens of one job tree mean nothing to the vectors of another.
        """
        if self._guard is None:
            return list(texts)
        safe = list(texts)
        is_local = model.provider == LOCAL
        for source in (Source.DOCUMENT, Source.INPUT):
            redacted = self._guard.redact(
                [(source, text) for text in safe],
                Direction.TO_MODEL,
                mode=RedactionMode.MASK,
                blocks_only=is_local,
                # Screened once, unchanged; texts for a model in this process may come from documents.
                compares=() if is_local or source is Source.INPUT else (source,),
            )
            safe = [each.text for each in redacted.texts]
        return safe

    def masked(self, texts: Sequence[str]) -> list[str]:
        """Texts as someone outside the job may see them. Raises the errors of `JobGuard`."""
        return list(texts) if self._guard is None else self._guard.masked(texts)


class Guarded:
    """A request as the model reads it, and the restoring of its answer. Use one per answer."""

    def __init__(
        self,
        request: ChatRequest,
        values: dict[Token, str] | None = None,
        passages: dict[str, tuple[str, Rewritten | None]] | None = None,
    ) -> None:
        self.request = request
        self._values = values or {}
        self._passages = passages or {}
        is_json = request.output_schema is not None or "response_format" in request.options
        self._text = Restorer(self._json_value if is_json else self._values.get)

    @property
    def has_pseudonyms(self) -> bool:
        """Whether the model read pseudonyms, and so may have written some."""
        return bool(self._values)

    def restored(self, chunk: Chunk) -> Iterator[Chunk]:
        """The chunk with tokens replaced by values. A possible partial token waits for a later chunk, or `rest`."""
        if not self._values and not self._passages:
            yield chunk
            return
        calls = tuple(self._restored_call(call) for call in chunk.tool_calls)
        text = self._text.end() + self._quoted(chunk) if chunk.citations else self._text.feed(chunk.text)
        if text or calls or not chunk.text:
            yield Chunk(text, tuple(map(self._original, chunk.citations)), calls)

    def rest(self) -> Iterator[Chunk]:
        """The text still held at the end of the answer."""
        if held := self._text.end():
            yield Chunk(held)

    def _json_value(self, token: Token) -> str | None:
        value = self._values.get(token)
        return None if value is None else json.dumps(value, ensure_ascii=False)[1:-1]

    def _once(self, text: str, value: Callable[[Token], str | None] | None = None) -> str:
        restorer = Restorer(value or self._values.get)
        return restorer.feed(text) + restorer.end()

    def _restored_call(self, call: ToolCall) -> ToolCall:
        try:
            given = loads(call.arguments)
            restored = map_texts(given, self._once)
        except (ValueError, RecursionError):
            # Invalid JSON, such as a truncated object, is restored as if it were valid.
            return replace(call, arguments=self._once(call.arguments, self._json_value))
        return call if restored == given else replace(call, arguments=dumps(restored).decode())

    def _quoted(self, chunk: Chunk) -> str:
        """A chunk's text with the passages' own words for its quotes, and values for the tokens of the rest."""
        parts: list[str] = []
        at = 0
        for cited in chunk.citations:
            old, new = self._passages.get(cited.passage_id, ("", None))
            quote = "" if new is None else new.text[cited.start : cited.end]
            begins = chunk.text.find(quote, at) if quote else -1
            if new is not None and begins >= 0:
                start, end = new.original(cited.start, cited.end)
                parts += (self._once(chunk.text[at:begins]), old[start:end])
                at = begins + len(quote)
        return "".join((*parts, self._once(chunk.text[at:])))

    def _original(self, cited: Citation) -> Citation:
        _, new = self._passages.get(cited.passage_id, ("", None))
        if new is None:
            return cited
        start, end = new.original(cited.start, cited.end)
        return replace(cited, start=start, end=end)


def _changed(request: ChatRequest, change: Change) -> ChatRequest:
    """The request with `change` applied to everything that a model reads and a person may have written."""

    def value(whole: Any, source: Source = Source.INPUT) -> Any:
        return map_texts(whole, lambda text: change(source, text), but=_GRAMMAR)

    return replace(
        request,
        system=change(Source.INPUT, request.system),
        messages=tuple(_changed_message(message, change) for message in request.messages),
        tools=tuple(_changed_tool(tool, change, value) for tool in request.tools),
        output_schema=None if request.output_schema is None else value(dict(request.output_schema)),
        output_description=request.output_description and change(Source.INPUT, request.output_description),
        stop=tuple(change(Source.INPUT, each) for each in request.stop),
        options=value(dict(request.options)),
    )


def _changed_tool(tool: ToolSpec, change: Change, value: Callable[[Any], Any]) -> ToolSpec:
    return replace(tool, description=change(Source.INPUT, tool.description), parameters=value(dict(tool.parameters)))


def _changed_message(message: Message, change: Change) -> Message:
    source = _OF_ROLE.get(message.role, Source.INPUT)
    # Providers allow letters, digits and underscores in a speaker's name.
    name = message.name and change(Source.INPUT, message.name).strip("<>")
    return Message(message.role, tuple(_changed_part(part, source, change) for part in message.parts), name)


def _changed_part(part: Part, source: Source, change: Change) -> Part:
    match part:
        case Passage():
            document, section = change(part.source, part.document), change(part.source, part.section)
            return replace(part, text=change(part.source, part.text), document=document, section=section)
        case Text() | Question():
            return replace(part, text=change(source, part.text))
        case ToolResult():
            return replace(part, text=_changed_json(part.text, Source.TOOL_OUTPUT, change))
        case ToolCall():
            return replace(part, arguments=_changed_json(part.arguments, source, change))
        case _:
            return part


def _changed_json(text: str, source: Source, change: Change) -> str:
    """`change` applied to the text, or to the strings in it if it is JSON: an escaped value would not be found."""
    if text.lstrip()[:1] not in {"{", "["}:
        return change(source, text)
    try:
        given = loads(text)
        changed = map_texts(given, lambda each: change(source, each))
    except (ValueError, RecursionError):
        return change(source, text)
    return text if changed == given else dumps(changed).decode()

"""The one place that marks text from outside for a model, and that checks what the model then writes.

Every request to a model passes through here on its way to the provider, whichever framework made it.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from core.capability import JobContext
from core.gateway.models import (
    ChatRequest,
    Chunk,
    Message,
    Part,
    Passage,
    Question,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from core.guard.links import AllowedLinks, LinkStripper, strip_links_of
from core.guard.policy import CombinedPolicy, GuardPolicy
from core.guard.provenance import Marks, data_of, neutralize, plain, said_of
from core.guard.records import Action, Source
from core.guard.taint import TaintTracker
from core.kit.json_values import loads_foreign
from core.kit.metrics import GUARD_FINDINGS

PolicyOf = Callable[[JobContext], CombinedPolicy]
FINDING = "guard.finding"
_STANDARD = CombinedPolicy((GuardPolicy(),))
_WITHHELD = "(The call of {name} was withheld: a text from outside asks for it. Ask for it in your own words.)"
_READS = frozenset(
    {
        "calculate", "check", "compare", "count", "describe", "explain", "fetch", "find", "get", "grep", "has", "is",
        "list", "look", "lookup", "query", "read", "retrieve", "search", "show", "summarize", "view",
    }
)  # fmt: skip
_NAME_WORD = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]*|\d+")
_STEM_CHARACTERS = 5


def standard_policy(_ctx: JobContext) -> CombinedPolicy:
    """The default policy: marks, links, canaries and effects; tool calls are reported."""
    return _STANDARD


def report(ctx: JobContext, counts: Mapping[tuple[str, Action], int]) -> None:
    """Report findings in a model's answer as an event and in the metrics: kinds and counts, never a value."""
    for (kind, action), count in counts.items():
        GUARD_FINDINGS.labels(kind, action.value).inc(count)
        ctx.emit(FINDING, {"kind": kind, "action": action.value, "source": Source.MODEL_OUTPUT.value, "count": count})


@dataclass(frozen=True, slots=True)
class Heard:
    """The content of a request by author: texts from outside with their sources, and the caller's words."""

    data: tuple[tuple[Source, str], ...]
    said: tuple[str, ...]
    instructions: tuple[str, ...]

    @classmethod
    def of(cls, request: ChatRequest) -> "Heard":
        """Read a request."""
        data: list[tuple[Source, str]] = []
        said: list[str] = []
        instructions = [said_of(request.system)]
        data += [(Source.DOCUMENT, text) for text in data_of(request.system)]
        for message in request.messages:
            for part in message.parts:
                if isinstance(part, ToolResult):
                    data.append((Source.TOOL_OUTPUT, part.text))
                elif isinstance(part, Passage) and not part.source.is_trusted:
                    data.append((part.source, f"{part.document}\n{part.section}\n{part.text}"))
                elif isinstance(part, Text | Question | Passage):
                    data += [(Source.DOCUMENT, text) for text in data_of(part.text)]
                    if message.role is not Role.ASSISTANT:
                        (instructions if message.role is Role.SYSTEM else said).append(said_of(part.text))
        return cls(tuple(data), tuple(said), tuple(instructions))

    def links(self, policy: CombinedPolicy) -> AllowedLinks:
        """Hosts that the policy allows, and the addresses that the caller or the prompt wrote, exactly as written."""
        return AllowedLinks.of(policy.link_hosts, (*self.said, *self.instructions))


def as_read(request: ChatRequest, marks: Marks | None, canary: str | None) -> ChatRequest:
    """The request as a model reads it. Without `marks`, data appears in it with no indication of its source."""
    messages = tuple(
        replace(message, parts=tuple(_part(part, marks) for part in message.parts)) for message in request.messages
    )
    system = plain(request.system) if marks is None else marks.mark_spans(request.system)
    pieces = [canary or "", system, "" if marks is None else marks.sentence]
    if not request.system and marks is not None and messages and messages[0].role is Role.SYSTEM:
        # The caller's own system messages come first; some templates take only one.
        first = messages[0]
        messages = (Message(Role.SYSTEM, (*first.parts, Text(f"\n\n{marks.sentence}")), first.name), *messages[1:])
        pieces = []
    return replace(request, system="\n\n".join(piece for piece in pieces if piece), messages=messages)


def _part(part: Part, marks: Marks | None) -> Part:
    if isinstance(part, ToolResult):
        return part if marks is None else replace(part, text=marks.mark(part.text))
    if isinstance(part, Passage) and marks is not None and not part.source.is_trusted:
        document, section = (" ".join(neutralize(name).split()) for name in (part.document, part.section))
        return replace(part, text=marks.mark(part.text), document=document, section=section)
    if isinstance(part, Text | Question | Passage):
        return replace(part, text=plain(part.text) if marks is None else marks.mark_spans(part.text))
    return part


class Exchange:
    """One request to a model that follows instructions, and its answer. `has_read`: the job has read data before."""

    def __init__(self, request: ChatRequest, policy: CombinedPolicy, *, has_read: bool = False) -> None:
        wanted, heard = policy.untrusted, Heard.of(request)
        self.is_cut = False
        self.counts: Counter[tuple[str, Action]] = Counter()
        self.has_data = bool(heard.data)
        self._wanted = wanted
        self._heard = heard
        marks = Marks()
        self._canary = marks.canary if wanted.canary and request.system else None
        self._secrets = _Held(
            marks.written() if wanted.marks and heard.data else (), (self._canary,) if self._canary else ()
        )
        self.request = as_read(
            request, marks if wanted.marks and heard.data else None, marks.reference if self._canary else None
        )
        reads = self.has_data or has_read
        self.allowed = heard.links(policy) if wanted.links and reads else None
        self._links = LinkStripper(self.allowed) if self.allowed is not None and request.cleaned else None
        # A structured answer is judged as the client reads it, once complete: JSON can encode a letter in many ways.
        self._whole: list[str] | None = [] if self._links is not None and request.output_schema is not None else None

    def feed(self, chunk: Chunk) -> Chunk:
        """The chunk as it may be shown, possibly empty; held-back text comes with a later one."""
        calls = tuple(call for call in chunk.tool_calls if self._may_call(call))
        text = self._clean(chunk.text)
        withheld = [_WITHHELD.format(name=call.name[:64]) for call in chunk.tool_calls if call not in calls]
        if self.is_cut:
            return Chunk("")
        return Chunk("\n".join([text, *withheld]) if withheld else text, chunk.citations, calls)

    def close(self) -> Chunk:
        """The rest of the answer."""
        text = self._secrets.close()
        if self._whole is not None:
            text = self._clean_whole("".join([*self._whole, text]))
        elif self._links is not None:
            text = self._links.feed(text) + self._links.close()
        if self._links is not None and self._links.removed:
            self.counts["link", Action.REDACT] += self._links.removed
            self._links.removed = 0
        return Chunk(text)

    def _clean(self, text: str) -> str:
        shown = self._secrets.feed(text)
        if self._secrets.is_found:
            if not self.is_cut:
                self.counts["prompt_leak", Action.BLOCK] += 1
            self.is_cut = True
            return ""
        if self._whole is not None:
            self._whole.append(shown)
            return ""
        return shown if self._links is None else self._links.feed(shown)

    def _clean_whole(self, text: str) -> str:
        assert self._links is not None
        assert self.allowed is not None
        try:
            value, removed = strip_links_of(loads_foreign(text), self.allowed)
        except ValueError:
            return self._links.feed(text) + self._links.close()
        self._links.removed += removed
        return text if not removed else json.dumps(value, ensure_ascii=False)

    def _may_call(self, call: ToolCall) -> bool:
        if self._canary is not None and self._canary in call.arguments:
            self.is_cut = True
            self.counts["prompt_leak", Action.BLOCK] += 1
            return False
        wanted = self._wanted.tool_calls
        if wanted is Action.OFF or not self.has_data or not self._is_doubtful(call):
            return True
        self.counts["tool_call", wanted] += 1
        return wanted is not Action.BLOCK

    def _is_doubtful(self, call: ToolCall) -> bool:
        """Whether only text from outside asks for this call.

        That text contains its name or a value, and the caller's has none of it. A tool that reads is doubtful when it
        is given an address that is not allowed.
        """
        try:
            arguments = loads_foreign(call.arguments or "{}")
        except ValueError:
            arguments = {"arguments": call.arguments}
        words = [word.lower() for word in _NAME_WORD.findall(call.name)]
        allowed = self.allowed or AllowedLinks.of((), (*self._heard.said, *self._heard.instructions))
        if call.name in self._wanted.reading_tools or (words and words[0] in _READS):
            return strip_links_of(arguments, allowed)[1] > 0
        tracker = TaintTracker()
        tracker.vouch(*self._heard.said, *self._heard.instructions)
        for source, text in self._heard.data:
            tracker.seen(source, text)
        if tracker.taints({"name": call.name, "arguments": arguments}):
            return True
        said = " ".join(self._heard.said).lower()
        return not any(word[:_STEM_CHARACTERS] in said for word in words)


class _Held:
    """Removes words from a stream and stops at others, holding back what may be the start of one of them."""

    def __init__(self, dropped: tuple[str, ...], stops: tuple[str, ...]) -> None:
        self.is_found = False
        self._dropped, self._stops = dropped, stops
        self._beginnings = {word[:size] for word in (*dropped, *stops) for size in range(1, len(word))}
        self._longest = max((len(word) for word in (*dropped, *stops)), default=0)
        self._held = ""

    def feed(self, text: str) -> str:
        if not self._beginnings:
            return text
        self._held += text
        if any(word in self._held.lower() for word in self._stops):
            self.is_found, self._held = True, ""
            return ""
        size = next((size for size in range(min(self._longest, len(self._held)), 0, -1) if self._ends_open(size)), 0)
        whole, self._held = self._held[: len(self._held) - size], self._held[len(self._held) - size :]
        return self._without(whole)

    def close(self) -> str:
        rest, self._held = self._held, ""
        return self._without(rest)

    def _ends_open(self, size: int) -> bool:
        return self._held[-size:].lower() in self._beginnings

    def _without(self, text: str) -> str:
        for word in self._dropped:
            text = text.replace(word, "")
        return text


def filtered(exchange: Exchange, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks of an answer as they may be shown, up to its end or to where it is cut."""
    for chunk in chunks:
        shown = exchange.feed(chunk)
        if shown.text or shown.citations or shown.tool_calls:
            yield shown
        if exchange.is_cut:
            return
    if (rest := exchange.close()).text:
        yield rest

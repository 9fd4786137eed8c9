"""A response as events, from the start or after one of them.

A sequence number combines the job's event id and a position among the events made from it, so it is the same whenever
and wherever the stream is read. It increases, with gaps. Every stream is built from the job's first event, and events
that the client has seen are skipped.
"""

from collections.abc import Iterator
from typing import Any

from fastapi import Request
from starlette.types import Send

from api.openai.errors import Failure
from api.openai.reported import ReportedText, StreamDiverged
from api.openai.responses.items import call_item, message_item, text_part
from api.openai.responses.stored import Stored
from api.openai.responses.wire import call_id, message_id, to_wire
from api.openai.streams import DialectStream, JobEvent, sse
from api.streaming import Subscription

# Number of events that one event of the job can become; the last is the end.
PLACES = 1000
_LAST = PLACES - 1
_FINAL = {"completed": "response.completed", "incomplete": "response.incomplete"}
_INTERRUPTED = Failure(
    503,
    "stream_interrupted",
    ("the stream was interrupted; continue with stream=true and starting_after=<sequence_number>"),
)
_DIVERGED = Failure(
    502,
    "answer_begun_anew",
    ("the model was interrupted and a second attempt answered differently; retrieve the response"),
)
_Event = tuple[int, dict[str, Any]]


class ResponseStream(DialectStream):
    """``response.*`` events of a job."""

    def __init__(self, request: Request, stored: Stored, *, starting_after: int, cancels: bool) -> None:
        super().__init__(request, stored.job, cancels=cancels)
        self._stored = stored
        self._seen = starting_after
        self._text = ReportedText()
        self._has_item = False
        self._attempt_seen = (0, 0)

    async def translate(self, event: JobEvent) -> bytes:
        """The events made from one job event, without those that the client has seen."""
        self._look_for_losses(event)
        try:
            made = [*self._beginning(event), *self._delta(event)]
            if event.type in _ENDS:
                job, result = await self.result()
                self._stored = Stored(job, self._stored.given, result)
                made += self._end()
        except StreamDiverged:
            self.end()
            return self._error(_DIVERGED)
        body = b""
        for place, shown in made:
            number = event.id * PLACES + min(place, _LAST)
            if number > self._seen:
                self._seen = number
                body += sse({**shown, "sequence_number": number}, shown["type"])
        return body

    def interrupted(self) -> bytes:
        """See `DialectStream.interrupted`."""
        return self._error(_INTERRUPTED)

    async def _follow(self, send: Send, subscription: Subscription) -> None:
        """As for every stream. The end is also sent when retention has deleted the job's events."""
        if self.job.is_terminal and not await self._runtime.in_thread(self._has_events):
            end = JobEvent(self.job.event_last, f"job.{self.job.state}", self.job.attempt, {})
            await self._write(send, await self.translate(end))
            self.end()
            return
        await super()._follow(send, subscription)

    def _has_events(self) -> bool:
        session = self._runtime.database.single_tenant(self._owner.organization_id)
        return bool(self._runtime.jobs.events(session, self._owner.organization_id, self.job.id, after=0, limit=1))

    def _look_for_losses(self, event: JobEvent) -> None:
        """Notice deltas that the client has and this process does not: an attempt's ids have no gaps."""
        attempt, last = self._attempt_seen
        if attempt == event.attempt and event.id > last + 1 and last * PLACES < self._seen:
            self._text.mark_unknown()
            self._has_item = True
        self._attempt_seen = (event.attempt, event.id)

    def _beginning(self, event: JobEvent) -> Iterator[_Event]:
        # Without the result, so that the start is the same when the end is known.
        begun = Stored(self._stored.job, self._stored.given, None)
        if event.type == "job.queued" and event.id == 1:
            yield 0, {"type": "response.created", "response": to_wire(begun, "queued")}
            if begun.is_background:
                yield 1, {"type": "response.queued", "response": to_wire(begun, "queued")}
        elif event.type == "job.started" and event.attempt == 1:
            yield 0, {"type": "response.in_progress", "response": to_wire(begun, "in_progress")}

    def _delta(self, event: JobEvent) -> Iterator[_Event]:
        if event.type == "message.delta":
            text = self._text.add(event.attempt, event.data)
            if text:
                yield from self._send_text(text)

    def _send_text(self, text: str) -> Iterator[_Event]:
        yield from self._item()
        if text:
            yield 2, {**self._place("response.output_text.delta"), "delta": text, "logprobs": []}

    def _item(self) -> Iterator[_Event]:
        if not self._has_item:
            self._has_item = True
            item = message_item(message_id(self._stored), "", "in_progress")
            yield 0, {"type": "response.output_item.added", "output_index": 0, "item": item}
            yield 1, {**self._place("response.content_part.added"), "part": text_part("")}

    def _place(self, kind: str) -> dict[str, Any]:
        return {"type": kind, "item_id": message_id(self._stored), "output_index": 0, "content_index": 0}

    def _end(self) -> Iterator[_Event]:
        stored = self._stored
        shown = to_wire(stored)
        calls = stored.tool_calls
        at = 0
        if stored.result is not None and (stored.text or not calls):
            yield from self._whole_text(stored)
            yield 5, {"type": "response.output_item.done", "output_index": 0, "item": shown["output"][0]}
            at = 1
        for number, call in enumerate(calls):
            yield from _call(6 + 4 * number, at + number, call_id(stored, number), call)
        yield _LAST, {"type": _FINAL.get(shown["status"], "response.failed"), "response": shown}

    def _whole_text(self, stored: Stored) -> Iterator[_Event]:
        try:
            rest = self._text.complete(stored.text)
        except StreamDiverged:
            if stored.is_chat:
                raise
            # A capability may word its result differently from its deltas: the result counts.
            rest = ""
        yield from self._send_text(rest)
        yield 3, {**self._place("response.output_text.done"), "text": stored.text, "logprobs": []}
        yield 4, {**self._place("response.content_part.done"), "part": text_part(stored.text)}

    def _error(self, failure: Failure) -> bytes:
        error = failure.body()
        # The SDK raises for `error`; other clients read the members of OpenAI's own event.
        fields = {name: error[name] for name in ("code", "message", "param")}
        return sse({"type": "error", **fields, "sequence_number": self._seen, "error": error}, "error")


_ENDS = frozenset({"job.succeeded", "job.failed", "job.cancelled", "job.expired", "job.rejected"})


def _call(place: int, index: int, item_id: str, call: dict[str, Any]) -> Iterator[_Event]:
    at = {"item_id": item_id, "output_index": index}
    item, whole = call_item(item_id, call, "in_progress"), call_item(item_id, call)
    yield place, {"type": "response.output_item.added", "output_index": index, "item": item}
    yield place + 1, {"type": "response.function_call_arguments.delta", **at, "delta": call["arguments"]}
    done = {"arguments": call["arguments"], "name": call["name"]}
    yield place + 2, {"type": "response.function_call_arguments.done", **at, **done}
    yield place + 3, {"type": "response.output_item.done", "output_index": index, "item": whole}

"""A job's events as a stream of another dialect: the common part."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.types import Message, Receive, Scope, Send

from api.deps import Runtime, get_runtime
from api.events import DATA, EventStream
from api.jobs.waiting import with_result
from api.openai.jobs import cancel_job
from api.routing import caller
from api.streaming import Frame, Signal, Subscription
from core.jobs.records import JobRecord
from core.keys.clearance import require_cleared
from core.kit.json_values import dumps, loads


@dataclass(frozen=True, slots=True)
class JobEvent:
    """An event of a job, for translation."""

    id: int
    type: str
    attempt: int
    data: Mapping[str, Any]


class DialectStream(EventStream):
    """Follows a job from its first event and sends what `translate` makes of each.

    A client that disconnects cancels the job when `cancels`. A stream that ends before the job, because the server
    stops or the key was revoked, ends with `interrupted`, so that no client takes a part for the whole.
    """

    # OpenAI's SDK treats a block without data as an event, so only a comment may come first.
    greeting = b": accepted\n\n"

    def __init__(self, request: Request, job: JobRecord, *, cancels: bool) -> None:
        self._runtime: Runtime = get_runtime(request)
        principal = caller(request)
        require_cleared(principal, job.data_class)
        super().__init__(
            self._runtime.hub,
            self._runtime.stream_guard,
            principal,
            job.id,
            after=0,
            keepalive_seconds=self._runtime.settings.sse_keepalive_seconds,
            stall_seconds=self._runtime.settings.sse_stall_seconds,
        )
        self._owner = principal
        self.job = job
        self._cancels = cancels
        self._hung_up = False
        self._is_over = False
        self._gave_up = False

    async def translate(self, event: JobEvent) -> bytes:
        """What to send for `event`; may be empty."""
        raise NotImplementedError

    def interrupted(self) -> bytes:
        """What to send when the stream ends before the job."""
        raise NotImplementedError

    async def result(self) -> tuple[JobRecord, dict[str, Any] | None]:
        """The job as it is now, with its result if it has succeeded."""
        self.job = await self._runtime.in_thread(self._read)
        return await with_result(self._runtime, self._owner, self.job)

    def _read(self) -> JobRecord:
        session = self._runtime.database.single_tenant(self._owner.organization_id)
        return self._runtime.jobs.open(session, self._owner, self.job.id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""

        async def listen() -> Message:
            message = await receive()
            self._hung_up = self._hung_up or message["type"] == "http.disconnect"
            return message

        await super().__call__(scope, listen, send)
        # A client that stopped reading has disconnected as well; one whose server stops has not.
        was_left = not self._is_over and (self._hung_up or not self._runtime.hub.is_stopping)
        if self._cancels and (was_left or self._gave_up):
            await cancel_job(self._runtime, self._owner, self.job.id)

    async def _follow(self, send: Send, subscription: Subscription) -> None:
        await super()._follow(send, subscription)
        if not self._is_over and not self._hung_up:
            await self._write(send, self.interrupted())

    async def _take(self, send: Send, item: Frame | Signal | None) -> bool:
        return await super()._take(send, item) or self._is_over

    async def _write_frames(self, send: Send, frames: list[Frame]) -> None:
        for frame in self._readable(frames):
            if self._is_over:
                return
            event = _event_of(frame)
            body = await self.translate(event)
            if body:
                await self._write(send, body)
            self._last = frame.id
            if frame.is_final:
                self._is_over = True

    def end(self) -> None:
        """End the stream."""
        self._is_over = True

    def give_up(self) -> None:
        """End the stream, and the job with it if the stream `cancels`."""
        self._is_over = self._gave_up = True


def _event_of(frame: Frame) -> JobEvent:
    found = loads(frame.body.partition(DATA)[2])
    return JobEvent(found["id"], found["type"], found["attempt"], found["data"])


def sse(data: Any, event: str | None = None) -> bytes:
    """A server-sent event."""
    head = b"" if event is None else b"event: %s\n" % event.encode()
    return b"%sdata: %s\n\n" % (head, dumps(data))

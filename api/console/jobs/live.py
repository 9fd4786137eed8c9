"""The events of a job for a page: those of ``/v1``, until the session that follows them has ended."""

from functools import partial
from time import monotonic
from typing import Any

from fastapi import Request
from starlette.types import Send

from api.console.routing import resolve
from api.events import EventStream
from api.streaming import Frame, Signal, Subscription
from core.kit.errors import Unauthenticated

# A revoked key ends its streams within two seconds, by the guard of all streams; this is for signing out.
_LOOK_SECONDS = 5.0


class JobEvents(EventStream):
    """An event stream that ends with the session of `request`."""

    def __init__(self, request: Request, *arguments: Any, **named: Any) -> None:
        # A silent stream wakes up to say that it is alive, and looks then.
        named["keepalive_seconds"] = min(named["keepalive_seconds"], _LOOK_SECONDS)
        super().__init__(*arguments, **named)
        self._resolve = partial(resolve, request)
        self._look_at = monotonic() + _LOOK_SECONDS

    async def _next(self, send: Send, subscription: Subscription) -> Frame | Signal | None:
        if monotonic() >= self._look_at:
            self._look_at = monotonic() + _LOOK_SECONDS
            try:
                await self._resolve()
            except Unauthenticated:
                return Signal.STOP
        return await super()._next(send, subscription)

"""Ends the open streams of keys that were revoked or have expired, and of tokens past their time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from api.streaming import Signal, Stoppable
from core.keys.principal import Principal
from core.kit.errors import WaybillError
from core.kit.logging import get_logger

# Two checks fit into the two seconds after which a revoked key must read nothing.
_LOOK_SECONDS = 0.8
_log = get_logger(__name__)


class StreamGuard:
    """Tracks the key of every open stream, and checks all of them in one query.

    `ended` returns which of some keys may no longer be used. While it fails, streams continue.
    """

    def __init__(self, ended: Callable[[Sequence[UUID]], Awaitable[Sequence[UUID]]]) -> None:
        self._ended = ended
        self._streams: dict[UUID, set[Stoppable]] = {}
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Start checking."""
        self._task = asyncio.create_task(self._look_forever(), name="stream-guard")

    async def close(self) -> None:
        """Stop checking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @contextmanager
    def watched(self, principal: Principal, stream: Stoppable) -> Iterator[None]:
        """Stop `stream` when the caller's key ends, or at the moment that its token names."""
        key_id = principal.key_id
        if key_id is None:
            with _stopped_at(principal.ends_at, stream):
                yield
            return
        streams = self._streams.setdefault(key_id, set())
        streams.add(stream)
        try:
            yield
        finally:
            streams.discard(stream)
            if not streams:
                self._streams.pop(key_id, None)

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if not self._streams:
                continue
            try:
                ended = await self._ended(list(self._streams))
            except (WaybillError, DBAPIError, OSError) as error:
                _log.warning("stream_guard_blind", error=type(error).__name__)
                continue
            for key_id in ended:
                for stream in tuple(self._streams.get(key_id, ())):
                    stream.put(Signal.STOP)


@contextmanager
def _stopped_at(moment: float | None, stream: Stoppable) -> Iterator[None]:
    """Stop `stream` at `moment`, in Unix seconds, unless the block is left before."""
    if moment is None:
        yield
        return
    seconds = max(0.0, moment - time.time())
    timer = asyncio.get_running_loop().call_later(seconds, stream.put, Signal.STOP)
    try:
        yield
    finally:
        timer.cancel()

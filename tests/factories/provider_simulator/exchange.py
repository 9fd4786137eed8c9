"""One answer, with its delays and its faults, and what it costs."""

import asyncio
from types import ModuleType

from tests.factories.provider_simulator.connection import Connection
from tests.factories.provider_simulator.events import Event
from tests.factories.provider_simulator.records import CountTokens, Recorded, text_of_request
from tests.factories.provider_simulator.scripts import Answer, Counted, Tokens


class Exchange:
    """Follows one script on one connection. `wire` is the module that writes its events."""

    def __init__(
        self,
        *,
        connection: Connection,
        recorded: Recorded,
        answer: Answer,
        wire: ModuleType,
        count_tokens: CountTokens,
        released: asyncio.Event,
    ) -> None:
        self._connection = connection
        self._recorded = recorded
        self._answer = answer
        self._wire = wire
        self._count_tokens = count_tokens
        self._released = released
        self._left = answer.faults.cut_after_bytes

    async def run(self) -> None:
        """Answer. The bill is written whatever happens, also when the client hangs up."""
        whole = self._whole()
        try:
            await asyncio.sleep(self._answer.first_token_seconds)
            if self._recorded.body.get("stream"):
                complete = await self._stream(self._reported(whole))
            else:
                body = self._wire.whole(self._answer, self._recorded, self._reported(whole))
                # From here on it is produced, whether the client takes it or not.
                complete = True
                self._recorded.sent = _produced(self._answer)
                await self._connection.write_json(200, body, self._recorded.headers_of_answer())
        except asyncio.CancelledError:
            self._recorded.billed = self._part(whole)
            raise
        self._recorded.billed = whole if complete else self._part(whole)

    async def _stream(self, reported: Tokens | None) -> bool:
        """Whether the answer was sent to its end."""
        headers = {
            "Content-Type": "text/event-stream",
            "Transfer-Encoding": "chunked",
            **self._recorded.headers_of_answer(),
        }
        await self._connection.write_head(200, headers)
        for event in self._wire.events(self._answer, self._recorded, reported):
            if event.text is not None and not await self._spoil():
                return False
            if not await self._send(event):
                return False
        await self._connection.write_chunk(b"")
        return True

    async def _spoil(self) -> bool:
        """Do what the script wants done before the next delta; False when the connection is closed by it."""
        faults, sent = self._answer.faults, self._recorded.deltas_sent
        if sent == faults.cut_after:
            return self._cut()
        if sent == faults.malformed_after:
            await self._connection.write_chunk(self._wire.malformed(faults.malformed).encode())
        if sent == faults.error_after:
            await self._connection.write_chunk(self._wire.error_event().encode())
        if sent == faults.hold_after:
            self._recorded.held.set()
            await self._released.wait()
        return True

    async def _send(self, event: Event) -> bool:
        raw = event.raw.encode()
        if self._left is not None and len(raw) > self._left:
            if self._left:
                await self._connection.write_chunk(raw[: self._left])
            return self._cut()
        await self._connection.write_chunk(raw)
        if self._left is not None:
            self._left -= len(raw)
        if event.text is not None:
            self._recorded.deltas_sent += 1
            self._recorded.sent += event.text
            if self._answer.delta_seconds:
                await asyncio.sleep(self._answer.delta_seconds)
        return True

    def _cut(self) -> bool:
        self._recorded.cut = True
        self._connection.hang_up()
        return False

    def _whole(self) -> Tokens:
        """What the whole answer costs."""
        if self._answer.billed is not None:
            return self._answer.billed
        if isinstance(self._answer.usage, Tokens):
            return self._answer.usage
        return Tokens(self._count_tokens(text_of_request(self._recorded.body)), self._count(_produced(self._answer)))

    def _part(self, whole: Tokens) -> Tokens:
        """What an answer costs that ended early."""
        return Tokens(whole.input, self._count(self._recorded.sent), whole.cached, whole.cache_write)

    def _reported(self, whole: Tokens) -> Tokens | None:
        usage = self._answer.usage
        return whole if isinstance(usage, Counted) else usage

    def _count(self, text: str) -> int:
        return self._count_tokens(text) if text else 0


def _produced(answer: Answer) -> str:
    return "".join([*answer.deltas, *(call.text for call in answer.tool_calls)])

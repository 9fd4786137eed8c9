"""The simulator itself: an event loop in a thread, behind a port of the loopback interface."""

import asyncio
import contextlib
import json
import threading
from types import ModuleType, TracebackType
from typing import Self

from tests.factories.provider_simulator import anthropic_wire, openai_wire
from tests.factories.provider_simulator.connection import Connection, Request
from tests.factories.provider_simulator.exchange import Exchange
from tests.factories.provider_simulator.records import CountTokens, Recorded, count_words, text_of_request, total
from tests.factories.provider_simulator.scripts import Answer, Failure, LateScript, Raw, Script, Tokens

_START_SECONDS = 10


class ProviderSimulator:
    """Serves on a free port, from entering the ``with`` block to leaving it.

    Each request takes the next script; the last one stays. A script may be a function from the request to a script.
    `count_tokens` is the rule by which it counts what no script says: input over all text of a request (system,
    messages, tool definitions), output over the text and the tool-call arguments that were sent.

    Its own bill, `bill()`: a whole answer costs what its script says or else what the rule counts; an answer that ended
    early costs its whole input and what had been sent of its output; an error status costs nothing.
    """

    def __init__(self, *scripts: Script | LateScript, count_tokens: CountTokens = count_words) -> None:
        self.requests: list[Recorded] = []
        self.count_tokens = count_tokens
        self._scripts: tuple[Script | LateScript, ...] = scripts or (Answer("ok"),)
        self._lock = threading.Lock()
        self._opened: set[Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._released = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ready = threading.Event()
        self._errors: list[Exception] = []
        self._port = 0
        self._thread = threading.Thread(target=self._serve, name="provider-simulator", daemon=True)

    @property
    def base_url(self) -> str:
        """What to give a client of OpenAI's wire; ends in ``/v1``."""
        return f"{self.root_url}/v1"

    @property
    def root_url(self) -> str:
        """What to give a client of Anthropic's wire, or of Azure's as its endpoint."""
        return f"http://127.0.0.1:{self._port}"

    def bill(self) -> Tokens:
        """What the provider charges for everything so far. Complete once every request has `finished`."""
        with self._lock:
            return total(self.requests)

    def release(self) -> None:
        """Let every held answer go on, now and from now on."""
        self._loop.call_soon_threadsafe(self._released.set)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise RuntimeError("the simulator did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        if self._errors and error is None:
            raise self._errors[0]

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._run())
        finally:
            self._loop.close()

    async def _run(self) -> None:
        server = await self._loop.create_server(lambda: Connection(self._answer, self._opened), "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for connection in tuple(self._opened):
            connection.abort()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.gather(*others, return_exceptions=True)

    async def _answer(self, connection: Connection, request: Request) -> None:
        recorded = self._take(request)
        wire = _wire(request.path)
        try:
            script = self._script(recorded)
            if wire is None:
                script = Failure(status=404, message="unknown path")
            if isinstance(script, Failure):
                await self._fail(connection, recorded, script, wire or openai_wire)
            elif isinstance(script, Raw):
                await self._send(connection, recorded, script)
            elif request.path.endswith("/embeddings"):
                tokens = self.count_tokens(text_of_request(recorded.body))
                recorded.billed = Tokens(tokens, 0)
                await connection.write_json(200, openai_wire.embeddings(recorded, tokens), recorded.headers_of_answer())
            else:
                assert wire is not None
                await Exchange(
                    connection=connection,
                    recorded=recorded,
                    answer=script,
                    wire=wire,
                    count_tokens=self.count_tokens,
                    released=self._released,
                ).run()
        except asyncio.CancelledError:
            recorded.client_closed = True
        except Exception as error:  # noqa: BLE001 - a script that raises fails the test, not one connection
            self._errors.append(error)
            connection.abort()
        finally:
            recorded.finished.set()

    async def _fail(self, connection: Connection, recorded: Recorded, failure: Failure, wire: ModuleType) -> None:
        recorded.status = failure.status
        headers = recorded.headers_of_answer()
        if failure.retry_after is not None:
            headers["Retry-After"] = failure.retry_after
        await connection.write_json(failure.status, wire.error(failure), headers)

    async def _send(self, connection: Connection, recorded: Recorded, script: Raw) -> None:
        recorded.billed = script.billed
        headers = {
            "Content-Type": script.content_type,
            "Transfer-Encoding": "chunked",
            **recorded.headers_of_answer(),
            **script.headers,
        }
        recorded.status = script.status
        await connection.write_head(script.status, headers)
        for piece in script.pieces:
            await connection.write_chunk(piece)
            recorded.deltas_sent += 1
            if script.piece_seconds:
                await asyncio.sleep(script.piece_seconds)
        await connection.write_chunk(b"")

    def _take(self, request: Request) -> Recorded:
        body = {}
        with contextlib.suppress(ValueError):
            body = json.loads(request.body)
        with self._lock:
            number = len(self.requests) + 1
            recorded = Recorded(number, request.path, request.headers, body, request.query)
            self.requests.append(recorded)
        return recorded

    def _script(self, recorded: Recorded) -> Script:
        script = self._scripts[min(recorded.number, len(self._scripts)) - 1]
        return script if isinstance(script, Answer | Failure | Raw) else script(recorded)


def _wire(path: str) -> ModuleType | None:
    """The wire that a path belongs to; Azure puts the name of a deployment into it."""
    if path == "/v1/messages":
        return anthropic_wire
    if path.endswith(("/chat/completions", "/embeddings")) and path.startswith(("/v1/", "/openai/")):
        return openai_wire
    return None

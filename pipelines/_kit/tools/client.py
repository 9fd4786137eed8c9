"""The wire: one call of one tool of an MCP server, through ``langchain-mcp-adapters``."""

import json
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeVar, cast

import httpx
from langchain_mcp_adapters.sessions import StreamableHttpConnection, create_session
from mcp.shared.exceptions import McpError
from mcp.types import CallToolResult, TextContent

from core.kit.clock import utc_now
from core.kit.errors import OUTAGE_STATUSES, Unavailable, Unstorable
from core.kit.json_values import clean, clean_text, loads_foreign
from core.kit.retry_after import retry_after_seconds
from core.kit.telemetry import trace_headers
from core.kit.trust import authorities
from pipelines._kit.tools.loop import LoopThread
from pipelines._kit.tools.policies import ToolServer

Answer = TypeVar("Answer")
_INTEGER_BITS = 63
_PAGES_MAX = 20
ANSWER_MAX_BYTES = 256 * 1024
# JSON-RPC's own: no such method, parameters or message; the tool was not called.
_NEVER_CALLED = frozenset({-32600, -32601, -32602, -32700})
_REFUSALS = frozenset({400, 401, 403, 404, 405, 406, 413})


class ToolError(Exception):
    """The call did not come through. `is_final`: the server refused it, and would again.

    `is_outage`: the server is unavailable for now, and asked to be retried after `retry_after_seconds` if it named a
    time. `was_sent`: the tool may have been called; otherwise nothing was done.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        is_final: bool = False,
        is_outage: bool = False,
        was_sent: bool = True,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.is_final = is_final
        self.is_outage = is_outage
        self.was_sent = was_sent
        self.retry_after_seconds = retry_after_seconds


class ToolAnswerInvalid(ToolError):
    """The tool was called and gave an unreadable answer; it would give the same one again."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="tool_answer_invalid", is_final=True)


class ToolRefusal(Exception):
    """The tool refused the call. `code` is the tool's own where it gave one."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool as its server lists it, with the JSON Schemas of its arguments and, where listed, of its answer."""

    name: str
    description: str
    arguments: Mapping[str, Any]
    answer: Mapping[str, Any] | None


class ToolClient(Protocol):
    """The part of `McpClient` that the tool box uses."""

    def call(
        self, server: ToolServer, tool: str, arguments: Mapping[str, Any], *, check: Callable[[], None] | None = None
    ) -> dict[str, Any]:
        """See `McpClient.call`."""

    def offered(self, server: ToolServer, *, check: Callable[[], None] | None = None) -> Mapping[str, OfferedTool]:
        """See `McpClient.offered`."""

    def close(self) -> None:
        """Release its resources."""


class McpClient:
    """Calls tools. A session per call: servers restart and tokens rotate, and a call takes milliseconds more for it."""

    def __init__(self) -> None:
        self._loop = LoopThread()
        # It logs every negotiation at level INFO.
        logging.getLogger("mcp.client").setLevel(logging.WARNING)

    def call(
        self,
        server: ToolServer,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        check: Callable[[], None] | None = None,
    ) -> dict[str, Any]:
        """The tool's answer as a dictionary. Raises `ToolRefusal`, and `ToolError` when there is no usable answer."""
        sent = threading.Event()
        return self._ask(
            server, _call(server, tool, dict(arguments), sent, trace_headers(baggage=server.baggage)), sent, check
        )

    def offered(self, server: ToolServer, *, check: Callable[[], None] | None = None) -> Mapping[str, OfferedTool]:
        """The tools that the server lists, by name; nothing is called. Raises `ToolError`."""
        return self._ask(server, _list(server, trace_headers(baggage=server.baggage)), threading.Event(), check)

    def _ask(
        self,
        server: ToolServer,
        asking: Coroutine[Any, Any, Answer],
        sent: threading.Event,
        check: Callable[[], None] | None,
    ) -> Answer:
        try:
            return self._loop.run(asking, timeout_seconds=server.timeout_seconds, check=check)
        except (ToolError, ToolRefusal):
            raise
        except Unavailable as missing:
            raise ToolError(missing.detail, code=missing.code, is_final=True) from missing
        except TimeoutError as late:
            raise ToolError(
                f"{server.name} did not answer in time", code="tool_timeout", is_outage=True, was_sent=sent.is_set()
            ) from late
        except Exception as failure:
            raise _read_failure(server, failure, was_sent=sent.is_set()) from failure

    def close(self) -> None:
        """End the thread behind it."""
        self._loop.close()


async def _call(
    server: ToolServer, tool: str, arguments: dict[str, Any], sent: threading.Event, traced: Mapping[str, str]
) -> dict[str, Any]:
    async with create_session(_connection(server, traced)) as session:
        await session.initialize()
        sent.set()
        answer = await session.call_tool(tool, arguments, timedelta(seconds=server.timeout_seconds))
    return _read_answer(server, answer)


async def _list(server: ToolServer, traced: Mapping[str, str]) -> dict[str, OfferedTool]:
    found: dict[str, OfferedTool] = {}
    async with create_session(_connection(server, traced)) as session:
        await session.initialize()
        cursor: str | None = None
        for _ in range(_PAGES_MAX):
            page = await session.list_tools(cursor)
            for tool in page.tools:
                found[tool.name] = OfferedTool(tool.name, tool.description or "", tool.inputSchema, tool.outputSchema)
            cursor = page.nextCursor
            if cursor is None:
                break
    return found


def _connection(server: ToolServer, traced: Mapping[str, str]) -> StreamableHttpConnection:
    token = server.read_token()
    return StreamableHttpConnection(
        transport="streamable_http",
        url=server.url,
        headers={**traced, "Authorization": f"Bearer {token}"} if token else dict(traced),
        timeout=server.timeout_seconds,
        sse_read_timeout=server.timeout_seconds,
        httpx_client_factory=_open_client,
    )


def _open_client(
    headers: dict[str, str] | None = None, timeout: httpx.Timeout | None = None, auth: httpx.Auth | None = None
) -> httpx.AsyncClient:
    # A proxy from the environment would see the token; a redirect could send it elsewhere.
    return httpx.AsyncClient(
        headers=headers,
        timeout=timeout,
        auth=auth,
        verify=authorities(by_environment=False),
        trust_env=False,
        follow_redirects=False,
    )


def _read_answer(server: ToolServer, answer: CallToolResult) -> dict[str, Any]:
    text = clean_text("\n".join(block.text for block in answer.content if isinstance(block, TextContent)))
    read = _json_of(text) if answer.structuredContent is None else _structured(answer.structuredContent, text)
    if len(text) > ANSWER_MAX_BYTES or len(json.dumps(read)) > ANSWER_MAX_BYTES:
        raise ToolAnswerInvalid(f"{server.name} answered more than {ANSWER_MAX_BYTES} bytes")
    if answer.isError:
        code, message = read.get("code"), read.get("message")
        # Server frameworks turn an exception into plain text: it may hold anything, and is not for users.
        shown = str(message)[:500] if code and message else f"{server.name} reported an error"
        raise ToolRefusal(str(code)[:60] if code else "tool_refused", shown)
    return read


def _json_of(text: str) -> dict[str, Any]:
    try:
        read = _with_wide_integers_as_text(loads_foreign(text))
    except ValueError:
        return {"text": text}
    return read if isinstance(read, dict) else {"value": read}


def _structured(content: dict[str, Any], text: str) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", _with_wide_integers_as_text(clean(content)))
    except Unstorable:
        return {"text": text}


def _with_wide_integers_as_text(value: Any) -> Any:
    """Integers wider than 64 bits are identifiers, and a graph's state cannot hold them as numbers."""
    if isinstance(value, dict):
        return {name: _with_wide_integers_as_text(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_wide_integers_as_text(item) for item in value]
    return str(value) if isinstance(value, int) and value.bit_length() > _INTEGER_BITS else value


def _read_failure(server: ToolServer, failure: BaseException, *, was_sent: bool) -> ToolError:
    """Classify a failure of the transport. Its own text may hold the address, so it stays in the chain."""
    for leaf in _leaves(failure):
        if isinstance(leaf, httpx.HTTPStatusError) and leaf.response.status_code in _REFUSALS:
            status = leaf.response.status_code
            return ToolError(f"{server.name} answered {status}", code="tool_server_refused", is_final=True)
        if isinstance(leaf, httpx.HTTPStatusError) and leaf.response.status_code in OUTAGE_STATUSES:
            return ToolError(
                f"{server.name} answered {leaf.response.status_code}",
                code="tool_unavailable",
                is_outage=True,
                was_sent=was_sent,
                retry_after_seconds=retry_after_seconds(leaf.response.headers, utc_now()),
            )
        if isinstance(leaf, McpError) and leaf.error.code == httpx.codes.REQUEST_TIMEOUT:
            return ToolError(
                f"{server.name} did not answer in time", code="tool_timeout", is_outage=True, was_sent=was_sent
            )
        if isinstance(leaf, McpError) and leaf.error.code in _NEVER_CALLED:
            return ToolError(f"{server.name} does not take this call", code="tool_server_refused", is_final=True)
        if was_sent and _is_about_the_answer(leaf):
            return ToolAnswerInvalid(f"{server.name} answered otherwise than its tool declares")
    is_outage = any(isinstance(leaf, httpx.TransportError) for leaf in _leaves(failure))
    return ToolError(
        f"{server.name} could not be reached", code="tool_unavailable", is_outage=is_outage, was_sent=was_sent
    )


def _is_about_the_answer(failure: BaseException) -> bool:
    """Whether the library refused the response: no message of the protocol, or not the tool's own output schema."""
    return isinstance(failure, ValueError) or (
        isinstance(failure, RuntimeError) and "structured content" in str(failure)
    )


def _leaves(failure: BaseException) -> list[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        return [leaf for part in failure.exceptions for leaf in _leaves(part)]
    return [failure]

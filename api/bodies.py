"""Reading JSON bodies, once and strictly, so that nothing reaches Postgres that it cannot store."""

import asyncio
from typing import Any

import orjson
from starlette.requests import Request

from api.deps import get_runtime
from api.json_shape import require_bounded
from api.problem import invalid
from core.kit.errors import BadRequest, PayloadTooLarge, UnsupportedMedia, WaybillError
from core.kit.json_values import loads

READ_SECONDS = 30.0
# Larger bodies are parsed on a thread.
_INLINE_BYTES = 32 * 1024
# A client that sends too much is read this far, so that it sees the refusal instead of a broken connection.
_DRAIN_MAX_BYTES = 32 * 1024 * 1024
_DRAIN_SECONDS = 5.0


class BodyTimeout(WaybillError):
    """The body did not arrive in time."""

    status, title, default_code = 408, "Request timeout", "request_timeout"


class JsonRequest(Request):
    """A request whose body was read and parsed before the framework sees it."""

    def __init__(self, request: Request, body: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._given_body = body
        self._given_value = value

    async def body(self) -> bytes:
        """The body's bytes."""
        return self._given_body

    async def json(self) -> Any:
        """The body's JSON value."""
        return self._given_value


async def read_json(request: Request, max_bytes: int) -> JsonRequest:
    """Read and parse the whole body. Raises what `read_body`, `require_json_type` and `parse_json` raise."""
    body = await read_body(request, max_bytes)
    if not body:
        return JsonRequest(request, b"", None)
    require_json_type(request)
    parsing = parse_json(body) if len(body) <= _INLINE_BYTES else await get_runtime(request).in_thread(parse_json, body)
    return JsonRequest(request, body, parsing)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body, chunked or not. Raises `PayloadTooLarge` above `max_bytes`, `BodyTimeout` after 30 seconds."""
    await refuse_declared_length(request, max_bytes)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > max_bytes:
                    break
                chunks.append(chunk)
    except TimeoutError:
        raise BodyTimeout(f"the body did not arrive within {READ_SECONDS:g} seconds") from None
    if size > max_bytes:
        await drain(request)
        raise too_large(max_bytes)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def refuse_declared_length(request: Request, max_bytes: int) -> None:
    """Raise `PayloadTooLarge` when the request itself declares a body over `max_bytes`."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        await drain(request)
        raise too_large(max_bytes)


async def drain(request: Request) -> None:
    """Read and discard the rest of the body, up to 32 MiB and 5 seconds."""
    left = _DRAIN_MAX_BYTES
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    return
    except TimeoutError:
        return


def too_large(max_bytes: int) -> PayloadTooLarge:
    """The refusal of a body over `max_bytes`."""
    return PayloadTooLarge(f"the body is larger than {max_bytes} bytes", max_bytes=max_bytes)


def refuse_encoding(request: Request) -> None:
    """Raise `UnsupportedMedia` for a compressed body: what it unpacks to has no bound."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMedia("compressed bodies are not supported; send the body without Content-Encoding")


def require_json_type(request: Request) -> None:
    """Raise `UnsupportedMedia` unless the body is declared as JSON (``application/json`` or ``…+json``)."""
    refuse_encoding(request)
    declared = request.headers.get("content-type", "")
    essence = declared.partition(";")[0].strip().lower()
    if essence == "application/json" or (essence.startswith("application/") and essence.endswith("+json")):
        return
    shown = f"not {essence}" if essence else "but the request has no Content-Type"
    raise UnsupportedMedia(f"this route accepts application/json, {shown[:100]}")


def parse_json(body: bytes) -> Any:
    """The JSON value in `body`.

    Raises what `require_bounded` raises, `BadRequest` for what is not JSON (RFC 8259; NaN and Infinity are not), and
    `Unprocessable` with code ``invalid_text`` for text that Postgres cannot hold: U+0000 and lone surrogates.
    """
    require_bounded(body)
    try:
        value = loads(body)
    except orjson.JSONDecodeError as error:
        raise _unreadable(error) from None
    if b"\\u0000" in body:
        _require_clean(value, "body")
    return value


def require_clean_text(text: str, path: str) -> str:
    """`text` if Postgres can store it. Raises `Unprocessable` with code ``invalid_text`` otherwise."""
    if "\x00" in text:
        raise _unstorable(path, "holds U+0000")
    return text


def _unreadable(error: orjson.JSONDecodeError) -> WaybillError:
    message = str(error)
    if "surrogate" in message and "UTF-8" not in message:
        return _unstorable("body", f"holds half of a surrogate pair at line {error.lineno}, column {error.colno}")
    if "infinity" in message:
        where = f"at line {error.lineno}, column {error.colno}"
        return BadRequest(f"a number {where} is larger than 1.8e308; send it as a string", code="number_too_large")
    return BadRequest(
        f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}", code="malformed_json"
    )


def _require_clean(value: Any, path: str) -> None:
    if isinstance(value, str):
        require_clean_text(value, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _require_clean(item, f"{path}.{index}")
    elif isinstance(value, dict):
        for name, item in value.items():
            require_clean_text(name, path)
            _require_clean(item, f"{path}.{name}")


def _unstorable(path: str, why: str) -> WaybillError:
    problem = {"path": path, "code": "invalid_text", "message": f"{why}, which cannot be stored; remove it"}
    refusal = invalid([problem])
    refusal.code = "invalid_text"
    return refusal

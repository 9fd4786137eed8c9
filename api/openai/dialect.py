"""The outermost layer of ``/openai/v1``: every error in OpenAI's format, whatever raised it, and its rate headers."""

from math import ceil
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.openai.errors import Refused, of_problem
from api.problem import MEDIA_TYPE
from core.limits.rates import Verdict

PREFIX = "/openai/v1"
_KEPT = frozenset({b"retry-after", b"www-authenticate", b"allow", b"x-request-id", b"ratelimit", b"ratelimit-policy"})


class Dialect:
    """Wraps an application; requests to other paths pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == PREFIX or path.startswith(PREFIX + "/")):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Translator(scope, receive, send))


class _Translator:
    """Forwards what the application sends, and holds a problem document back until it is complete."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._status = 0
        self._kept: dict[str, str] | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._start(message)
        elif self._kept is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                failure = of_problem(self._status, orjson.loads(bytes(self._body)), self._kept)
                await failure.respond()(self._scope, self._receive, self._send)

    async def _start(self, message: Message) -> None:
        headers = [*message.get("headers", ()), *_rate_headers(self._scope)]
        declared = dict(headers).get(b"content-type", b"")
        if declared.startswith(MEDIA_TYPE.encode()):
            self._status = message["status"]
            names = {*_KEPT, *(name for name, _ in _rate_headers(self._scope))}
            self._kept = {name.decode(): value.decode("latin-1") for name, value in headers if name in names}
            return
        message["headers"] = headers
        await self._send(message)


def _rate_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """``x-ratelimit-*`` of the bucket with the least room; none for a caller without limits."""
    verdict: Verdict | None = scope.get("state", {}).get("rates")
    if verdict is None:
        return []
    at = min(range(len(verdict.buckets)), key=verdict.remaining)
    return [
        (b"x-ratelimit-limit-requests", str(verdict.buckets[at].per_minute).encode()),
        (b"x-ratelimit-remaining-requests", str(verdict.remaining(at)).encode()),
        (b"x-ratelimit-reset-requests", f"{ceil(verdict.levels_us[at] / 1000)}ms".encode()),
    ]


async def on_refused(_request: Any, error: Exception) -> Any:
    """The response to `Refused`."""
    assert isinstance(error, Refused)
    return error.failure.respond()

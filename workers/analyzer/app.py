"""The HTTP interface of the guard's process. It has no tenants and no keys: access to the socket is enough."""

import asyncio
from time import monotonic
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from core.guard.wire import BODY_MAX_BYTES, PATH, Malformed, unpack_request
from core.kit.json_values import dumps
from core.kit.metrics import GUARD_REQUESTS, exposition
from workers.analyzer.batches import AnalysisFailed, Batches, Overloaded

_RETRY_AFTER_SECONDS = "2"


def create_app(batches: Batches, timeout_seconds: float) -> Starlette:
    """The application. A request that takes longer than `timeout_seconds` is answered 503."""

    async def analyze(request: Request) -> Response:
        began = monotonic()
        outcome, response = await _analyzed(request, batches, timeout_seconds)
        GUARD_REQUESTS.labels(outcome).observe(monotonic() - began)
        return response

    async def healthz(_: Request) -> Response:
        """The process answers. Does not check its children, which it replaces itself."""
        return _json(200, {"status": "ok"})

    async def readyz(_: Request) -> Response:
        """Whether a child has loaded the recognizers."""
        return _json(200, {"status": "ready"}) if batches.is_ready else _refused(503, "not_ready")

    async def metrics(request: Request) -> Response:
        body, content_type = exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})

    return Starlette(
        routes=[
            Route(PATH, analyze, methods=["POST"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ]
    )


async def _analyzed(request: Request, batches: Batches, timeout_seconds: float) -> tuple[str, Response]:
    try:
        async with asyncio.timeout(timeout_seconds):
            body = await _read(request)
            if len(body) > BODY_MAX_BYTES:
                return "refused", _refused(413, "payload_too_large")
            texts, kinds = unpack_request(body)
            findings = await asyncio.wrap_future(batches.submit(texts, kinds)) if texts else []
    except (Malformed, ClientDisconnect) as error:
        return "refused", _refused(400, "bad_request", str(error))
    except Overloaded:
        return "overloaded", _refused(503, "guard_overloaded")
    except TimeoutError:
        return "late", _refused(503, "guard_too_slow")
    except AnalysisFailed as error:
        return "failed", _refused(503, "guard_analysis_failed", str(error))
    return "answered", _json(200, {"findings": findings})


async def _read(request: Request) -> bytes:
    """The body; of one that is too long, only the beginning."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        pieces.append(piece)
        if size > BODY_MAX_BYTES:
            break
    return b"".join(pieces)


def _refused(status: int, code: str, detail: str = "") -> Response:
    response = _json(status, {"code": code, "detail": detail})
    if status == 503:  # noqa: PLR2004 - the one that may be tried again
        response.headers["retry-after"] = _RETRY_AFTER_SECONDS
    return response


def _json(status: int, content: Any) -> Response:
    return Response(dumps(content), status, media_type="application/json")

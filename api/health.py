"""``/healthz``, ``/readyz`` and ``/metrics``: for probes and for Prometheus, without a key."""

import asyncio
from typing import Any, Literal

import redis
from fastapi import Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import text

from api.answers import respond_json
from api.deps import Runtime, get_runtime
from api.openapi import problems
from api.routing import new_router, public
from core.kit.db import is_unavailable
from core.kit.errors import Unavailable
from core.kit.metrics import exposition

router = new_router("", "operations")

_PROBE_SECONDS = 3.0
_WRITABLE = text("SELECT current_setting('transaction_read_only') = 'off'")


class Health(BaseModel):
    """The process is alive."""

    status: Literal["ok"]


class Dependency(BaseModel):
    """A dependency of Waybill."""

    status: Literal["up", "read_only", "down"] = Field(
        description="`read_only`: it answers but accepts no writes, like a standby or a full Redis."
    )
    detail: str | None = Field(None, description="The kind of failure.")


class Readiness(BaseModel):
    """Whether the process can serve requests.

    `degraded`: without Redis, jobs are accepted and read, but dispatching waits. With a read-only Postgres, jobs can
    only be read. Without the guard (listed if one is configured), work that a policy redacts or blocks waits.
    """

    status: Literal["ready", "degraded"]
    dependencies: dict[str, Dependency]


@router.get(
    "/healthz",
    response_model=Health,
    summary="Check liveness",
    responses={200: {"description": "The process is alive."}, **problems(scope=False)},
)
@public
async def healthz() -> Response:
    """Alive. Does not check dependencies, so that an outage does not restart this process."""
    return respond_json({"status": "ok"})


@router.get(
    "/readyz",
    response_model=Readiness,
    summary="Check readiness",
    responses={
        200: {"description": "Requests can be served. `degraded`: only some of them."},
        **problems(503, scope=False),
    },
)
@public
async def readyz(request: Request) -> Response:
    """Ready while Postgres answers: no other API process could serve the rest better."""
    dependencies = await dependencies_of(get_runtime(request))
    postgres = dependencies["postgres"]
    if postgres["status"] == "down":
        raise Unavailable(
            "postgres does not answer", code="not_ready", retry_after_seconds=2, dependencies=dependencies
        )
    is_whole = all(each["status"] == "up" for each in dependencies.values())
    return respond_json({"status": "ready" if is_whole else "degraded", "dependencies": dependencies})


@router.get(
    "/metrics",
    response_class=Response,
    summary="Read metrics for Prometheus",
    responses={
        200: {
            "description": "Metrics in Prometheus text format, or OpenMetrics if the client accepts it.",
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "application/openmetrics-text": {"schema": {"type": "string"}},
            },
        },
        **problems(scope=False),
    },
)
@public
async def metrics(request: Request) -> Response:
    """All metrics of this process, or of the processes that share a folder with it."""
    body, content_type = exposition(request.headers.get("accept", ""))
    return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})


async def dependencies_of(runtime: Runtime) -> dict[str, dict[str, Any]]:
    """What this process depends on, as members of `Dependency`; the guard only where one is configured."""
    postgres, broker, guard = await asyncio.gather(_postgres(runtime), _redis(runtime), _guard(runtime))
    return {"postgres": postgres, "redis": broker, **({} if guard is None else {"guard": guard})}


async def _postgres(runtime: Runtime) -> dict[str, Any]:
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            is_writable = await runtime.in_thread(_ask_postgres, runtime)
    except TimeoutError:
        return _down("Timeout")
    except Exception as error:
        if not is_unavailable(error):
            raise
        return _down(type(error).__name__)
    return {"status": "up" if is_writable else "read_only", "detail": None}


def _ask_postgres(runtime: Runtime) -> bool:
    return bool(runtime.database.single_system().execute(_WRITABLE, {}).scalar_one())


async def _redis(runtime: Runtime) -> dict[str, Any]:
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            await runtime.hub.ping()
    except (redis.OutOfMemoryError, redis.ReadOnlyError) as error:
        return {"status": "read_only", "detail": type(error).__name__}
    except (redis.RedisError, OSError) as error:
        return _down(type(error).__name__)
    return {"status": "up", "detail": None}


async def _guard(runtime: Runtime) -> dict[str, Any] | None:
    """None without a guard."""
    if runtime.analyzer is None:
        return None
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            await runtime.in_thread(runtime.analyzer.check)
    except TimeoutError:
        return _down("Timeout")
    except Unavailable as error:
        return _down(type(error.__cause__ or error).__name__)
    return {"status": "up", "detail": None}


def _down(detail: str) -> dict[str, Any]:
    return {"status": "down", "detail": detail}

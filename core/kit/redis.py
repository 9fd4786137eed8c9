"""Redis: one client per process, on database 0, with a timeout on every call."""

from typing import Any

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from core.kit.errors import Unavailable
from core.kit.settings import Settings


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "socket_timeout": settings.redis_timeout_seconds,
        "socket_connect_timeout": settings.redis_timeout_seconds,
        "socket_keepalive": True,
        "health_check_interval": 30,
    }


def _url(settings: Settings) -> str:
    if settings.redis_url is None:
        raise Unavailable(
            "REDIS_URL is not set and no embedded stack is running; start one with `waybill up`, or set it",
            code="redis_not_configured",
        )
    return settings.redis_url.get_secret_value()


def tls_options(url: str) -> dict[str, Any] | None:
    """redis-py's TLS options for `url`, with the certificate verified unless the URL disables it.

    None for an address without TLS. For libraries that treat a bare ``rediss://`` as TLS without verification.
    """
    parsed: dict[str, Any] = redis.connection.parse_url(url)  # type: ignore[no-untyped-call]
    if not issubclass(parsed.get("connection_class", redis.Connection), redis.SSLConnection):
        return None
    return {"ssl_cert_reqs": "required", **{name: value for name, value in parsed.items() if name.startswith("ssl_")}}


def connect(settings: Settings) -> "redis.Redis":
    """A client of this process. A stale pooled connection is replaced once; nothing else is retried."""
    retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return redis.Redis.from_url(_url(settings), retry=retry, **_options(settings))


def connect_async(settings: Settings) -> "redis.asyncio.Redis":
    """The asynchronous client for the API's long-lived requests."""
    return redis.asyncio.Redis.from_url(_url(settings), **_options(settings))

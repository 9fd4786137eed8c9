"""HTTP as this client speaks it, apart from sending it: headers, honest errors, and what may be asked again."""

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from waybill.client.errors import ApiProblem, ApiUnreachable, problem_class
from waybill.client.models import Resource
from waybill.client.retry import retry_after_seconds

R = TypeVar("R", bound=Resource)
USER_AGENT = "waybill-python/0.1"
_RETRIED_STATUSES = frozenset({429, 502, 503, 504})
# A longer `Retry-After` is raised as an error, instead of waiting inside a call that looks hung.
RETRY_AFTER_LIMIT_SECONDS = 60.0
# A stream holds a connection while it is read: the 100 that httpx allows are soon used by a program that follows jobs.
LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)
_CONFLICT = 409
_HOST = re.compile(r"[\w.-]+|[0-9a-fA-F.]*:[0-9a-fA-F:.%\w]*")


@dataclass(frozen=True, slots=True)
class Call:
    """A request before it is sent. All attempts send the same headers, so the same ``Idempotency-Key``.

    `wait_seconds` is how long the server may take on purpose (long poll, upload) beyond the timeout.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    params: Mapping[str, Any] | None = None
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a connection and for an answer, and how often to ask in all."""

    timeout_seconds: float = 30.0
    connect_timeout_seconds: float = 3.0
    attempts: int = 4

    def timeout(self, wait_seconds: float = 0.0) -> httpx.Timeout:
        """The timeouts of one attempt."""
        return httpx.Timeout(self.timeout_seconds + wait_seconds, connect=self.connect_timeout_seconds)

    def idle_timeout(self, idle_seconds: float) -> httpx.Timeout:
        """The timeouts of a stream that silence of `idle_seconds` ends."""
        return httpx.Timeout(self.timeout_seconds, connect=self.connect_timeout_seconds, read=idle_seconds)


def base_url(url: str) -> httpx.URL:
    """The address of an API. Raises `ApiUnreachable` for what is none."""
    try:
        base = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ApiUnreachable(url, f"that is not a URL: {error}") from error
    if base.scheme not in {"http", "https"} or not _HOST.fullmatch(base.host):
        raise ApiUnreachable(url, "that is not an http:// or https:// URL")
    return base


def headers_of(api_key: str | None, project: str | None) -> dict[str, str]:
    """The headers of every request."""
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    if project:
        headers["Waybill-Project"] = project
    return headers


@cache
def authorities(*, by_environment: bool) -> ssl.SSLContext:
    """The certificate authorities that httpx trusts, read once a process: it takes longer than a request."""
    return httpx.create_ssl_context(trust_env=by_environment)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def problem_of(response: httpx.Response) -> ApiProblem:
    """The problem in an error answer that was read; one made from the status where there is no problem document."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        elsewhere = f"the API is at {response.headers['Location']}" if response.has_redirect_location else ""
        body = {"title": response.reason_phrase, "detail": elsewhere or response.text[:200].strip()}
    status = response.status_code
    return problem_class(status)(status, body, retry_after_seconds(response.headers.get("Retry-After")))


def parsed(kind: type[R], response: httpx.Response) -> R:
    """The answer as a value. Raises `ApiUnreachable` for what is no such answer: a proxy's page, another program's."""
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        raise _not_understood(response, kind.__name__) from error


def json_of(response: httpx.Response) -> dict[str, Any]:
    """The answer as it was sent, a JSON object. Raises `ApiUnreachable` as `parsed` does."""
    try:
        body = response.json()
    except ValueError as error:
        raise _not_understood(response, "JSON") from error
    if not isinstance(body, dict):
        raise _not_understood(response, "a JSON object")
    return body


def _not_understood(response: httpx.Response, wanted: str) -> ApiUnreachable:
    kind = response.headers.get("Content-Type", "nothing")
    return ApiUnreachable(str(response.request.url), f"something answered, but {kind} instead of {wanted}")


def reason_of(error: httpx.HTTPError) -> str:
    """What went wrong with a connection, in words."""
    match error:
        case httpx.ConnectTimeout():
            return "connecting took too long"
        case httpx.ConnectError():
            return str(error) or "the connection was refused"
        case httpx.ReadTimeout():
            return "it was silent for too long"
        case httpx.TimeoutException():
            return "it took too long"
        case httpx.RemoteProtocolError() | httpx.ReadError():
            return "the connection was cut"
        case _:
            return str(error) or type(error).__name__


def delay_seconds(problem: ApiProblem, delays: Iterator[float]) -> float | None:
    """How long to wait before the next attempt, never less than ``Retry-After`` asks; None when there is to be none."""
    asked = problem.retry_after_seconds or 0.0
    # 409 with Retry-After: the first request under this idempotency key is still running.
    waiting = problem.status == _CONFLICT and problem.retry_after_seconds is not None
    if not (waiting or problem.status in _RETRIED_STATUSES) or asked > RETRY_AFTER_LIMIT_SECONDS:
        return None
    return asked + next(delays)

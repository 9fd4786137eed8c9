"""HTTP as this client speaks it: one connection pool, a key, honest errors, and retries only where they are safe."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any
from uuid import uuid4

import httpx

from waybill.client.errors import ApiProblem, ApiUnreachable
from waybill.client.retry import backoff_seconds, retry_after_seconds

USER_AGENT = "waybill-python/0.1"
_RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_RETRY_AFTER_CAP_SECONDS = 30.0
_CONFLICT = 409
_HOST = re.compile(r"[\w.-]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.%\w]*")


class Transport:
    """Sends requests. A request that may have been carried out is repeated only if a repeat changes nothing.

    That holds for every GET, and for every POST here too, because each carries an ``Idempotency-Key``.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None,
        *,
        timeout_seconds: float = 30.0,
        connect_timeout_seconds: float = 3.0,
        attempts: int = 4,
        project: str | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.attempts = attempts
        self.timeout_seconds = timeout_seconds
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        if project:
            headers["Waybill-Project"] = project
        try:
            base = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise ApiUnreachable(self.url, f"that is not a URL: {error}") from error
        if base.scheme not in {"http", "https"} or not _HOST.fullmatch(base.host):
            raise ApiUnreachable(self.url, "that is not an http:// or https:// URL")
        self._http = httpx.Client(
            base_url=base,
            headers=headers,
            timeout=httpx.Timeout(timeout_seconds, connect=connect_timeout_seconds),
            # A proxy from the environment cannot reach this machine's own loopback.
            trust_env=not is_loopback(base.host),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, wait_seconds: float = 0.0) -> httpx.Response:
        """GET `path`. `wait_seconds` is how long the server may take on purpose (long poll) beyond the timeout."""
        return self._send("GET", path, params=params, wait_seconds=wait_seconds)

    def post(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        wait_seconds: float = 0.0,
        content: bytes | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """POST a JSON `body`, or the bytes of `content`, under an idempotency key (a fresh one unless given)."""
        sent = {"Idempotency-Key": idempotency_key or str(uuid4()), **(headers or {})}
        if content is None and body is not None:
            content = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        return self._send("POST", path, headers=sent, content=content, params=params, wait_seconds=wait_seconds)

    def patch(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """PATCH with a JSON `body`; sending it twice changes nothing more."""
        headers = {"Content-Type": "application/json"}
        return self._send("PATCH", path, headers=headers, content=json.dumps(body).encode())

    def put(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """PUT a JSON `body`; sending it twice changes nothing more."""
        headers = {"Content-Type": "application/json"}
        return self._send("PUT", path, headers=headers, content=json.dumps(body).encode())

    def put_bytes(
        self, path: str, content: bytes, *, headers: Mapping[str, str], wait_seconds: float = 0.0
    ) -> httpx.Response:
        """PUT the bytes of `content`."""
        sent = {"Content-Type": "application/octet-stream", **headers}
        return self._send("PUT", path, headers=sent, content=content, wait_seconds=wait_seconds)

    def delete(self, path: str) -> httpx.Response:
        """DELETE `path`."""
        return self._send("DELETE", path)

    @contextmanager
    def stream(
        self, path: str, headers: Mapping[str, str], params: Mapping[str, Any], idle_seconds: float
    ) -> Iterator[httpx.Response]:
        """A GET whose body is read as it comes; silence of `idle_seconds` ends it. Not retried: the caller resumes.

        Raises `ApiProblem` for an error answer and `ApiUnreachable` when the connection cannot be made or breaks.
        """
        timeout = httpx.Timeout(self.timeout_seconds, connect=3.0, read=idle_seconds)
        try:
            with self._http.stream("GET", path, headers=headers, params=params, timeout=timeout) as response:
                if response.is_error:
                    response.read()
                    raise problem_of(response)
                yield response
        except httpx.HTTPError as error:
            raise ApiUnreachable(self.url, reason_of(error)) from error

    def _send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        wait_seconds: float = 0.0,
    ) -> httpx.Response:
        timeout = httpx.Timeout(self.timeout_seconds + wait_seconds, connect=3.0)
        delays = backoff_seconds(0.1, 2.0)
        for attempt in range(1, self.attempts + 1):
            last = attempt == self.attempts
            try:
                response = self._http.request(
                    method, path, headers=headers, content=content, params=params, timeout=timeout
                )
            except httpx.HTTPError as error:
                if last:
                    raise ApiUnreachable(self.url, reason_of(error)) from error
                time.sleep(next(delays))
                continue
            if not response.is_error:
                return response
            problem = problem_of(response)
            if last or not _may_pass(problem):
                raise problem
            time.sleep(min(problem.retry_after_seconds or next(delays), _RETRY_AFTER_CAP_SECONDS))
        raise AssertionError("the loop returns or raises")


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def problem_of(response: httpx.Response) -> ApiProblem:
    """The problem in an error answer; one made from the status where the body is not a problem document."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {"title": response.reason_phrase, "detail": response.text[:200].strip()}
    return ApiProblem(response.status_code, body, retry_after_seconds(response.headers.get("Retry-After")))


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


def _may_pass(problem: ApiProblem) -> bool:
    # 409 with Retry-After: the first request under this idempotency key is still running.
    waiting = problem.status == _CONFLICT and problem.retry_after_seconds is not None
    return waiting or problem.status in _RETRIED_STATUSES

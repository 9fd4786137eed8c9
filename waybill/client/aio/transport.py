"""Sending requests: one connection pool, a key, timeouts, and retries only where they are safe."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from waybill.client.aio.waiting import sleep
from waybill.client.errors import ApiUnreachable, ClientError
from waybill.client.retry import backoff_seconds
from waybill.client.wire import (
    LIMITS,
    Call,
    Patience,
    authorities,
    base_url,
    delay_seconds,
    headers_of,
    is_loopback,
    problem_of,
    reason_of,
)

_LOG = logging.getLogger("waybill.client")
_FIRST_DELAY_SECONDS, _DELAY_CAP_SECONDS = 0.1, 2.0


class AsyncTransport:
    """Sends requests. A request that may have been carried out is repeated only if a repeat changes nothing.

    That holds for every GET, PUT and PATCH, and for every POST here too, because each carries an ``Idempotency-Key``.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None,
        *,
        patience: Patience | None = None,
        project: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.patience = patience or Patience()
        base = base_url(self.url)
        # A proxy from the environment cannot reach this machine's own loopback.
        by_environment = not is_loopback(base.host)
        self._http = http_client or httpx.AsyncClient(
            verify=authorities(by_environment=by_environment), limits=LIMITS, trust_env=by_environment
        )
        self._http.base_url = base
        self._http.headers.update(headers_of(api_key, project))

    def with_patience(self, **changes: float | None) -> "AsyncTransport":
        """The same connections with other timeouts or attempts. None keeps the current value."""
        given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
        other = object.__new__(AsyncTransport)
        other.url = self.url
        other.patience = replace(self.patience, **given)
        other._http = self._http
        return other

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(
        self, path: str, params: Mapping[str, Any] | None = None, *, wait_seconds: float = 0.0
    ) -> httpx.Response:
        """GET `path`. `wait_seconds` is how long the server may take on purpose (long poll) beyond the timeout."""
        return await self.send(Call("GET", path, params=params, wait_seconds=wait_seconds))

    async def post(
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
        return await self.send(Call("POST", path, sent, content, params, wait_seconds))

    async def patch(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        """PATCH with a JSON `body`; sending it twice changes nothing more."""
        return await self.send(Call("PATCH", path, {"Content-Type": "application/json"}, json.dumps(body).encode()))

    async def put(self, path: str, body: Mapping[str, Any], params: Mapping[str, Any] | None = None) -> httpx.Response:
        """PUT a JSON `body`; sending it twice changes nothing more."""
        content = json.dumps(body).encode()
        return await self.send(Call("PUT", path, {"Content-Type": "application/json"}, content, params))

    async def put_bytes(
        self, path: str, content: bytes, *, headers: Mapping[str, str], wait_seconds: float = 0.0
    ) -> httpx.Response:
        """PUT the bytes of `content`."""
        sent = {"Content-Type": "application/octet-stream", **headers}
        return await self.send(Call("PUT", path, sent, content, None, wait_seconds))

    async def delete(self, path: str, params: Mapping[str, Any] | None = None) -> httpx.Response:
        """DELETE `path`."""
        return await self.send(Call("DELETE", path, params=params))

    async def send(self, call: Call) -> httpx.Response:
        """The answer to `call`, asked for again while that may help.

        Raises `ApiProblem` for an error answer and `ApiUnreachable` when none came, both after the last attempt.
        """
        timeout = self.patience.timeout(call.wait_seconds)
        delays = backoff_seconds(_FIRST_DELAY_SECONDS, _DELAY_CAP_SECONDS)
        for attempt in range(1, self.patience.attempts + 1):
            last = attempt == self.patience.attempts
            try:
                response = await self._http.request(
                    call.method,
                    call.path,
                    headers=call.headers,
                    content=call.content,
                    params=call.params,
                    timeout=timeout,
                )
            except httpx.HTTPError as error:
                failure: ClientError = ApiUnreachable(self.url, reason_of(error))
                failure.__cause__ = error
                delay: float | None = next(delays)
            else:
                if response.is_success:
                    return response
                failure = problem = problem_of(response)
                delay = delay_seconds(problem, delays)
            if last or delay is None:
                raise failure
            _LOG.debug("%s %s: %s; asking again in %.2f s", call.method, call.path, failure, delay)
            await sleep(delay)
        raise ValueError("there has to be one attempt at least")

    async def stream(
        self, path: str, headers: Mapping[str, str], params: Mapping[str, Any], idle_seconds: float
    ) -> "AsyncByteStream":
        """Begin a GET whose body is read as it comes, until silence of `idle_seconds`. Not retried: the caller resumes.

        Raises `ApiProblem` for an error answer and `ApiUnreachable` when the connection cannot be made.
        """
        timeout = self.patience.idle_timeout(idle_seconds)
        request = self._http.build_request("GET", path, headers=headers, params=params, timeout=timeout)
        try:
            response = await self._http.send(request, stream=True)
            if not response.is_success:
                try:
                    await response.aread()
                finally:
                    await response.aclose()
                raise problem_of(response)
        except httpx.HTTPError as error:
            raise ApiUnreachable(self.url, reason_of(error)) from error
        return AsyncByteStream(response, self.url)


class AsyncByteStream:
    """The body of an answer, in pieces as they come. A context manager; leaving it ends the connection."""

    def __init__(self, response: httpx.Response, url: str) -> None:
        self.status = response.status_code
        self._response = response
        self._url = url
        self._pieces: AsyncIterator[bytes] = response.aiter_bytes()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def read(self) -> bytes | None:
        """The next piece; None at the end. Raises `ApiUnreachable` when the connection breaks."""
        try:
            return await anext(self._pieces, None)
        except httpx.HTTPError as error:
            raise ApiUnreachable(self._url, reason_of(error)) from error

    async def close(self) -> None:
        """End the connection, if it is still there."""
        await self._response.aclose()
